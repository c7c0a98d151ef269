"""Training: images per second of the same model, with the medzoo Trainer and other loops.

All use AdamW. The recipes use Muon, which takes longer for a step and needs fewer of them: what it
costs is measured beside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec

import torch
from torch import nn
from torch.utils.data import DataLoader

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.peers import (
    BATCH,
    PlainLoop,
    data_loader,
    dermamnist,
    lightning_fit,
    official_resnet18,
    official_transform,
    pil_augmentation,
    timm_mbconv,
    timm_resnet18,
)
from benchmarks.timing.contest import Contest, Contestant, contest, faster
from benchmarks.timing.epochs import EpochByEpoch, Pause
from benchmarks.timing.machine import mflop, peak_gflops, training_dtype

PLAIN, LIGHTNING = "plain loop + DataLoader", "Lightning + DataLoader"
WITH_MUON = "medzoo with Muon"
MBCONV = "timm's MBConv net, plain loop + DataLoader"
OFFICIAL = "official script's ResNet-18, its own loop"
TARGET, TARGET_ON_GPU = 1.2, 3.0
BATCHES = {"simple_cnn": 8, "attention_unet": 4, "efficientnet": 4, "advanced_cnn": 4}
"""Networks, and batches of an epoch on a CPU, so that each takes some seconds."""
RESNET = "ResNet-18"
BATCHES_ON_GPU = 20
_LIMIT = (
    "Backward passes of convolutions take most of the time, and their kernels stay below the peak: "
    "see [Where the time goes](#where-the-time-goes)."
)


def training(setting: Setting) -> list[Measurement]:
    """Measure medzoo's four networks and ResNet-18."""
    dtype = training_dtype(setting.device)
    peak = peak_gflops(setting.device, dtype)
    rows = []
    for name, batches in BATCHES.items():
        others: dict[str, Callable[[], nn.Module]] = (
            {MBCONV: timm_mbconv} if name == "efficientnet" else {}
        )
        result = _contest(setting, partial(_ours, name), batches, others)
        rows.append(_row(name, setting, result, peak, dtype))
        if name == "advanced_cnn":
            rows.append(_share(setting, result, peak, dtype))
    resnet = _contest(setting, timm_resnet18, 2, {OFFICIAL: official_resnet18})
    return [*rows, _row(RESNET, setting, resnet, peak, dtype)]


def _row(
    name: str, setting: Setting, result: Contest, peak: float, dtype: torch.dtype
) -> Measurement:
    against = [other for other in (PLAIN, LIGHTNING) if other in result.turns]
    ratio = faster(OURS, *against)
    arithmetic = _gflop(timm_resnet18() if name == RESNET else _ours(name))
    shares = {who: 100 * result.rates[who] * arithmetic / peak for who in (OURS, *against)}
    best = max(against, key=shares.__getitem__)
    target = TARGET_ON_GPU if setting.on_gpu else TARGET
    return Measurement(
        f"training {name}",
        "images/s",
        result.rates,
        target=None if name == RESNET else target,
        note=f"AdamW, against {' or '.join(against)}, whichever is faster",
        limit=f"The same network in the {best} reaches {shares[best]:.0f} % of what the processor "
        f"does in a {_name(dtype)} matrix product, and medzoo {shares[OURS]:.0f} %.",
        details={"gflop_an_image": arithmetic, "peak_gflops": peak, "shares_of_peak": shares},
        **result.row(ratio),
    )


def _share(setting: Setting, result: Contest, peak: float, dtype: torch.dtype) -> Measurement:
    arithmetic = _gflop(_ours("advanced_cnn"))
    return Measurement(
        "training advanced_cnn, share of the arithmetic peak",
        "% of peak",
        {name: 100 * rate * arithmetic / peak for name, rate in result.rates.items()},
        kind="%",
        target=70,
        note=f"3 x the forward pass's FLOPs over a {_name(dtype)} product's {peak:,.0f} GFLOP/s",
        limit="" if setting.on_gpu else _LIMIT,
        **result.row(lambda seconds: 100 * arithmetic / peak / seconds[OURS]),
    )


def _contest(
    setting: Setting,
    network: Callable[[], nn.Module],
    batches: int,
    others: Mapping[str, Callable[[], nn.Module]],
) -> Contest:
    """Train a network in all ways, and other networks in a plain loop; one turn is an epoch."""
    count = BATCH * (2 if setting.quick else BATCHES_ON_GPU if setting.on_gpu else batches)
    with ExitStack() as stack:
        optimizers = {OURS: "adamw", WITH_MUON: "muon"}
        runs: dict[str, Callable[[], object]] = {
            **{
                name: stack.enter_context(
                    EpochByEpoch(partial(_medzoo, setting, network(), optimizer, count))
                )
                for name, optimizer in optimizers.items()
            },
            PLAIN: PlainLoop(network(), _loader(setting, count), device=setting.device),
        }
        if find_spec("lightning"):  # not installed on every GPU machine
            peer = partial(lightning_fit, network(), _loader(setting, count), setting.device)
            runs[LIGHTNING] = stack.enter_context(EpochByEpoch(peer))
        for name, other in others.items():
            runs[name] = _other(setting, name, other(), count)
        contestants = {name: Contestant(run, count) for name, run in runs.items()}
        against = faster(OURS, *(set(runs) & {PLAIN, LIGHTNING}))
        seconds = setting.seconds * len(runs) / 2
        return contest(contestants, against, setting.clock, seconds=seconds)


def _medzoo(setting: Setting, model: nn.Module, optimizer: str, count: int, pause: Pause) -> None:
    class Turns(medzoo.training.Callback):
        def on_epoch_end(self, state: medzoo.training.RunState) -> None:
            pause()

    for_ever = 100_000
    recipe = medzoo.recipe_for("advanced_cnn", "dermamnist").with_changes(
        epochs=for_ever,
        validate_every=for_ever,
        patience=None,
        batch_size=BATCH,
        optimizer=optimizer,
    )
    medzoo.Trainer(
        model,
        setting.small(count),
        recipe,
        progress=False,
        device=setting.device,
        callbacks=[Turns()],
    ).fit()


def _other(setting: Setting, name: str, model: nn.Module, count: int) -> PlainLoop:
    if name == OFFICIAL:  # loading in the main process, no augmentation
        data = dermamnist(setting.folder, official_transform(), count=count)
        loader = data_loader(data, workers=0)
        return PlainLoop(model, loader, optimizer="adam", device=setting.device)
    return PlainLoop(model, _loader(setting, count), device=setting.device)


def _loader(setting: Setting, count: int) -> DataLoader:
    data = dermamnist(setting.folder, pil_augmentation(colour=False), count=count)
    return data_loader(data, workers=min(8, os.cpu_count() or 1) if setting.on_gpu else 2)


def _ours(architecture: str) -> nn.Module:
    return medzoo.create_model(architecture, num_classes=7)


def _gflop(model: nn.Module) -> float:
    """Return the GFLOP per image of a training step; backward takes twice as many as forward."""
    return 3 * mflop(model, torch.zeros(1, 3, 28, 28)) / 1e3


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
