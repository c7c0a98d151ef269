"""Glob patterns of files and folders that are not to be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath


class Exclude:
    """Say which paths match one of several glob patterns.

    A pattern matches a file by its own name or path, or by that of a folder above it: ``"masks"``,
    ``"*_mask.png"``, ``"train/benign/*_2.png"``.

    Args:
        root: The folder that paths are relative to.
        patterns: One pattern, or several.

    Raises:
        TypeError: If a pattern is not a string.
        ValueError: If a pattern is empty.
    """

    def __init__(self, root: Path, patterns: str | Sequence[str]) -> None:
        self._root = root
        given = [patterns] if isinstance(patterns, str) else patterns
        if not isinstance(given, Sequence) or not all(isinstance(p, str) for p in given):
            raise TypeError(f"exclude={patterns!r} must be a glob pattern or a list of them")
        # A pattern matches at any depth, and all that is in a folder, also without these.
        self._patterns = {p: p.removeprefix("**/").removesuffix("/**").strip("/") for p in given}
        if not all(self._patterns.values()):
            raise ValueError(f"exclude={patterns!r} has an empty pattern; give e.g. '*_mask.png'")
        self._unused = set(given)

    def __call__(self, path: Path) -> bool:
        """Return whether a path below the root is to be left out.

        Args:
            path: A file or folder.
        """
        relative = PurePosixPath(path.relative_to(self._root).as_posix())
        matching = {
            given
            for given, pattern in self._patterns.items()
            if any(part.match(pattern) for part in (relative, *relative.parents) if part.name)
        }
        self._unused -= matching
        return bool(matching)

    def check_used(self) -> None:
        """Check that each pattern has matched something, since it may be misspelt.

        Raises:
            ValueError: If one has not.
        """
        if self._unused:
            raise ValueError(
                f"exclude={min(self._unused)!r} matches nothing in {self._root}; correct the "
                "pattern, e.g. '*_mask.png' for files or 'masks' for a folder at any depth"
            )
