"""Checks that the fields of a spec have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from numbers import Real
from typing import Any

from medzoo.errors import check_whole as check_whole
from medzoo.errors import is_whole as is_whole

MAX_SIZE = 4096
"""Largest height (= width) of a model's images, in pixels: a batch of larger ones fits nowhere."""
MAX_CHANNELS = 1024
"""Largest number of channels of a model's images."""
MAX_CLASSES = 100_000
"""Largest number of logits."""
MAX_STATISTIC = 1e12
"""Largest mean or standard deviation; its inverse is the smallest standard deviation."""
MAX_TEMPERATURE = 1e30
"""Largest temperature; its inverse is the smallest. Both are numbers in float32."""
MAX_ARGUMENT = 65_536
"""Largest number among the arguments of an architecture."""


def check_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture's arguments as JSON gives them back: with lists for tuples.

    Numbers of NumPy become Python's.

    Args:
        values: The arguments by name.

    Raises:
        TypeError: If a name is not text.
        ValueError: If a number is so large that no network could be built with it, or is not
            finite, or values are nested too deeply.
    """
    for name in values:
        if not isinstance(name, str):
            raise TypeError(f"model_args has the name {name!r:.80}; expected text")
    try:
        return {name: _plain(name, value) for name, value in values.items()}
    except RecursionError:
        raise ValueError("model_args are nested too deeply") from None


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    if isinstance(value, Mapping):
        for inner in value.values():
            _plain(name, inner)
    if isinstance(value, int | float) and not abs(value) <= MAX_ARGUMENT:  # NaN is refused as well
        raise ValueError(
            f"model_args: {name}={value!r:.80} must be a finite number of at most {MAX_ARGUMENT:,}"
        )
    return value


def as_tuple(name: str, values: Any) -> tuple[Any, ...]:
    """Return a list or tuple as a tuple.

    Args:
        name: The field, for the message.
        values: Its values.

    Raises:
        TypeError: If they are neither.
    """
    if not isinstance(values, list | tuple):
        raise TypeError(f"{name}={values!r} is a {type(values).__name__}, expected a tuple")
    return tuple(values)


def is_finite(value: Any) -> bool:
    """Return whether a value is a finite number (not a boolean).

    Args:
        value: Any value.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer that no float can hold
        return False


def is_positive(value: Any, most: float) -> bool:
    """Return whether a value is a number from ``1 / most`` to `most`.

    Args:
        value: Any value.
        most: The largest number allowed.
    """
    return is_finite(value) and 1 / most <= value <= most


def exactly(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values if they are those of a class's fields, no more and no fewer.

    Args:
        cls: A dataclass.
        values: Values by name.

    Raises:
        TypeError: If it is not a mapping.
        ValueError: If a value is missing or unknown.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r:.80} is a {type(values).__name__}, not a {cls.__name__}")
    names = {item.name for item in fields(cls)}
    if values.keys() != names:
        raise ValueError(
            f"not a {cls.__name__}: missing {sorted(names - values.keys())}, "
            f"unknown {sorted(map(str, values.keys() - names))}"
        )
    return dict(values)


def check_temperature(value: Any) -> float:
    """Return a temperature as a float, after checking it.

    Args:
        value: The temperature.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not finite or not above 0.
    """
    if not is_positive(value, MAX_TEMPERATURE):
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        raise (ValueError if is_number else TypeError)(
            f"temperature={value!r:.80} must be a finite number above 0 (from "
            f"{1 / MAX_TEMPERATURE:g} to {MAX_TEMPERATURE:g}); 1.0 leaves logits as they are, and "
            "medzoo.fit_temperature finds the one that fits a model"
        )
    return float(value)
