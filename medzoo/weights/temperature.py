"""The temperature: what a model's logits are divided by before they become probabilities."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def check_temperature(value: Any) -> float:
    """Return a temperature as a float, or say what is wrong with it.

    Args:
        value: The temperature.

    Raises:
        ValueError: If it is no finite number above 0.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < float(value) < math.inf:
        raise ValueError(
            f"temperature={value!r} must be a finite number above 0; 1.0 leaves logits as they "
            "are, and medzoo.fit_temperature finds the one that fits a model"
        )
    return float(value)


def temperature_of(model: object) -> float:
    """Return a model's temperature: its attribute of that name, or 1.0 where it has none.

    Args:
        model: Any model.

    Raises:
        ValueError: If it is a number, but not a finite one above 0.
    """
    value: Any = getattr(model, "temperature", 1.0)
    # Networks of other makes may call something else so, e.g. a parameter that they have learnt.
    return check_temperature(value) if isinstance(value, Real) else 1.0
