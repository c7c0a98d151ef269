"""The library's own exceptions, the wording that they share, and where warnings point."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from difflib import get_close_matches


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
