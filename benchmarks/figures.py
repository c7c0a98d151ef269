"""Files of measured figures, a record a name, written as soon as a record is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medzoo.files import write_atomically

RESULTS = Path(__file__).parent / "results"


class Figures:
    """What one benchmark has measured so far.

    Args:
        path: The file; one that does not exist is empty.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return all records by their names."""
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def keep(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a record in the place of an earlier one of its name.

        The file is read anew, so that two processes may fill one file in turns.

        Args:
            name: Of the record.
            record: JSON-safe values.
        """
        content = json.dumps(self.read() | {name: record}, indent=1) + "\n"
        write_atomically(self.path, content.encode())
