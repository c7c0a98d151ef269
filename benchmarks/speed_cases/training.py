"""Training: images per second of the same model, with the medzoo Trainer and other loops."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch import nn

import medzoo
from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.peers import (
    BATCH,
    PlainLoop,
    data_loader,
    dermamnist,
    lightning_epochs,
    official_resnet18,
    official_transform,
    pil_augmentation,
    timm_mbconv,
    timm_resnet18,
)
from benchmarks.speed_cases.timing import mflop, peak_gflops, per_second, ratio

PLAIN, LIGHTNING = "plain loop + DataLoader", "Lightning + DataLoader"
MBCONV = "timm's MBConv net, plain loop + DataLoader"
TIMM_RESNET, OFFICIAL = "timm's, plain loop + DataLoader", "official script's, its own loop"


def training(setting: Setting) -> list[Measurement]:
    """Measure advanced_cnn, efficientnet and ResNet-18."""
    peak = peak_gflops()
    advanced = _rates(
        setting,
        {
            OURS: lambda n: _medzoo(setting, _ours("advanced_cnn"), n),
            PLAIN: lambda n: _plain(setting, _ours("advanced_cnn"), n),
            LIGHTNING: lambda n: _lightning(setting, _ours("advanced_cnn"), n),
        },
    )
    arithmetic = _gflop(_ours("advanced_cnn"))
    shares = {name: 100 * rate * arithmetic / peak for name, rate in advanced.items()}
    efficient = _rates(
        setting,
        {
            OURS: lambda n: _medzoo(setting, _ours("efficientnet"), n),
            MBCONV: lambda n: _plain(setting, timm_mbconv(), n),
        },
    )
    efficient_shares = {
        OURS: 100 * efficient[OURS] * _gflop(_ours("efficientnet")) / peak,
        MBCONV: 100 * efficient[MBCONV] * _gflop(timm_mbconv()) / peak,
    }
    resnet = _rates(
        setting,
        {
            OURS: lambda n: _medzoo(setting, timm_resnet18(), n),
            TIMM_RESNET: lambda n: _plain(setting, timm_resnet18(), n),
            OFFICIAL: lambda n: _official(setting, n),
        },
        batches=3,
    )
    fastest = max((PLAIN, LIGHTNING), key=advanced.__getitem__)
    return [
        Measurement(
            "training advanced_cnn",
            "images/s",
            advanced,
            ratio(advanced, fastest),
            target=1.5,
            note=f"against the faster of the others, {fastest}",
            limit=f"Arithmetic: the same network in the {fastest} already reaches "
            f"{shares[fastest]:.0f} % of what the processor does in a matrix product, and medzoo "
            f"{shares[OURS]:.0f} %. All of the peak would be {100 / shares[fastest]:.2f}x.",
        ),
        Measurement(
            "training advanced_cnn, share of the arithmetic peak",
            "% of peak",
            shares,
            shares[OURS],
            "%",
            target=70,
            note=f"3 x the forward pass's FLOPs over a 2048 x 2048 product's {peak:.0f} GFLOP/s",
            details={"gflop_an_image": arithmetic, "peak_gflops": peak},
        ),
        Measurement(
            "training efficientnet",
            "images/s",
            efficient,
            ratio(efficient, MBCONV),
            target=1.5,
            note="against timm's MBConv net of the same widths and 2.4 M parameters",
            limit=f"Convolution kernels: medzoo's net reaches {efficient_shares[OURS]:.0f} % of "
            f"the peak of a matrix product, timm's {efficient_shares[MBCONV]:.0f} %. What is left "
            "are depthwise and 1x1 convolutions on small maps, whose backward passes no kernel at "
            "hand computes faster.",
            details={
                "shares_of_peak": efficient_shares,
                "parameters": {
                    OURS: _parameters(_ours("efficientnet")),
                    MBCONV: _parameters(timm_mbconv()),
                },
            },
        ),
        Measurement(
            "training ResNet-18",
            "images/s",
            resnet,
            ratio(resnet, OFFICIAL),
            note="against the official script's (whose data are not augmented)",
        ),
    ]


def _ours(architecture: str) -> nn.Module:
    return medzoo.create_model(architecture, num_classes=7)


def _gflop(model: nn.Module) -> float:
    """Return the GFLOP per image of a training step; backward takes twice as many as forward."""
    return 3 * mflop(model, torch.zeros(1, 3, 28, 28)) / 1e3


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _rates(
    setting: Setting, contestants: dict[str, Callable[[int], list[float]]], batches: int = 6
) -> dict[str, float]:
    """Return images per second of each contestant: medians over all epochs but the first."""
    count = (2 if setting.quick else batches) * BATCH
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(1 if setting.quick else 2):
        for name, train in contestants.items():
            seconds[name] += train(count)[1:]
    return per_second(count, {name: statistics.median(s) for name, s in seconds.items()})


def _epochs(setting: Setting) -> int:
    return 2 if setting.quick else 3


def _medzoo(setting: Setting, model: nn.Module, count: int) -> list[float]:
    epochs = _epochs(setting)
    recipe = medzoo.recipe_for("advanced_cnn", "dermamnist").with_changes(
        epochs=epochs, validate_every=epochs, batch_size=BATCH
    )
    run = medzoo.Trainer(model, setting.small(count), recipe, progress=False).fit()
    return [row["seconds"] for row in run.history]


def _plain(setting: Setting, model: nn.Module, count: int) -> list[float]:
    data = dermamnist(setting.folder, pil_augmentation(colour=False), count=count)
    epoch = PlainLoop(model, data_loader(data, workers=2))
    return [epoch() for _ in range(_epochs(setting))]


def _lightning(setting: Setting, model: nn.Module, count: int) -> list[float]:
    data = dermamnist(setting.folder, pil_augmentation(colour=False), count=count)
    return lightning_epochs(model, data_loader(data, workers=2), _epochs(setting))


def _official(setting: Setting, count: int) -> list[float]:
    """Train as the official script does: loading in the main process, no augmentation."""
    data = dermamnist(setting.folder, official_transform(), count=count)
    loader = data_loader(data, workers=0)
    epoch = PlainLoop(official_resnet18(), loader, optimizer="adam")
    return [epoch() for _ in range(_epochs(setting))]
