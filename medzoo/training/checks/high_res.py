"""Whether larger images are the training images of a data set."""

from __future__ import annotations

import torch
from torch import Tensor

from medzoo.datasets import Dataset
from medzoo.images import adapt_channels, center_crop_resize

_COMPARED = 32  # images
# MedMNIST's sets in two sizes reach 0.97 with any interpolation, mirrored ones 0.7.
_ALIKE = 0.8


def check_high_res(high_res: Dataset, data: Dataset) -> None:
    """Refuse images that are not the training images of a data set in a size as large or larger.

    A few evenly spaced ones are scaled down and compared.

    Args:
        high_res: The larger images.
        data: The data set.

    Raises:
        ValueError: If they are smaller, or their classes, labels or pixels are others.
    """
    train, other = data.train, high_res.train
    if high_res.size < data.size:
        wrong = f"they have {high_res.size} pixels per side, fewer than {data.size}"
    elif high_res.info.classes != data.info.classes:
        wrong = f"their classes are {high_res.info.classes!r}, not {data.info.classes!r}"
    elif not other.labels.nan_to_num(-1).equal(train.labels.nan_to_num(-1)):
        wrong = "their labels differ"
    elif (alike := _similarity(train.images, other.images)) < _ALIKE:
        wrong = f"scaled down they look different (correlation {alike:.2f}, expected {_ALIKE})"
    else:
        return
    raise ValueError(
        f"high_res={high_res!r} does not have the training images of {data.title} in a larger size "
        f"and in the same order: {wrong}; load the same data set with another size="
    )


def _similarity(small: Tensor, large: Tensor) -> float:
    """Return the correlation of some images with larger ones, without what all images share."""
    rows = torch.linspace(0, len(small) - 1, min(_COMPARED, len(small))).long()
    scaled = center_crop_resize(adapt_channels(large[rows], small.shape[1]), small.shape[-1])
    # What all images share says nothing about which is which.
    one, other = (i - i.mean(0) for i in (small[rows].float(), scaled.float()))
    norms = (one.norm() * other.norm()).item()
    return (one * other).sum().item() / norms if norms else 1.0
