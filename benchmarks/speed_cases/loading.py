"""Loading: shuffled, augmented, normalised batches, by medzoo and by other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import torch

from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.speed_cases.peers import (
    AUGMENTATION,
    BATCH,
    COLOUR,
    ROTATION,
    SCALE,
    SHIFT,
    data_loader,
    dermamnist,
    pil_augmentation,
)
from benchmarks.timing.contest import Contestant, contest, faster
from medzoo.training import BatchAugmenter, BatchLoader

PIL_2, PIL_0 = "medmnist + torchvision, 2 workers", "medmnist + torchvision, no workers"
KORNIA = "Kornia, on whole batches"
_OUR_EPOCHS = 5  # per turn: one takes a fraction of a second


def loading(setting: Setting) -> list[Measurement]:
    """Load an epoch of DermaMNIST training images with flips, an affine map and colour."""
    count = 10 * BATCH if setting.quick else len(setting.data.train) // BATCH * BATCH
    train = setting.data.train.head(count)
    augmenter = BatchAugmenter(AUGMENTATION, (0.5,) * 3, (0.5,) * 3, setting.device)
    ours = BatchLoader(train, BATCH, augmenter, setting.device)
    few = min(count, 20 * BATCH)
    pil = dermamnist(setting.folder, pil_augmentation(), count=few)
    epochs = _OUR_EPOCHS * (4 if setting.on_gpu else 1)
    contestants = {
        OURS: Contestant(
            lambda: _drain(chain.from_iterable(map(ours.epoch, range(epochs)))), epochs * count
        ),
        PIL_2: Contestant(_drainer(data_loader(pil, workers=2)), few),
        PIL_0: Contestant(_drainer(data_loader(pil, workers=0)), few),
    }
    if kornia := _kornia(train.images.to(setting.device)):
        contestants[KORNIA] = Contestant(kornia, count)
    against = faster(OURS, PIL_2)
    result = contest(contestants, against, setting.clock, seconds=setting.seconds)
    return [
        Measurement(
            "loader: flips, affine, colour",
            "images/s",
            result.rates,
            target=20,
            note=f"against {PIL_2}",
            **result.row(against),
        )
    ]


def _drainer(loader: Iterable[Any]) -> Callable[[], None]:
    return lambda: _drain(loader)


def _drain(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass


def _kornia(images: torch.Tensor) -> Callable[[], None] | None:
    """Return the same augmentation by Kornia on batches, or None if it is not installed."""
    try:
        import kornia.augmentation as K
    except ImportError:
        return None
    augment = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomVerticalFlip(p=0.5),
        K.RandomAffine(ROTATION, (SHIFT, SHIFT), (1 - SCALE, 1 + SCALE), p=1.0),
        K.ColorJiggle(COLOUR, COLOUR, COLOUR, p=1.0),
        K.Normalize(torch.full((3,), 0.5), torch.full((3,), 0.5)),
    ).to(images.device)

    def run() -> None:
        for rows in torch.randperm(len(images), device=images.device).split(BATCH):
            augment(images[rows].float() / 255)

    return run
