"""The weights file of a repository on the Hub: into the Hugging Face cache, under checked names.

huggingface_hub names files of its cache as the Hub tells it to. Here, everything that the Hub says
about a file is checked before it becomes part of a path.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

from medzoo.files import sha256_of, write_atomically

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata
    from typing_extensions import Buffer

WEIGHTS_FILE = "model.safetensors"
"""Name of the weights file in a repository."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # git's name of the content, or its sha256
_REVISION = re.compile(r"(?!.*(?:\.\.|//|/$))[^\s/\\~^:?*\[@][^\s\\~^:?*\[@]*")


def check_repository(repo_id: object, revision: str = "main") -> None:
    """Check what a user calls a repository and its revision, before it becomes part of a path.

    Args:
        repo_id: ``"organisation/name"``.
        revision: A branch, tag or commit.

    Raises:
        TypeError: If `repo_id` is not a string.
        ValueError: If one of them is malformed.
    """
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    message = f"repo_id={repo_id!r} does not name a repository; write 'organisation/name'"
    if not isinstance(repo_id, str):
        raise TypeError(message)
    if "/" not in repo_id:  # which the Hub's own check allows
        raise ValueError(message)
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(f"{message} ({error})") from error
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise ValueError(f"revision={revision!r} does not name a branch, tag or commit")


def check_commit(commit: object) -> str:
    """Return the name of a commit that the Hub gave.

    Args:
        commit: What it gave.

    Raises:
        ValueError: If it is not 40 hexadecimal digits.
    """
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise ValueError(f"commit {commit!r:.80} is not 40 hexadecimal digits")
    return commit


def download(repo_id: str, revision: str) -> Path:
    """Return the weights file of a repository in the Hugging Face cache; fetch it if necessary.

    Its content is not verified here. `stated_digest` says what it should be.

    Args:
        repo_id: ``"organisation/name"``.
        revision: A branch, tag or commit; checked by `check_repository`.

    Raises:
        ValueError: If the Hub's answer is not one.
        Exception: What huggingface_hub raises if there is none.
    """
    from huggingface_hub import constants, errors, try_to_load_from_cache

    cached = try_to_load_from_cache(repo_id, WEIGHTS_FILE, revision=revision)
    if isinstance(cached, str) and _COMMIT.fullmatch(revision):
        return Path(cached)
    try:
        url, stated = _look_up(repo_id, revision)
    except (ValueError, errors.EntryNotFoundError, errors.RevisionNotFoundError):
        raise
    except Exception:  # the Hub cannot be reached, or denies access
        if isinstance(cached, str):
            return Path(cached)
        raise
    commit, etag, size = _checked(stated, revision)
    folder = Path(constants.HF_HUB_CACHE, "--".join(["models", *repo_id.split("/")]))
    pointer = folder / "snapshots" / commit / WEIGHTS_FILE
    if not pointer.exists():
        blob = folder / "blobs" / etag
        if not blob.exists():
            _receive(blob, size, url, urljoin(url, stated.location))
        _link(pointer, blob)
    if revision != commit:
        with suppress(OSError):  # the cache may be read-only
            write_atomically(folder / "refs" / revision, commit.encode())
    return pointer


def stated_digest(path: Path) -> str | None:
    """Return the digest of a cached file's content according to the Hub, which names it so.

    Args:
        path: What `download` returned.

    Returns:
        None if the cache does not say, as on a file system without symbolic links.
    """
    name = path.readlink().name if path.is_symlink() else ""
    return name if _DIGEST.fullmatch(name) else None


def digest_of(path: Path, like: str | None) -> str:
    """Return the digest of a file's content, of the same kind as another one.

    Args:
        path: The file.
        like: A sha256, the name that git gives to the content (40 digits), or None for a sha256.
    """
    if like is None or len(like) == 64:
        return sha256_of(path)
    with path.open("rb") as file:
        return git_name(file, path.stat().st_size)


def git_name(content: BinaryIO, size: int) -> str:
    """Return the name that git gives to a file's content.

    Args:
        content: An open file.
        size: Number of bytes in it.
    """
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for block in iter(lambda: content.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Remove a file from the Hugging Face cache, if that can be written; nothing outside of it.

    Args:
        path: What `download` returned.
    """
    with suppress(OSError):
        if stated_digest(path):
            blob = Path(os.path.normpath(path.parent / path.readlink()))
            if blob.parent == path.parents[2] / "blobs":
                blob.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _look_up(repo_id: str, revision: str) -> tuple[str, HfFileMetadata]:
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repo_id, WEIGHTS_FILE, revision=revision)
    return url, get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)


def _checked(stated: HfFileMetadata, revision: str) -> tuple[str, str, int]:
    """Return the commit, digest and size that the Hub states, if they can be what they should."""
    commit = check_commit(stated.commit_hash)
    if _COMMIT.fullmatch(revision) and commit != revision:
        raise ValueError(f"it gave commit {commit} for {revision}")
    if not isinstance(stated.etag, str) or not _DIGEST.fullmatch(stated.etag):
        raise ValueError(f"ETag {stated.etag!r:.80} is not 40 or 64 hexadecimal digits")
    if stated.size is None or stated.size < 1:
        raise ValueError(f"it gave size {stated.size!r}")
    return commit, stated.etag, stated.size


def _receive(blob: Path, size: int, asked: str, location: str) -> None:
    """Download a file from where the Hub said to its place in the cache."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    origin, target = urlsplit(asked), urlsplit(location)
    if target.scheme not in ("https", origin.scheme):
        raise ValueError(f"it redirected to {location!r:.80}")
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if (target.scheme, target.netloc) != (origin.scheme, origin.netloc):
        headers.pop("authorization", None)  # for the Hub alone
    blob.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(blob.parent).free < size:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} for {size:,} bytes")
    # Of its own, since several processes may download the same file.
    temporary = blob.with_name(f"{blob.name}.{uuid4().hex[:8]}.incomplete")
    try:
        with _Limited(temporary, size) as file:
            http_get(location, file, headers=headers, expected_size=size)
        temporary.replace(blob)
    finally:
        temporary.unlink(missing_ok=True)


def _link(pointer: Path, blob: Path) -> None:
    """Give a file its name in a commit."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except FileExistsError:  # by another process, or left behind by a file that was removed
        pass
    except OSError:  # no symbolic links, as on Windows: huggingface_hub expects the file itself
        blob.replace(pointer)


class _Limited(io.BufferedWriter):
    """A new file that takes so many bytes and no more.

    Args:
        path: The file.
        size: How many.
    """

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(io.FileIO(path, "x"))
        self.size = size

    def write(self, data: Buffer, /) -> int:
        if self.tell() + memoryview(data).nbytes > self.size:
            raise ValueError(f"it sends more than the {self.size:,} bytes that it gave as size")
        return super().write(data)
