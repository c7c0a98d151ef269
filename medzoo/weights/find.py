"""Finding a checkpoint's file: bundled with the package, in the Hugging Face cache, on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medzoo.errors import WeightsError
from medzoo.weights.file import read_config, read_weights
from medzoo.weights.header import WeightsConfig
from medzoo.weights.hub import HUB_PREFIX, fetch, locate_on_hub
from medzoo.weights.index import INDEX, WeightsEntry

if TYPE_CHECKING:
    from torch import Tensor

BUNDLED = INDEX.parent / "files"
"""The folder of the weights that come with the package."""


def locate_weights(entry: WeightsEntry) -> Path:
    """Return the verified file of a published checkpoint; download it only if necessary.

    The files bundled with the package come first, then the Hugging Face cache, then the Hub at
    the revision that the index pins, if it pins one. To load it, use `load_weights`: the file
    might be replaced after it was verified.

    Args:
        entry: The checkpoint.

    Raises:
        WeightsError: If it cannot be found, or its sha256 differs from the index.
    """
    path = _path_of(entry)
    read_config(path, entry.sha256)
    return path


def load_weights(entry: WeightsEntry) -> tuple[WeightsConfig, dict[str, Tensor]]:
    """Return the verified content of a published checkpoint; download it only if necessary.

    Args:
        entry: The checkpoint.

    Returns:
        As `read_weights`.

    Raises:
        WeightsError: As `locate_weights`.
    """
    return read_weights(_path_of(entry), entry.sha256)


def _path_of(entry: WeightsEntry) -> Path:
    bundled = bundled_path(entry)
    if bundled.is_file():
        return bundled
    if entry.hub is None:
        raise WeightsError(
            f"{entry.file} is missing from this installation and {entry.name!r} was not "
            "published on the Hugging Face Hub; reinstall medzoo from its wheel"
        )
    return fetch(entry.hub["repo_id"], entry.hub["revision"], entry.sha256)


def bundled_path(entry: WeightsEntry) -> Path:
    """Return the path that a checkpoint's file has if it comes with the package.

    Args:
        entry: The checkpoint.
    """
    return BUNDLED / entry.file


def locate_named(name: str) -> Path | None:
    """Return the weights file if a name is a path or a repository on the Hub.

    Args:
        name: ``"*.safetensors"``, ``"hf-hub:org/name"`` or ``"hf-hub:org/name@revision"``.

    Returns:
        The file, or None for any other name.

    Raises:
        ValueError: If the repository's name is malformed.
        WeightsError: If the repository's file cannot be downloaded.
    """
    if name.startswith(HUB_PREFIX):
        return locate_on_hub(name)
    return Path(name) if name.endswith(".safetensors") else None
