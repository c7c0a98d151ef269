"""Whether larger images are those of the data set, found out from labels and pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from medzoo.datasets import Dataset
from medzoo.datasets.square import to_square
from medzoo.transforms import adapt_channels

_COMPARED = 32  # images
# Sets of MedMNIST's in two sizes reach 0.97 whatever the interpolation, mirrored ones 0.7.
_ALIKE = 0.8


def check_larger(larger: Dataset, data: Dataset) -> None:
    """Refuse images that are not the training images of a data set in a size as large or larger.

    A few evenly spaced ones are made small and compared.

    Args:
        larger: The larger images.
        data: The data set.

    Raises:
        ValueError: If they are smaller, or their classes, labels or pixels are others.
    """
    train, other = data.train, larger.train
    if larger.size < data.size:
        wrong = f"they have {larger.size} pixels a side, fewer than its {data.size}"
    elif larger.info.classes != data.info.classes:
        wrong = f"their classes are {larger.info.classes!r}, not {data.info.classes!r}"
    elif not other.labels.equal(train.labels):
        wrong = "their labels differ"
    elif (alike := _likeness(train.images, other.images)) < _ALIKE:
        wrong = f"scaled down they look different (correlation {alike:.2f}, expected {_ALIKE})"
    else:
        return
    raise ValueError(
        f"larger={larger!r} has not the training images of {data.title} in a larger size and in "
        f"the same order: {wrong}; load the same data set with another size="
    )


def _likeness(small: Tensor, large: Tensor) -> float:
    """Return the correlation of some images with larger ones, of what is an image's own."""
    rows = torch.linspace(0, len(small) - 1, min(_COMPARED, len(small))).long()
    scaled = to_square(adapt_channels(large[rows], small.shape[1]), small.shape[-1])
    # What all images share says nothing about which is which.
    one, other = (i - i.mean(0) for i in (small[rows].float(), scaled.float()))
    norms = (one.norm() * other.norm()).item()
    return (one * other).sum().item() / norms if norms else 1.0
