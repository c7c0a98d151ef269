"""What a page is made of: sections with sentences, tables and pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

NOTICE = "For research and teaching; not for clinical use."


@dataclass(frozen=True)
class Picture:
    """An image inside the page.

    Attributes:
        content: The content of an image file.
        alt: What it shows, for those who cannot see it.
        kind: Media type of the content.
    """

    content: bytes
    alt: str
    kind: str = "image/png"

    @property
    def source(self) -> str:
        """The image as a ``data:`` URL, which needs no network."""
        return f"data:{self.kind};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Figure:
    """One or several pictures, with a caption.

    Attributes:
        pictures: The pictures, side by side.
        caption: Lines below them.
        small: Whether the pictures are thumbnails, of which many are in a row, not plots.
    """

    pictures: Sequence[Picture]
    caption: Sequence[str] = ()
    small: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a header.

    Attributes:
        header: Titles of the columns.
        rows: As many cells each.
        caption: What the table shows.
        text_columns: How many of the first columns hold text; the others hold numbers.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: int = 1


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: Its heading.
        text: Sentences, a paragraph each.
        tables: Its tables.
        figures: Its figures.
        code: Lines of a program.
        remarks: More sentences, below all of this.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    code: Sequence[str] = ()
    remarks: Sequence[str] = ()
