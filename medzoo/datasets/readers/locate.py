"""Find the image files that a table lists by path, by file name, or by name without ending."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path, PureWindowsPath

from medzoo.images.discover import visible_files
from medzoo.images.file import is_image


def locate_images(cells: Iterable[tuple[str, str]], roots: Sequence[Path]) -> list[Path]:
    """Return the file of each image of a table.

    A name that is not a path relative to a root is searched for in the folders below the roots,
    with or without the ending of the file. One that is not found either is returned as a path
    relative to the first root, so that reading it fails like that of any missing image.

    Args:
        cells: Place in the table, for messages, and path or name of each image.
        roots: The folders.

    Raises:
        ValueError: If a root is not a folder, a name stands for several files, or a file is listed
            twice.
    """
    for root in roots:
        if not root.is_dir():
            raise ValueError(f"{root} is not a folder; give the folder of the images as root=")

    @cache  # the folders are searched only if a name is not a path
    def files_by_name() -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for file in dict.fromkeys(file for root in roots for file in visible_files(root)):
            for name in {file.name, file.stem}:
                found.setdefault(name, []).append(file)
        return found

    listed: dict[Path, str] = {}
    for place, name in cells:
        files = list(dict.fromkeys(path for root in roots if (path := root / name).is_file()))
        files = files or _matching(name, files_by_name())
        if len(files) > 1:
            raise ValueError(
                f"{place}: {name!r} could be {files[0]} or {files[1]}; write the path, or give the "
                "folder of the images as root="
            )
        file = files[0] if files else roots[0] / name
        if (first := listed.setdefault(file, place)) != place:
            raise ValueError(f"{place}: {name!r} is already listed in {first}")
    return list(listed)


def _matching(name: str, files_by_name: dict[str, list[Path]]) -> list[Path]:
    """Return the files whose path ends with a name; those with just its ending come first."""
    *folders, last = PureWindowsPath(name).parts or ("",)  # tables may come from Windows
    found = [
        file
        for file in files_by_name.get(last, ())
        if list(file.parts[-len(folders) - 1 : -1]) == folders
    ]
    return [file for file in found if file.name == last] or [f for f in found if is_image(f)]
