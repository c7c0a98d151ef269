"""Dividing a small set's training and validation images anew, to choose by more than its own split.

A validation split of a hundred images tells good from bad by chance. Folds tell it by all images
that are not test images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

import medzoo

COUNT = 3
"""How many folds."""

SERIES = 60
"""Groups of photographs that are told apart by their colours."""


def own(data: medzoo.Dataset) -> list[medzoo.Dataset]:
    """Return the data set as it is: its own validation split is the only fold."""
    return [data]


def random(data: medzoo.Dataset) -> list[medzoo.Dataset]:
    """Divide training and validation images by chance, with as many of each class in each fold."""
    images, labels = _all(data)
    return _folds(data, StratifiedKFold(COUNT, shuffle=True, random_state=0).split(images, labels))


def alike(data: medzoo.Dataset) -> list[medzoo.Dataset]:
    """Divide training and validation images so that those alike in colour are in the same fold.

    Photographs of one person, of one eye, or by one camera have the colours in common. By chance
    they would come into several folds, and a network that knows them again would be taken for one
    that knows the disease.
    """
    images, labels = _all(data)
    colours = F.interpolate(images.float(), size=(4, 4), mode="area").flatten(1)
    series = KMeans(SERIES, n_init=4, random_state=0).fit_predict(colours)
    splitter = StratifiedGroupKFold(COUNT, shuffle=True, random_state=0)
    return _folds(data, splitter.split(images, labels, series))


FOLDS: Mapping[str, Callable[[medzoo.Dataset], list[medzoo.Dataset]]] = {
    "own": own,
    "random": random,
    "alike": alike,
}


def _all(data: medzoo.Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.cat([data.train.images, data.val.images])
    return images, torch.cat([data.train.labels, data.val.labels])


def _folds(data: medzoo.Dataset, parts: object) -> list[medzoo.Dataset]:
    """Return a data set a fold: that fold validates, the others train."""
    images, labels = _all(data)
    return [
        replace(
            data,
            train=replace(data.train, images=images[inside], labels=labels[inside]),
            val=replace(data.val, images=images[outside], labels=labels[outside]),
        )
        for inside, outside in parts  # type: ignore[attr-defined]
    ]
