"""Where images came from, and the mark that titles bear if they are not the official ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """Where images came from, and whether they are the official ones.

    Attributes:
        file: Base name of the file; None if there was none.
        md5: The file's md5; of several files one of all of theirs, with labels and splits; None if
            there was none.
        official: Whether these are medmnist's own images, all of them.
        note: What is different if not, e.g. ``"rebuilt"``; empty if official.
    """

    file: str | None
    md5: str | None
    official: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-safe values."""
        return asdict(self)

    def mark(self, title: str) -> str:
        """Return a title with what of the note it does not say already behind it.

        Args:
            title: The title to be marked.
        """
        new = [part for part in self.note.split("; ") if part.lower() not in title.lower()]
        return f"{title} ({'; '.join(new)})" if new else title
