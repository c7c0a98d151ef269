"""Whether an argument is a data set at all."""

from __future__ import annotations

from medzoo.datasets.dataset import Dataset


def check_dataset(name: str, value: object) -> None:
    """Make sure that an argument is a data set, and not the name of one.

    Args:
        name: Of the argument.
        value: What was given.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, Dataset):
        raise ValueError(
            f"{name}={value!r:.80} is no medzoo.Dataset; load one first: "
            "medzoo.load_dataset(...) or medzoo.Dataset.from_arrays(...)"
        )
