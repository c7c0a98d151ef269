"""Tables and cards of plain text."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence

from medzoo.escape import for_display

_WIDEST = 100


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: str = "") -> str:
    """Return an aligned table.

    Args:
        heads: The heads of the columns.
        rows: The cells of each row.
        numbers: Heads of the columns that are aligned to the right, separated by spaces.
    """
    cells = [[for_display(str(cell)) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [head in numbers.split() for head in heads]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def card(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """Return a title, and a few facts below it, wrapped to the width of the terminal.

    Args:
        title: The first line.
        facts: What each fact is about, and the fact, which may have several lines; empty facts are
            left out.
    """
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    known = [(name, text) for name, text in facts if text]
    margin = max((len(name) for name, _ in known), default=0) + 4
    lines = [for_display(title)]
    for name, text in known:
        first = f"  {name}".ljust(margin)
        for line in text.split("\n"):
            lines += textwrap.wrap(
                for_display(line),
                max(width, margin + 20),
                initial_indent=first,
                subsequent_indent=" " * margin,
                break_long_words=False,
                break_on_hyphens=False,
            )
            first = " " * margin
    return "\n".join(lines)
