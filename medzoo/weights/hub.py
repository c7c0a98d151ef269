"""Weights on the Hugging Face Hub: fetched within a time limit, checked, kept in its cache."""

from __future__ import annotations

import errno
import math
import os
import re
import threading
from pathlib import Path

from medzoo.errors import WeightsError
from medzoo.timeout import run_with_timeout
from medzoo.weights.download import (
    WEIGHTS_FILE,
    check_repository,
    digest_of,
    download,
    remove,
    stated_digest,
)
from medzoo.weights.file import read_config

HUB_PREFIX = "hf-hub:"
"""Prefix of the names of repositories on the Hub, as in timm."""

_NAME = re.compile(r"hf-hub:(?P<repo_id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@\s]+))?")
_TIMEOUT = 300.0
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_LONGEST_REASON = 300


def locate_on_hub(name: str) -> Path:
    """Return the verified weights file of a repository.

    Args:
        name: ``"hf-hub:org/name"`` or ``"hf-hub:org/name@revision"``: a branch, tag or commit.

    Raises:
        ValueError: If the name is malformed.
        WeightsError: If the file cannot be downloaded, its checksum differs, or it was not
            written by medzoo.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{name!r} does not name a repository; write hf-hub:organisation/name, or "
            "hf-hub:organisation/name@revision for a branch, tag or commit"
        )
    path = fetch(match["repo_id"], match["revision"] or "main")
    try:
        read_config(path)
    except WeightsError as error:
        raise WeightsError(
            f"{name} was not written by medzoo: {error}. If timm can load it, use "
            f'timm.create_model("hf-hub:{match["repo_id"]}", pretrained=True)'
        ) from error
    return path


def fetch(repo_id: str, revision: str, sha256: str | None = None) -> Path:
    """Return the weights file of a repository, from the Hugging Face cache or from the Hub.

    huggingface_hub's own settings apply: ``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``,
    ``HF_TOKEN``. A file with a wrong checksum is removed from the cache. If a branch cannot be
    looked up, its cached file is used.

    Args:
        repo_id: ``"organisation/name"``.
        revision: A branch, tag or commit. A cached commit is not requested again.
        sha256: Expected checksum; by default the file has to be the one that the Hub states, by
            its sha256 or the name that git gives it.

    Raises:
        ValueError: If the repository or the revision is malformed, or ``MEDZOO_HUB_TIMEOUT`` is
            not a number of seconds.
        WeightsError: If the file cannot be downloaded within ``MEDZOO_HUB_TIMEOUT`` seconds
            (300), or its checksum differs.
    """
    check_repository(repo_id, revision)
    seconds = time_limit()
    try:
        path = run_with_timeout(seconds, lambda: download(repo_id, revision))
    except Exception as error:  # several HTTP libraries' errors, depending on huggingface_hub
        raise WeightsError(
            f"{WEIGHTS_FILE} of {repo_id} at {revision} could not be fetched: {reason(error)}"
        ) from error
    expected = sha256 or stated_digest(path)
    found = digest_of(path, expected)
    if expected not in (None, found):
        remove(path)
        removed = f"Delete {path}" if path.exists() else "It was removed from the cache"
        kind = "sha256" if len(found) == 64 else "git blob sha1"
        raise WeightsError(
            f"{WEIGHTS_FILE} of {repo_id} at {revision} is damaged or was replaced: its {kind} is "
            f"{found}, expected {expected}. {removed}; try again, and if this happens again, check "
            "whether a proxy or mirror (HF_ENDPOINT) serves another file"
        )
    return path


def reason(error: Exception) -> str:
    """Explain in one line why a request to the Hub failed, and what to do about it.

    Args:
        error: What huggingface_hub raised.
    """
    from huggingface_hub import constants, errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # only the cause says why nothing was downloaded
    login = "log in with `hf auth login`, or set HF_TOKEN to a token with access"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"its owner asks you to accept terms: accept them on its page, then {login}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            "there is no such repository, or it is private. Check the name; if it is private, "
            f"{login}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such revision; check its branches, tags and commits"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "it is not in the cache, and HF_HUB_OFFLINE is set; unset it to download"
    if isinstance(error, errors.EntryNotFoundError) and status == 404:
        return "the repository has no such file, so it has no weights that medzoo could load"
    if status in (401, 403):
        return f"the Hub denied access ({status}); {login}"
    if status == 429:
        return "too many requests (429); wait a few minutes"
    if status is not None:
        return f"the Hub answered {status} ({_line(error)}); try again later"
    if type(error) is TimeoutError:
        return f"{_line(error)} (MEDZOO_HUB_TIMEOUT); check the connection and try again"
    if isinstance(error, ValueError | TypeError | LookupError | AttributeError | RecursionError):
        return (
            f"the answer is not that of a Hub ({_line(error)}); check whether a proxy, the login "
            "page of a network or another HF_ENDPOINT answers in its place"
        )
    # Sockets may be denied permission as well, but have no file names.
    denied = isinstance(error, PermissionError) and error.filename
    if denied or (isinstance(error, OSError) and error.errno in _UNWRITABLE):
        return (
            f"the cache folder {constants.HF_HUB_CACHE} cannot be written to ({_line(error)}); "
            "free some space, or set HF_HOME to another folder"
        )
    return f"{_line(error)}; check the connection and try again"


def time_limit() -> float:
    """Return the seconds that a download or an upload may take, from ``MEDZOO_HUB_TIMEOUT``.

    Raises:
        ValueError: If it is not a number above 0.
    """
    text = os.environ.get("MEDZOO_HUB_TIMEOUT") or str(_TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= threading.TIMEOUT_MAX:  # also if it is NaN
        raise ValueError(
            f"MEDZOO_HUB_TIMEOUT={text!r} is not a number of seconds above 0; set it to one, or "
            "unset it"
        )
    return seconds


def _line(error: Exception) -> str:
    """Return one printable line: parts of it may come from the Hub."""
    text = " ".join(str(error).split()).rstrip(".") or repr(error)
    return "".join(c if c.isprintable() else "?" for c in text[:_LONGEST_REASON])
