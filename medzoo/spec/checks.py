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
        ValueError: If a value is missing or unknown.
    """
    names = {item.name for item in fields(cls)}
    if not isinstance(values, Mapping) or values.keys() != names:
        given = values.keys() if isinstance(values, Mapping) else set()
        raise ValueError(
            f"not a {cls.__name__}: missing {sorted(names - given)}, "
            f"unknown {sorted(map(str, given - names))}"
        )
    return dict(values)


def check_temperature(value: Any) -> float:
    """Return a temperature as a float, or say what is wrong with it.

    Args:
        value: The temperature.

    Raises:
        ValueError: If it is not a finite number above 0.
    """
    if not (is_finite(value) and float(value) > 0):
        raise ValueError(
            f"temperature={value!r} must be a finite number above 0; 1.0 leaves logits as they "
            "are, and medzoo.fit_temperature finds the one that fits a model"
        )
    return float(value)
