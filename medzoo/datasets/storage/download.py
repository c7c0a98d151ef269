"""Download one file over HTTP, verify it, and only then put it in place."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from tqdm.auto import tqdm

from medzoo.errors import DatasetError, WriteError
from medzoo.files import writing

_CHUNK = 1 << 18


def download_file(url: str, target: Path, md5: str, timeout: float = 30.0) -> None:
    """Download a file, verify its md5, and only then put it in place.

    Args:
        url: URL of the file.
        target: Path to write; its folder is created if necessary.
        md5: The expected md5, in hexadecimal digits.
        timeout: Seconds without a response after which the download fails.

    Raises:
        DatasetError: If anything fails; the message names the URL and the folder, and explains
            how to download the file manually. No partial file remains.
    """
    partial: Path | None = None
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "medzoo"})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            partial = target.with_name(f"{target.name}.{uuid4().hex[:8]}.partial")
            with writing(target, "the download"):
                target.parent.mkdir(parents=True, exist_ok=True)
                stream = partial.open("xb")
            try:
                found = _copy(response, stream, target)
            finally:
                with writing(target, "the download"):
                    stream.close()  # writes what is left
        if found != md5:
            raise OSError(f"the file received has md5 {found}, expected {md5}")
        with writing(target, "the download"):
            partial.replace(target)
        partial = None
    except WriteError as error:
        raise DatasetError(
            f"downloading {target.name} failed: {error} as root= or in the environment variable "
            "MEDZOO_DATA."
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DatasetError(
            f"downloading {target.name} failed: {error}. Check the connection and try again, "
            f"or download {url} manually (md5 {md5}) and put it into {target.parent} as "
            f"{target.name}; another folder can be given as root= or in the environment variable "
            "MEDZOO_DATA."
        ) from error
    finally:
        if partial is not None:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _copy(response: http.client.HTTPResponse, stream: IO[bytes], target: Path) -> str:
    """Write the response body to a file with a progress bar; return its md5."""
    length = int(response.headers.get("Content-Length") or 0)
    digest = hashlib.md5(usedforsecurity=False)
    received = 0
    bar = tqdm(
        total=length or None,
        desc=target.name,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,  # no bar in files and pipes
    )
    with bar:
        while chunk := response.read(_CHUNK):
            with writing(target, "the download"):
                stream.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            bar.update(len(chunk))
    if received < length:
        raise OSError(f"the connection ended after {received:,} of {length:,} bytes")
    return digest.hexdigest()
