"""Download one file over HTTP, verify it, and only then put it in place."""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import time
import urllib.request
from pathlib import Path
from typing import IO

from tqdm.auto import tqdm

from medzoo.datasets.storage.partial import partial_path
from medzoo.errors import DatasetError, WriteError
from medzoo.files import writing
from medzoo.timeout import run_with_timeout

_CHUNK = 1 << 18
_SLOWEST = 10_000  # bytes per second, on average over each period of `timeout` seconds


def download_file(
    url: str, target: Path, md5: str, *, max_bytes: int, timeout: float = 30.0
) -> None:
    """Download a file, verify its md5, and only then put it in place.

    Args:
        url: URL of the file.
        target: Path to write; its folder is created if necessary.
        md5: The expected md5, in hexadecimal digits.
        max_bytes: Bytes above which it cannot be the file.
        timeout: Seconds without an answer after which the download fails; it also fails if less
            than 10 kB per second arrive in such a period.

    Raises:
        DatasetError: If anything fails; the message names the URL and the folder, and explains
            how to download the file manually. No partial file remains.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "medzoo"})
    try:
        # Several times the limit of one read, because there may be redirects.
        response = run_with_timeout(
            4 * timeout, lambda: urllib.request.urlopen(request, timeout=timeout)
        )
        with response, partial_path(target) as partial:
            length = _length(response, max_bytes)
            with writing(target, "the download"):
                target.parent.mkdir(parents=True, exist_ok=True)
                if length > (free := shutil.disk_usage(target.parent).free):
                    raise OSError(errno.ENOSPC, f"of {length:,} bytes, only {free:,} are free")
                stream = partial.open("xb")
            try:
                found = _copy(response, stream, target, length, max_bytes, timeout)
            finally:
                with writing(target, "the download"):
                    stream.close()  # writes what is left
            if found != md5:
                raise OSError(f"the file received has md5 {found}, expected {md5}")
            with writing(target, "the download"):
                partial.replace(target)
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


def _length(response: http.client.HTTPResponse, max_bytes: int) -> int:
    """Return the announced number of bytes; 0 if there is none."""
    text = response.headers.get("Content-Length") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise OSError(f"the server announces {text[:40]!r} bytes")
    if int(text) > max_bytes:
        raise OSError(
            f"the server announces {int(text):,} bytes, but the file has at most {max_bytes:,}"
        )
    return int(text)


def _copy(
    response: http.client.HTTPResponse,
    stream: IO[bytes],
    target: Path,
    length: int,
    max_bytes: int,
    timeout: float,
) -> str:
    """Write the response body to a file with a progress bar; return its md5."""
    digest = hashlib.md5(usedforsecurity=False)
    received = counted = 0
    since = time.monotonic()
    bar = tqdm(
        total=length or None,
        desc=target.name,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,  # no bar in files and pipes
    )
    with bar:
        while chunk := response.read1(_CHUNK):  # returns after one read from the socket
            received += len(chunk)
            if received > max_bytes:
                raise OSError(f"more than {max_bytes:,} bytes arrived, the most that it can have")
            with writing(target, "the download"):
                stream.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
            if (elapsed := time.monotonic() - since) > timeout:
                if (rate := (received - counted) / elapsed) < _SLOWEST:
                    raise OSError(f"only {rate:,.0f} bytes per second arrive")
                since, counted = time.monotonic(), received
    if received < length:
        raise OSError(f"the connection ended after {received:,} of {length:,} bytes")
    return digest.hexdigest()
