"""Taking a validation split from the training images of data that has none."""

from __future__ import annotations

import warnings

from medzoo.datasets import Dataset, hold_out_validation
from medzoo.datasets.holdout import validation_rows
from medzoo.distributed import rank


def ensure_validation(data: Dataset, high_res: Dataset | None) -> tuple[Dataset, Dataset | None]:
    """Return data with a validation split, and the same division of its larger images.

    Args:
        data: What a model is to be trained on; returned as it is if it has a validation split.
        high_res: The same training images in a larger size, if any.

    Raises:
        DatasetError: If there is no training split, or it cannot be divided; see
            `medzoo.datasets.hold_out_validation`.

    Warns:
        UserWarning: If a part of the training split becomes the validation split.
    """
    if "val" in data.splits:
        return data, high_res
    rows = validation_rows(data)
    if rank() == 0:
        warnings.warn(
            f"{data.title} has no val split, so {len(rows):,} of {len(data.train):,} train images "
            "are used for it, chosen by class with seed 0; to choose them yourself: "
            "medzoo.datasets.hold_out_validation(data, rows)",
            stacklevel=3,
        )
    if isinstance(high_res, Dataset) and "val" not in high_res.splits:
        high_res = hold_out_validation(high_res, rows)
    return hold_out_validation(data), high_res
