"""The library's own exceptions, what their messages share, and where warnings point."""

from __future__ import annotations

import math
import operator
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, SupportsFloat


class DatasetError(Exception):
    """A data set could not be found, read or trusted; the message says which and what to do."""


class WeightsError(Exception):
    """A weights file could not be found, verified or loaded; the message says which and why."""


class TrainingError(Exception):
    """A training run cannot go on; the message says why and what was kept."""


class WriteError(OSError):
    """A file could not be written; the message says what, where, why, and what to do.

    Its `errno` is that of the error of the operating system.
    """


class TrainingInterrupted(KeyboardInterrupt):
    """A user interrupted a training run (Ctrl-C); the message says how to go on with it.

    Attributes:
        what: What was interrupted, and what was kept of it.
        resumable: Whether there is a checkpoint to resume from.
    """

    def __init__(self, what: str, resumable: bool, how: str) -> None:
        super().__init__(f"{what}; {how}")
        self.what = what
        self.resumable = resumable


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Build the error for a name that is not among the known ones.

    Args:
        kind: What was looked for, e.g. ``"model"``.
        name: What the caller gave.
        known: The names that exist.

    Returns:
        A `ValueError` (to be raised by the caller) that lists close matches first, or else
        all known names.
    """
    options = sorted(known)
    hint = did_you_mean(name, options) or "known: " + (", ".join(options) or "none") + "."
    return ValueError(f"unknown {kind} {name!r}; {hint}")


_PASSED = ("medzoo", "torch")


def warn_caller(message: str) -> None:
    """Warn at the line outside of medzoo that called it, however many functions are in between.

    PyTorch's are skipped as well: they set the attributes of modules.

    Args:
        message: What the caller should know.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def did_you_mean(name: object, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return a question that names close matches; empty if there are none.

    Args:
        name: What the caller gave.
        known: The names that exist.
        cutoff: How similar a match must be, from 0 to 1 (equal).
    """
    close = get_close_matches(str(name).lower(), sorted(known), n=3, cutoff=cutoff)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


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
