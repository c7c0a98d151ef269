"""Build hook: on a phone, a row of a table becomes a card that names the column of each cell.

A style sheet cannot see the header from a cell, so each cell gets its column's title here. The
roles keep tables what they are for screen readers when the style sheet lays them out as cards.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Any

COLUMNS = 3
"""Narrower tables fit on a phone as they are."""
_TABLE = re.compile(r"<table([^>]*)>(.*?)</table>", re.DOTALL)
_HEADER = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr\b([^>]*)>(.*?)</tr>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


def on_page_content(html: str, **_: Any) -> str:
    """Mark the tables of a page; mkdocs calls this for each page."""
    return _TABLE.sub(lambda match: _marked(match[1], match[2]), html)


def _marked(attributes: str, content: str) -> str:
    head, separator, body = content.partition("</thead>")
    titles = [unescape(_TAG.sub("", title)).strip() for title in _HEADER.findall(head)]
    if "class=" in attributes or not separator or len(titles) < COLUMNS:
        return f"<table{attributes}>{content}</table>"
    head = head.replace("<thead", '<thead role="rowgroup"').replace("<tr", '<tr role="row"')
    head = re.sub(r"<th\b", '<th role="columnheader" scope="col"', head)
    body = body.replace("<tbody", '<tbody role="rowgroup"')
    body = _ROW.sub(lambda row: _row(row[1], row[2], titles), body)
    return f'<table{attributes} role="table" data-cards>{head}{separator}{body}</table>'


def _row(attributes: str, cells: str, titles: list[str]) -> str:
    columns = iter(titles)

    def cell(_: re.Match[str]) -> str:
        return f'<td role="cell" data-label="{escape(next(columns, ""))}"'

    marked = re.sub(r"<td\b", cell, cells)
    return f'<tr{attributes} role="row">{marked}</tr>'
