"""Making and saving figures, without `matplotlib.pyplot` and without surprises from names.

No backend is chosen, and nothing is left behind in the caller's process. Colours are Okabe and
Ito's, which stay apart for colour-blind readers.
"""

from __future__ import annotations

import io
import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medzoo.escape import for_display
from medzoo.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES = 6  # of a long name
_LARGEST = 60  # inches of a side; more would take gigabytes

BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#E69F00", "#009E73", "#8C8C8C"

PathLike = str | os.PathLike[str]


def require_matplotlib() -> None:
    """Raise an ImportError that says how to install matplotlib, if it is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'plots need matplotlib; install it with pip install "medzoo[plots]"'
        ) from error


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, laid out so that labels do not overlap.

    Args:
        width: Width in inches, at most 60.
        height: Height in inches, at most 60.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    size = (min(width, _LARGEST), min(height, _LARGEST))
    return Figure(figsize=size, dpi=150, layout="constrained")


def wrapped(text: str, width: int) -> str:
    """Return text that is broken into lines of at most `width`, and shortened after six.

    Args:
        text: The text, of unknown origin.
        width: Characters in a line.
    """
    text = for_display(text)
    return "\n".join(textwrap.wrap(text, width, max_lines=_LINES, placeholder=" ...")) or text


def column(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """Return one value per row, NaN where it is missing or None.

    Args:
        rows: The rows.
        key: Name of the value.
    """
    values = [row.get(key) for row in rows]
    return np.array([math.nan if value is None else value for value in values], dtype=float)


def save_figure(figure: Figure, path: PathLike) -> Path:
    """Write a figure as a PNG.

    Args:
        figure: The figure.
        path: The file; its folder is made when it does not exist.

    Returns:
        The path written.
    """
    return write_atomically(Path(path), encoded_figure(figure, "png"), "the plot")


def encoded_figure(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Return a figure as the content of a file; the same figure gives the same content.

    Args:
        figure: The figure.
        kind: What kind of file.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    for text in figure.findobj(Text):  # a dollar sign in a name does not start a formula
        text.set_parse_math(False)
        text.set_usetex(False)
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "medzoo"}):  # names of parts, else random
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
