"""Find segmentation masks among images, by the names of files and folders."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from medzoo.errors import DatasetError

_WORD = "(?:mask|seg|segm|segmentation|label|annotation|superpixel|gt|ground[ _-]?truth)s?"
_SUFFIX = re.compile(rf"(.+?)([ ._-]{_WORD})(?:[ ._-]?\d+)?", re.IGNORECASE)
_PREFIX = re.compile(rf"({_WORD}[ ._-])(.+)", re.IGNORECASE)
_FOLDER = re.compile(_WORD, re.IGNORECASE)


def check_masks(root: Path, files: Sequence[Path], classes: Collection[str] = ()) -> None:
    """Check that no image is a mask of another one; learning from masks would go unnoticed.

    A mask is named after an image, with ``_mask``, ``_segmentation``, ``_seg``, ``_label`` or the
    like at one end, or is in a folder called ``masks`` or the like. Names of that kind are no
    problem if there is no such image.

    Args:
        root: The folder of the data set.
        files: The images in it.
        classes: Names of folders that are known to be classes.

    Raises:
        DatasetError: If there are masks; the message gives the patterns that exclude them.
    """
    plain: dict[str, list[Path]] = {}
    candidates: dict[Path, tuple[set[str], str]] = {}  # names of the image, pattern of the masks
    for file in files:
        stem = file.stem.casefold()
        names, pattern = {stem}, ""
        if match := _SUFFIX.fullmatch(file.stem):
            names.add(match[1].casefold())
            pattern = f"*{match[2]}*.*"
        elif match := _PREFIX.fullmatch(file.stem):
            names.add(match[2].casefold())
            pattern = f"{match[1]}*.*"
        for folder in file.relative_to(root).parts[:-1]:
            if folder not in classes and _FOLDER.fullmatch(folder):
                pattern = folder
        if pattern:
            candidates[file] = names, pattern
        else:
            plain.setdefault(stem, []).append(file)
    masks = {
        file: (min(names & plain.keys()), pattern)
        for file, (names, pattern) in candidates.items()
        if names & plain.keys()
    }
    if not masks:
        return
    patterns = sorted({pattern for _, pattern in masks.values()})
    first, (name, _) = next(iter(masks.items()))
    image = max(plain[name], key=lambda image: len(os.path.commonpath([first, image])))
    shell = " ".join(f"'{pattern}'" for pattern in patterns)
    raise DatasetError(
        f"{root}: {len(masks):,} of {len(files):,} images seem to be masks of others, e.g. "
        f"{first.relative_to(root)} of {image.relative_to(root)}; leave them out with "
        f"exclude={patterns!r} (--exclude {shell}). If they are not masks, rename them, or list "
        "the images in a table (Dataset.from_table); if it is the name of a class, list all "
        "classes with classes="
    )
