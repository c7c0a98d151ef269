"""Tables of the documentation in HTML: second lines in cells, and values to filter by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

Cell = str | tuple[str, str]
"""Text, or text and a remark in smaller letters below it."""


def html_table(
    header: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Sequence[Cell]]],
    filters: Sequence[str],
) -> str:
    """Lay rows out as an HTML table that Markdown shows as it is.

    Args:
        header: Titles of the columns.
        rows: The values of the filters, and as many cells as there are columns. Text between
            backticks is code.
        filters: What the page lets a reader filter by.
    """
    lines = [f'<table data-filter="{_joined(filters)}">', "<thead>"]
    lines += ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>"]
    lines += ["</thead>", "<tbody>"]
    for values, cells in rows:
        if len(values) != len(filters) or len(cells) != len(header):
            raise ValueError(f"expected {len(filters)} values and {len(header)} cells: {cells}")
        row = "".join(f"<td>{_cell(cell)}</td>" for cell in cells)
        lines.append(f'<tr data-filter="{_joined(values)}">{row}</tr>')
    return "\n".join([*lines, "</tbody>", "</table>"])


def _joined(values: Sequence[str]) -> str:
    """Return the value of an attribute that page scripts split at vertical bars."""
    return "|".join(escape(value.replace("|", "/")) for value in values)


def _cell(cell: Cell) -> str:
    text, remark = (cell, "") if isinstance(cell, str) else cell
    code = text.startswith("`") and text.endswith("`")
    shown = f"<code>{escape(text[1:-1])}</code>" if code else escape(text)
    return f"{shown}<br><small>{escape(remark)}</small>" if remark else shown
