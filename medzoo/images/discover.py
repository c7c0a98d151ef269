"""Find the images in a folder, and say what else is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medzoo.errors import warn_caller
from medzoo.images.decoding.dicom import lacks_preamble
from medzoo.images.file import is_image

_HIDDEN_PREFIXES = (".", "__MACOSX")
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}  # in lower case


@dataclass(frozen=True)
class Kind:
    """A kind of file that is not read as an image.

    Attributes:
        name: What such files are called, in the plural.
        advice: What to do to read them; empty if nothing can be done.
    """

    name: str
    advice: str = ""


OTHER = Kind("other files")
_BROKEN_LINK = Kind("broken links", "restore their targets")
_CLOSED_FOLDER = Kind("folders that cannot be opened", "check their permissions")
_CLOSED_FILE = Kind("files that cannot be opened", "check their permissions")
_SPECIAL = Kind("pipes, sockets or devices")
_BARE_DICOM = Kind("DICOM files without a preamble", "save them again as complete DICOM files")
_BY_SUFFIX = {
    (".heic", ".heif"): Kind(
        "HEIC images", "convert them to PNG, or call pillow_heif.register_heif_opener() first"
    ),
    (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"): Kind(
        "volumes", "save their slices as PNG, or pass them as arrays"
    ),
    (".npy", ".npz"): Kind("NumPy files", "pass the arrays instead, loaded with numpy.load"),
    (".mp4", ".avi", ".mov", ".mkv"): Kind("videos", "save their frames as PNG"),
    (".svs", ".ndpi", ".mrxs", ".czi"): Kind("microscope slides", "save parts of them as PNG"),
    (".zip", ".tar", ".gz", ".7z", ".rar"): Kind("archives", "unpack them"),
}

LeftOut = Mapping[Path, Kind]
"""What was found in a folder besides images."""


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or made by the operating system for itself.

    Args:
        name: Its name, without the path.
    """
    return name.startswith(_HIDDEN_PREFIXES) or name.lower() in _SYSTEM_FILES


def kind_of_file(path: Path) -> Kind | None:
    """Return None if a path is an image file, else what it is instead.

    Args:
        path: Anything but a folder. It is opened only if its suffix is not that of an image.
    """
    if not path.is_file():
        return _BROKEN_LINK if path.is_symlink() and not path.exists() else _SPECIAL
    if is_image(path):
        return None
    for suffixes, kind in _BY_SUFFIX.items():
        if path.name.lower().endswith(suffixes):
            return kind
    try:
        with path.open("rb") as stream:
            return _BARE_DICOM if lacks_preamble(stream.read(4)) else OTHER
    except OSError:
        return _CLOSED_FILE


def visible_files(
    folder: str | Path,
    exclude: Callable[[Path], bool] = lambda path: False,
    on_error: Callable[[OSError], None] | None = None,
) -> Iterator[Path]:
    """Yield what is in a folder and its sub-folders except folders, without what is hidden.

    Symbolic links to folders are followed. A folder that can be reached in several ways is searched
    only once, so cyclic links are safe.

    Args:
        folder: The folder; it is searched even if it is hidden itself.
        exclude: Whether to ignore a file, or a folder with all that is in it.
        on_error: What to do about a folder that cannot be opened; by default, it is ignored.
    """
    searched = set()
    for parent, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        real = os.path.realpath(parent)
        if real in searched:
            folders.clear()
            continue
        searched.add(real)
        folders[:] = [n for n in sorted(folders) if not (is_hidden(n) or exclude(Path(parent, n)))]
        paths = (Path(parent, name) for name in names if not is_hidden(name))
        yield from (path for path in paths if not exclude(path))


def find_images(
    folder: str | Path, exclude: Callable[[Path], bool] = lambda path: False
) -> tuple[list[Path], LeftOut]:
    """Return the images in a folder and its sub-folders; see `visible_files`.

    Args:
        folder: The folder.
        exclude: Whether to ignore a file, or a folder with all that is in it.

    Returns:
        The paths of the images, sorted; and everything else that is not hidden or excluded, with
        its kind.
    """
    images: list[Path] = []
    left_out: dict[Path, Kind] = {}

    def note_closed(error: OSError) -> None:
        left_out[Path(error.filename)] = _CLOSED_FOLDER

    for path in visible_files(folder, exclude, note_closed):
        if kind := kind_of_file(path):
            left_out[path] = kind
        else:
            images.append(path)
    return sorted(images), left_out


def describe_left_out(left_out: LeftOut, root: str | Path) -> str:
    """Return how many files of each kind there are, with an example and how to read them.

    Args:
        left_out: As `find_images` returns it; not empty.
        root: The folder that names of files are relative to.
    """
    by_kind: dict[Kind, list[str]] = {}
    for path, kind in left_out.items():
        by_kind.setdefault(kind, []).append(os.path.relpath(path, root))
    return "; ".join(
        f"{kind.name} ({len(names):,}, e.g. {min(names)})" + f": {kind.advice}" * bool(kind.advice)
        for kind, names in sorted(by_kind.items(), key=lambda item: item[0] == OTHER)
    )


def warn_left_out(left_out: LeftOut, root: str | Path) -> None:
    """Warn once about everything that was left out, if anything was.

    Args:
        left_out: As `find_images` returns it.
        root: The folder that was searched.
    """
    if left_out:
        warn_caller(f"{root}: not read as images: {describe_left_out(left_out, root)}")
