"""Whether output can be written, found out before the work whose result it is."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile


def check_destination(option: str, path: Path) -> None:
    """Make the folder of a file to come, and make sure that it can be written there.

    Args:
        option: Of the command line, for the message.
        path: The file.

    Raises:
        ValueError: If it is a folder, or nothing can be written beside it.
    """
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder; give a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Permissions do not tell: root has all of them, and still cannot write everywhere.
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(
            f"{option} {path} cannot be written ({error.strerror}); give a place that can be"
        ) from error
