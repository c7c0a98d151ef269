"""Weights on the Hugging Face Hub: fetched within a time limit, checked, kept in its cache."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from medzoo.errors import WeightsError
from medzoo.files import sha256_of
from medzoo.weights.file import read_config

HUB_PREFIX = "hf-hub:"
"""What a name of a repository on the Hub begins with, as in timm."""
WEIGHTS_FILE = "model.safetensors"
"""What the weights are called in a repository."""

_NAME = re.compile(r"hf-hub:(?P<repo_id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@\s]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIMEOUT = 300.0

T = TypeVar("T")


def locate_on_hub(name: str) -> Path:
    """Return the verified weights file that a name of a repository means.

    Args:
        name: ``"hf-hub:org/name"`` or ``"hf-hub:org/name@revision"``: a branch, tag or commit.

    Raises:
        ValueError: If the name is malformed.
        WeightsError: If the file cannot be had, is not what the Hub says it is, or was not
            written by medzoo.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{name!r} names no repository; write hf-hub:organisation/name, and behind it "
            "@revision for a certain branch, tag or commit"
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

    huggingface_hub's own settings hold: ``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``,
    ``HF_TOKEN``. A file that is not what it should be is taken out of the cache. Where no branch
    can be looked up, what was cached of it is used.

    Args:
        repo_id: ``"organisation/name"``.
        revision: A branch, tag or commit. A commit that is cached is not asked for again.
        sha256: What the file must be; by default what the Hub says it is, if it is in its large
            file storage.

    Raises:
        ValueError: If ``MEDZOO_HUB_TIMEOUT`` is not a number of seconds.
        WeightsError: If the file cannot be had, or not within ``MEDZOO_HUB_TIMEOUT`` seconds
            (300), or its content is not the right one.
    """
    seconds = time_limit()
    try:
        path = run_with_timeout(seconds, lambda: _download(repo_id, revision))
    except Exception as error:  # several HTTP libraries' errors, depending on huggingface_hub
        raise WeightsError(
            f"{WEIGHTS_FILE} of {repo_id} at {revision} could not be fetched: {reason(error)}"
        ) from error
    stated = path.readlink().name if path.is_symlink() else ""  # a blob is named by its content
    expected = sha256 or (stated if _SHA256.fullmatch(stated) else None)
    found = sha256_of(path)
    if expected not in (None, found):
        with suppress(OSError):  # the cache may be read-only
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        removed = f"Delete {path}" if path.exists() else "It was removed from the cache"
        raise WeightsError(
            f"{WEIGHTS_FILE} of {repo_id} at {revision} is damaged or was replaced: its sha256 is "
            f"{found}, expected {expected}. {removed}; try again, and if this comes back, look for "
            "a proxy or mirror (HF_ENDPOINT) that serves another file"
        )
    return path


def run_with_timeout(seconds: float, work: Callable[[], T]) -> T:
    """Return what some work gives, or give up waiting for it.

    huggingface_hub retries, and each try has a limit of its own, but their number has none when
    a server keeps cutting off or trickles.

    Args:
        seconds: How long to wait.
        work: The work. If it takes longer, it goes on in a thread that nobody waits for.

    Raises:
        TimeoutError: If it takes longer.
        Exception: What the work raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"it took longer than {seconds:g} s (MEDZOO_HUB_TIMEOUT)")
    return results[0]


def reason(error: Exception) -> str:
    """Say in one line why the Hub did not do what it was asked for, and what to do about it.

    Args:
        error: What huggingface_hub raised.
    """
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # it says that nothing is cached; this one, why nothing came
    login = "log in with `hf auth login`, or set HF_TOKEN to a token that may do this"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"its owner asks you to accept terms: do so on its page, then {login}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no such repository, or it is private. Check the name; if it is private, {login}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such revision; check its branches, tags and commits"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "it is not in the cache, and HF_HUB_OFFLINE is set; unset it to download"
    if isinstance(error, errors.EntryNotFoundError) and status == 404:
        return "the repository has no such file, so it holds no weights that medzoo could load"
    if status in (401, 403):
        return f"the Hub refuses ({status}); {login}"
    if status == 429:
        return "the Hub answers that there were too many requests (429); wait a few minutes"
    if status is not None:
        return f"the Hub answers {status} ({_line(error)}); try again later"
    return f"{_line(error)}; check the connection and try again"


def time_limit() -> float:
    """Return the seconds that a download may take, as ``MEDZOO_HUB_TIMEOUT`` says.

    Raises:
        ValueError: If it is not a number.
    """
    text = os.environ.get("MEDZOO_HUB_TIMEOUT") or str(_TIMEOUT)
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"MEDZOO_HUB_TIMEOUT={text!r} is not a number of seconds; set it to one, or unset it"
        ) from None


def _download(repo_id: str, revision: str) -> Path:
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )

    cached = try_to_load_from_cache(repo_id, WEIGHTS_FILE, revision=revision)
    if not isinstance(cached, str):
        # Asked once and briefly, or a Hub that is down would be asked again for minutes.
        url = hf_hub_url(repo_id, WEIGHTS_FILE, revision=revision)
        get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    return Path(hf_hub_download(repo_id, WEIGHTS_FILE, revision=revision))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or repr(error)
