"""Checking that output can be written, before the work starts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile


def check_destination(option: str, path: Path, *, overwrite: bool = True) -> None:
    """Create the folder of an output file, and check that the file can be written.

    Args:
        option: The option of the command line, for the message.
        path: The file.
        overwrite: Whether an existing file may be replaced.

    Raises:
        ValueError: If it is a folder, its folder cannot be written, or it exists and may not be
            replaced.
    """
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder; give a file in it")
    if path.exists() and not overwrite:
        raise ValueError(f"{option} {path} exists; give another path, or --overwrite to replace it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Permissions are not enough: root has all of them, but cannot write everywhere.
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(
            f"{option} {path} cannot be written ({error.strerror}); give another path"
        ) from error
