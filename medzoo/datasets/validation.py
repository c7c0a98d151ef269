"""Checks of arguments that are supposed to be data sets."""

from __future__ import annotations

from medzoo.datasets.dataset import Dataset


def check_dataset(name: str, value: object) -> None:
    """Check that an argument is a `Dataset`, and not, for example, the name of one.

    Args:
        name: Name of the argument.
        value: Value of the argument.

    Raises:
        TypeError: If it is anything else.
    """
    if not isinstance(value, Dataset):
        raise TypeError(
            f"{name}={value!r:.80} is not a medzoo.Dataset; load one first: "
            "medzoo.load_dataset(...) or medzoo.Dataset.from_arrays(...)"
        )
