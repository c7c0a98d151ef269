"""Checking, before the work starts, that outputs can be written and replace no input."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from medzoo.errors import WriteError
from medzoo.files import check_writable

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
"""Endings of outputs that would be read as images of the folder that they are in."""


def check_outputs(
    outputs: Iterable[tuple[str, Path]],
    inputs: Iterable[str | Path | None] = (),
    *,
    suffixes: tuple[str, ...] = (),
    overwrite: bool = True,
) -> None:
    """Check that the output files of a command can be written.

    Args:
        outputs: The files, each after the option of the command line that names it. They are not
            created.
        inputs: The files and folders that the command reads; names of models and data sets, and
            options that were not given, are ignored.
        suffixes: What the name of each file must end with; anything by default.
        overwrite: Whether existing files may be replaced.

    Raises:
        ValueError: If a file is a folder, cannot be written, has another ending, exists and may
            not be replaced, or is an input or another output; or if a picture is to be written
            into a folder of input images.
    """
    given = [Path(path) for path in inputs if path and Path(path).exists()]
    folders = [(path, os.path.realpath(path)) for path in given if path.is_dir()]
    taken = {_identity(path): path for path in given if path.is_file()}
    for option, path in outputs:
        name = f"{option} {path}"
        if suffixes and path.suffix.lower() not in suffixes:
            raise ValueError(f"{name} must end in {' or '.join(suffixes)}")
        if path.is_dir():
            raise ValueError(f"{name} is a folder; give a file in it")
        if path.is_file() and not overwrite:
            raise ValueError(f"{name} exists; give another path, or --overwrite to replace it")
        if (other := taken.setdefault(_identity(path), path)) is not path:
            raise ValueError(f"{name} would replace {other}; give another path")
        for folder, real in folders:
            is_in = Path(os.path.realpath(path)).is_relative_to(real)
            if is_in and (path.is_file() or path.suffix.lower() in _PICTURES):
                raise ValueError(
                    f"{name} is in {folder}, whose files are read; give a path outside of it"
                )
        try:
            check_writable(path)
        except WriteError as error:
            reason = error.__cause__ and getattr(error.__cause__, "strerror", None)
            raise ValueError(
                f"{name} cannot be written ({reason or error}); give another path"
            ) from error


def _identity(path: Path) -> object:
    """Return what two paths of one file have in common; devices may be used more than once."""
    real = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        return object()
    return (real.stat().st_dev, real.stat().st_ino) if real.exists() else str(real)
