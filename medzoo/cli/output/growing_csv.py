"""A CSV file that grows while its rows are computed, so that a run that is killed can go on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from medzoo.errors import DatasetError
from medzoo.files import regular_file, write_atomically, writing

_CUT = 20  # lines of a row that was cut off: a cell may have several


class GrowingCsv:
    """A CSV file to which rows are added; after each addition it is complete on the disk.

    Args:
        path: The file.
        header: Names of the columns.
        resume: Keep the rows that are there already, except for one that was cut off.

    Attributes:
        first_cells: The first cell of each row that was kept.

    Raises:
        DatasetError: If the rows that are there cannot be gone on with: other columns, no CSV.
        OSError: If the file cannot be read.
    """

    def __init__(self, path: str | Path, header: Sequence[str], *, resume: bool = False) -> None:
        self.path = Path(path)
        self.header = list(header)
        self.first_cells: set[str] = set()
        self._kept = b""
        self._is_started = False
        if resume and self.path.exists():
            self._keep(regular_file(self.path).read_bytes())

    def add(self, rows: Iterable[Sequence[object]], what: str) -> None:
        """Write rows.

        Args:
            rows: Their cells. Text is quoted, because programs do not agree on which characters
                end a cell that is not.
            what: What they are, for the error message.

        Raises:
            WriteError: If they cannot be written.
        """
        if not self._is_started:
            start = self._kept or _encoded([self.header])
            write_atomically(self.path, start + _encoded(rows), what)
            self._is_started, self._kept = True, b""
            return
        with writing(self.path, what), self.path.open("ab") as stream:
            stream.write(_encoded(rows))

    def _keep(self, content: bytes) -> None:
        """Take note of all complete rows; a killed process may have cut the last one."""
        end = complete = 0

        def lines() -> Iterable[str]:
            nonlocal end
            for line in io.BytesIO(content):
                end += len(line)
                yield line.decode("latin-1")  # one character per byte; cells are decoded below

        with suppress(csv.Error):  # the end is within quotes
            for number, row in enumerate(csv.reader(lines(), strict=True)):
                cells = [cell.encode("latin-1").decode(errors="surrogateescape") for cell in row]
                fits = len(cells) == len(self.header) if number else cells == self.header
                if not fits or content[end - 1 : end] != b"\n":
                    break
                if number:
                    self.first_cells.add(cells[0])
                complete = end
        if content[complete:].count(b"\n") > _CUT or (content and not complete):
            raise DatasetError(
                f"cannot resume {str(self.path)!r}: not all of its rows have this model's columns, "
                f"{', '.join(self.header)}; choose another file, or replace it without --resume"
            )
        self._kept = content[:complete]


def _encoded(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return text.getvalue().encode(errors="surrogateescape")
