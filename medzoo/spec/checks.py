"""Checks that the fields of a spec have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from numbers import Real
from typing import Any


def is_whole(value: Any, least: int) -> bool:
    """Return whether a value is a whole number (not a boolean) of at least `least`.

    Args:
        value: Any value.
        least: The smallest number allowed.
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is not a whole number of at least `least`.

    Args:
        name: The field, for the message.
        value: Its value.
        least: The smallest number allowed.

    Raises:
        TypeError: If it is not an `int`, or a boolean.
        ValueError: If it is smaller.
    """
    if is_whole(value, least):
        return
    kind = ValueError if is_whole(value, value) else TypeError
    raise kind(f"{name}={value!r} must be a whole number of at least {least}")


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
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(float(value))


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
    if not (is_finite(value) and float(value) > 0):
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        raise (ValueError if is_number else TypeError)(
            f"temperature={value!r} must be a finite number above 0; 1.0 leaves logits as they "
            "are, and medzoo.fit_temperature finds the one that fits a model"
        )
    return float(value)
