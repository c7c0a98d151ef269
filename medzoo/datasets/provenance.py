"""Where images came from, and the note in titles if they are not the official ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """Where images came from, and whether they are the official ones.

    Attributes:
        file: Base name of the file; None if there is no file.
        md5: The md5 of the file; for several files, a digest of all of them with their labels and
            splits; None if there is no file.
        official: Whether these are all the images of the official medmnist file.
        note: What is different otherwise, e.g. ``"rebuilt"``; empty if official.
    """

    file: str | None
    md5: str | None
    official: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-safe values."""
        return asdict(self)

    def mark(self, title: str) -> str:
        """Return a title, followed by those parts of the note that it does not contain yet.

        Args:
            title: The title.
        """
        new = [part for part in self.note.split("; ") if part.lower() not in title.lower()]
        return f"{title} ({'; '.join(new)})" if new else title
