"""Finding a checkpoint's file: bundled with the package, in the Hugging Face cache, on the Hub."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from medzoo.errors import WeightsError
from medzoo.weights.file import sha256_of
from medzoo.weights.index import WeightsEntry


def locate_weights(entry: WeightsEntry) -> Path:
    """Return the verified file of a published checkpoint, downloading it only if need be.

    The files bundled with the package come first, then the Hugging Face cache, then the Hub at
    the revision that the index pins. huggingface_hub's own settings hold: ``HF_HOME``,
    ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``.

    Args:
        entry: The checkpoint.

    Raises:
        WeightsError: If it is nowhere to be had, or its sha256 differs from the index's.
    """
    bundled = Path(str(resources.files("medzoo.weights").joinpath("files", entry.file)))
    path = bundled if bundled.is_file() else _from_hub(entry)
    verify(path, entry.sha256)
    return path


def verify(path: Path, sha256: str) -> None:
    """Check a file's sha256.

    Args:
        path: The file.
        sha256: What it must be, as hexadecimal digits.

    Raises:
        WeightsError: If it differs.
    """
    found = sha256_of(path)
    if found != sha256:
        raise WeightsError(
            f"{path} is damaged or was replaced: its sha256 is {found}, expected {sha256}. "
            "Delete it and try again, or reinstall medzoo if it lies in the package"
        )


def _from_hub(entry: WeightsEntry) -> Path:
    if entry.hub is None:
        raise WeightsError(
            f"{entry.file} is missing from this installation and {entry.name!r} was not "
            "published on the Hugging Face Hub; reinstall medzoo from its wheel"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repo_id, revision = entry.hub["repo_id"], entry.hub["revision"]
    try:
        return Path(hf_hub_download(repo_id, "model.safetensors", revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise WeightsError(
            f"{entry.name!r} could not be fetched from {repo_id} at revision {revision}: {error}"
        ) from error
