"""JSON files of results, written as soon as a record is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from medzoo.files import write_atomically


class ResultsStore(Protocol):
    """A file in which the records of trials are kept."""

    @property
    def path(self) -> Path:
        """The file."""

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the record of a trial, or None if there is none yet."""

    def save(self, name: str, record: Mapping[str, Any]) -> None:
        """Write the record of a trial, replacing an earlier one."""


class ResultsFile:
    """A file that maps names of trials to their records.

    Args:
        path: The file; one that does not exist is empty.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return all records by name."""
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the record of a trial, or None if there is none yet.

        Args:
            name: Name of the trial.
        """
        return self.read().get(name)

    def save(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a record, replacing an earlier one of the same name.

        The file is read again each time, so that two processes can take turns at one file.

        Args:
            name: Name of the trial.
            record: JSON-safe values.
        """
        content = json.dumps(self.read() | {name: record}, indent=1) + "\n"
        write_atomically(self.path, content.encode())


class SingleResult:
    """A file that holds the record of the only trial of its study.

    Args:
        path: The file.
        indent: Of the JSON, in spaces.
    """

    def __init__(self, path: str | Path, indent: int = 2) -> None:
        self.path = Path(path)
        self.indent = indent

    def read(self) -> dict[str, Any]:
        """Return the record."""
        return json.loads(self.path.read_text())

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the record, or None if there is none yet.

        Args:
            name: Not used: there is only one trial.
        """
        return self.read() if self.path.exists() else None

    def save(self, name: str, record: Mapping[str, Any]) -> None:
        """Write the record, replacing an earlier one.

        Args:
            name: Not used: there is only one trial.
            record: JSON-safe values.
        """
        write_atomically(self.path, (json.dumps(record, indent=self.indent) + "\n").encode())
