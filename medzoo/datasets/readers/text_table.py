"""Read a CSV file or a pandas DataFrame as columns of text."""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from medzoo.datasets.readers.columns import ordered_categories
from medzoo.files import regular_file

if TYPE_CHECKING:
    import pandas

TableSource: TypeAlias = "str | Path | pandas.DataFrame"

TABLES = (".csv", ".tsv")
"""Suffixes of tables of images, in lower case."""
MAX_SIZE = 256 << 20
"""Bytes that a table may have; its text takes many times as much memory."""

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class TextTable:
    """A table whose cells are text.

    Attributes:
        columns: The cells of each column, without blanks around them, by column name. An empty or
            missing cell is an empty string.
        places: Where each row is, for messages: its first line in the file (``"line 2"``), or its
            index in the DataFrame (``"row 0"``).
        orders: The values of each column that has an order (an ordered Categorical of pandas).
    """

    columns: dict[str, list[str]]
    places: list[str]
    orders: dict[str, list[str]] = field(default_factory=dict)

    def cells(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield place and text of each cell of a column.

        Args:
            name: Name of the column.
        """
        return zip(self.places, self.columns[name], strict=True)

    def filled(self, name: str) -> list[str]:
        """Return a column that must not have empty cells.

        Args:
            name: Name of the column.

        Raises:
            ValueError: If a cell is empty.
        """
        for place, value in self.cells(name):
            if not value:
                raise ValueError(f"{place}: {name} is empty")
        return self.columns[name]


def is_frame(table: object) -> bool:
    """Return whether an object is a pandas DataFrame, without importing pandas.

    Args:
        table: Any object.
    """
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(table, pandas.DataFrame)


def check_delimiter(delimiter: str | None, table: TableSource) -> None:
    """Check an argument that says what is between the columns.

    Args:
        delimiter: The argument; None if it is recognised.
        table: The table.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is not one character, or the table is not a file.
    """
    if delimiter is None:
        return
    if not isinstance(delimiter, str):
        raise TypeError(f"delimiter={delimiter!r} must be a string of one character, e.g. ';'")
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise ValueError(f"delimiter={delimiter!r} must be one character, e.g. ';'")
    if is_frame(table):
        raise ValueError(f"delimiter={delimiter!r} has no effect on a DataFrame; leave it out")


def read_csv(file: Path, delimiter: str | None = None) -> TextTable:
    """Read a CSV file in UTF-8, or in UTF-16 with a byte order mark.

    Args:
        file: The file.
        delimiter: The character between columns; None to recognise a comma, semicolon or tab.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a table, or there are several ways to read it.
    """
    with regular_file(file).open("rb") as stream:
        data = stream.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise ValueError(f"it has more than {MAX_SIZE:,} bytes; leave out columns, or divide it")
    text = _decode(data)
    rows = _parse(text, delimiter or _recognise_delimiter(text))
    if not rows:
        raise ValueError("it has no rows")
    (_, header), *body = rows
    for line, row in body:
        if len(row) != len(header):
            raise ValueError(
                f"line {line}: {len(row)} values, expected {len(header)} ({', '.join(header)})"
            )
    columns = [list(values) for values in zip(*(row for _, row in body), strict=True)]
    return _build(header, columns, [f"line {line}" for line, _ in body])


def read_frame(frame: pandas.DataFrame) -> TextTable:
    """Convert a DataFrame into text, as writing it into a CSV file does.

    Args:
        frame: The DataFrame. Its index is not used, except in messages.

    Raises:
        ValueError: If it has no rows, two columns have the same name, or a cell is not text.
    """
    places = [f"row {index}" for index in frame.index]
    header = [str(name).strip() for name in frame.columns]
    columns = []
    for number, name in enumerate(header):
        values, missing = frame.iloc[:, number].tolist(), frame.iloc[:, number].isna().tolist()
        columns.append(
            [
                "" if empty else _text(value, f"{place}: {name}")
                for place, value, empty in zip(places, values, missing, strict=True)
            ]
        )
    orders = {}
    for number, name in enumerate(header):
        if categories := ordered_categories(frame.iloc[:, number]):
            orders[name] = [*dict.fromkeys(_text(value, name) for value in categories)]
    return replace(_build(header, columns, places), orders=orders)


def _text(value: Any, where: str) -> str:
    if isinstance(value, list | tuple | set | dict | np.ndarray):
        raise ValueError(f"{where} is {value!r:.80}, expected text; join labels with '|'")
    text = str(value).strip()
    if "\0" in text:
        raise ValueError(f"{where} contains a NUL byte; remove it")
    return text


def _build(header: Sequence[str], columns: Sequence[list[str]], places: list[str]) -> TextTable:
    if not places:
        raise ValueError("it has no rows")
    # A column without a name comes from a delimiter at the end of lines, or from a written index.
    named = [(name, cells) for name, cells in zip(header, columns, strict=True) if name]
    if len({name for name, _ in named}) < len(named):
        raise ValueError(f"two columns have the same name: {', '.join(header)}")
    return TextTable(dict(named), places)


def _decode(data: bytes) -> str:
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(error.encoding, "ignore")
        raise ValueError(f"line {_line_after(before)}: {error}; save the table as UTF-8") from error
    before, nul, _ = text.partition("\0")
    if nul:
        raise ValueError(
            f"line {_line_after(before)}: it contains a NUL byte; save the table as text in UTF-8"
        )
    return text


def _line_after(text: str) -> int:
    """Return the number of the line on which a text ends, as an editor counts lines."""
    return 1 + len(re.findall(r"\r\n|\r|\n", text))


def _parse(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with the number of its first line."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=delimiter != " ",  # so that quotes may follow a comma and a blank
    )
    rows, line = [], 1
    try:
        for values in reader:
            row = [value.strip() for value in values]
            if any(row):
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {line}: {error}") from error
    return rows


def _recognise_delimiter(text: str) -> str:
    """Return the delimiter in the header; of several, the only one that suits all rows."""
    header = text.lstrip("\r\n").splitlines()[:1]
    found = [delimiter for delimiter in _DELIMITERS if header and delimiter in header[0]]
    if len(found) < 2:
        return found[0] if found else ","
    suitable = [delimiter for delimiter in found if _is_rectangular(text, delimiter)]
    if len(suitable) != 1:
        readings = " or ".join(_DELIMITERS[delimiter] for delimiter in suitable or found)
        raise ValueError(
            f"its columns could be separated by {readings}; say which with Dataset.from_table, "
            f"e.g. delimiter={found[0]!r}"
        )
    return suitable[0]


def _is_rectangular(text: str, delimiter: str) -> bool:
    try:
        rows = [row for _, row in _parse(text, delimiter)]
    except ValueError:
        return False
    inside_quotes = any('"' in name for row in rows[:1] for name in row)
    return len({len(row) for row in rows}) == 1 and not inside_quotes
