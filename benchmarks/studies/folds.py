"""Other splits of a small data set: cross-validation folds, and shares of the training images.

A validation split of a hundred images cannot separate good from bad choices. Folds use all training
and validation images for that. Test images are never part of a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

import medzoo

COUNT = 3
"""Number of folds."""

SERIES = 60
"""Number of groups into which photographs are clustered by colour."""


def own(data: medzoo.Dataset) -> list[medzoo.Dataset]:
    """Return the data set unchanged: its own validation split is the only fold.

    Args:
        data: The data set.
    """
    return [data]


def random(data: medzoo.Dataset) -> list[medzoo.Dataset]:
    """Split training and validation images at random, stratified by class.

    Args:
        data: The data set, single-label.
    """
    images, labels = _all(data)
    return _folds(data, StratifiedKFold(COUNT, shuffle=True, random_state=0).split(images, labels))


def alike(data: medzoo.Dataset) -> list[medzoo.Dataset]:
    """Split training and validation images so that images of similar colour share a fold.

    Photographs of one person, of one eye, or by one camera have similar colours. A random split
    would spread them over several folds, and a network that recognises them would score as if it
    recognised the disease.

    Args:
        data: The data set, single-label.
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


def _folds(
    data: medzoo.Dataset, parts: Iterable[tuple[np.ndarray, np.ndarray]]
) -> list[medzoo.Dataset]:
    """Return one data set per fold, validated on that fold and trained on the others."""
    images, labels = _all(data)
    return [
        replace(
            data,
            train=replace(data.train, images=images[inside], labels=labels[inside]),
            val=replace(data.val, images=images[outside], labels=labels[outside]),
        )
        for inside, outside in parts
    ]


def stratified_share(data: medzoo.Dataset, share: float, seed: int) -> medzoo.Dataset:
    """Return a data set with a stratified share of its training images.

    Args:
        data: The data set, single-label.
        share: In (0, 1].
        seed: Seed of the random choice.
    """
    if share == 1:
        return data
    labels = data.train.labels
    chosen, _ = train_test_split(
        range(len(labels)), train_size=share, stratify=labels, random_state=seed
    )
    return replace(data, train=data.train.subset(sorted(chosen)))
