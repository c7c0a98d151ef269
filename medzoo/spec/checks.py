"""Checks that the fields of a spec have in common."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from numbers import Real
from typing import Any, SupportsFloat

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


def is_whole(value: Any, least: int) -> bool:
    """Return whether a value is a whole number (not a boolean) of at least `least`.

    Args:
        value: Any value.
        least: The smallest number allowed.
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuse what is not a whole number from `least` to `most`.

    Args:
        name: The field, for the message.
        value: Its value.
        least: The smallest number allowed.
        most: The largest number allowed; None if there is no limit.

    Raises:
        TypeError: If it is not an `int`, or a boolean.
        ValueError: If it is smaller or larger.
    """
    if is_whole(value, least) and (most is None or value <= most):
        return
    kind = ValueError if is_whole(value, value) else TypeError
    limit = f" and at most {most:,}" if most is not None else ""
    raise kind(f"{name}={value!r:.80} must be a whole number of at least {least}{limit}")


def as_whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number of Python, NumPy or PyTorch as an `int`, after checking it.

    Args:
        name: The argument, for the message.
        value: Its value.
        least: The smallest number allowed.
        most: The largest number allowed; None if there is no limit.

    Raises:
        TypeError: If it is not a whole number, or a boolean.
        ValueError: If it is smaller or larger.
    """
    is_one = not isinstance(value, bool) and not getattr(value, "ndim", 0)  # arrays are several
    if is_one and hasattr(value, "__index__"):
        with suppress(TypeError):  # NumPy's booleans have no index, nor tensors of floats
            value = operator.index(value)
    check_whole(name, value, least, most)
    return int(value)


def as_number(name: str, value: Any, expected: str) -> float:
    """Return a number of Python, NumPy or PyTorch as a `float`; its range is not checked.

    Args:
        name: The argument, for the message.
        value: Its value.
        expected: What it has to be, for the message, such as ``"a number from 0 to 1"``.

    Raises:
        TypeError: If it is not a number, or a boolean.
    """
    is_one = isinstance(value, SupportsFloat) and not getattr(value, "ndim", 0)
    if not is_one or isinstance(value, bool):
        raise TypeError(f"{name}={value!r:.80} must be {expected}")
    try:
        return float(value)
    except OverflowError:  # an integer that no float can hold
        return math.inf if value > 0 else -math.inf


def check_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture's arguments with lists for tuples, which is what JSON gives back.

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
