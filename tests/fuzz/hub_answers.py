"""Answers of a Hub, or of who is in its place: headers of a file, and what it says of a repository.

Whatever they are, a file is fetched or refused, and nothing is written outside of the cache.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

import medzoo
from medzoo.errors import WeightsError
from medzoo.publishing import push as publishing
from medzoo.weights.hub import fetch
from tests.fuzz.headers import damaged_json
from tests.fuzz.readers import Case
from tests.hub_repository import git_blob
from tests.hub_server import HubServer

REPO = "org/small"
CONTENT = b"weights\0" * 100
_HEADERS = ("X-Linked-Etag", "ETag", "X-Repo-Commit", "Location", "X-Linked-Size", "Content-Type")
_HEADERS += ("X-Error-Code", "X-Error-Message", "Content-Encoding", "Link", "X-Xet-Hash")
_VALUES: tuple[str | None, ...] = (
    *(None, "", '""', "W/", '"', "..", "../../../../../escaped", "/", "\\..\\..\\escaped", "."),
    *("0" * 40, "0" * 64, "0" * 39, "A" * 40, "\xff" * 40, "\x00", "%2e%2e%2f", "x" * 9000),
    *("-1", "0", "1", "1e9", "9" * 30, "nan", "800", "file:///etc/hosts", "http://[::1", "//", "?"),
    *("http://127.0.0.1:9/x", "https://127.0.0.1:9/", "http://localhost:99999/", "\xe9\xff:/", "#"),
    *("gzip", "br", "RepoNotFound", "EntryNotFound", "GatedRepo", "RevisionNotFound", "<x>; rel=x"),
    *(git_blob(CONTENT), f'"{git_blob(CONTENT)}"'),
)
_INFO = {
    "id": REPO,
    "sha": "0" * 40,
    "private": False,
    "siblings": [
        {"rfilename": "config.json", "size": 3, "blobId": "0" * 40},
        {
            "rfilename": "model.safetensors",
            "blobId": "0" * 40,
            "lfs": {"sha256": "0" * 64, "size": 9, "pointerSize": 9},
        },
    ],
    "tags": ["timm"],
    "createdAt": "2024-01-01T00:00:00.000Z",
    "gated": False,
}


def cases() -> dict[str, Case]:
    """Return the kinds of answers by name."""
    return {
        "hub file": Case(_headers, _fetch, (WeightsError,), ".json"),
        "hub info": Case(
            lambda number: damaged_json(number, _INFO).encode("utf8", "surrogatepass"),
            _push,
            (WeightsError,),
            ".json",
        ),
    }


def _headers(number: int) -> bytes:
    rng = np.random.default_rng([3, number])
    names = rng.choice(_HEADERS, size=rng.integers(1, 4), replace=False)
    return json.dumps({str(name): _VALUES[rng.integers(len(_VALUES))] for name in names}).encode()


def _fetch(path: Path) -> object:
    with _hub() as hub:
        hub.add(REPO, {"model.safetensors": CONTENT})
        hub.fail("HEAD .*resolve", headers=json.loads(path.read_bytes()))
        found = fetch(REPO, "main")
        assert found.read_bytes() == CONTENT
        return found


def _push(path: Path) -> object:
    with (
        _hub() as hub,
        patch.object(publishing, "repository_files", lambda *_: {"model.safetensors": CONTENT}),
        patch.object(publishing.Release, "of", lambda *_: None),
    ):
        hub.fail("GET /api/models", body=path.read_bytes())
        found = medzoo.push_to_hub("any", REPO, token=hub.token, dry_run=True)
        assert found.commit is None or set(found.commit) <= set("0123456789abcdef")
        return found


@contextmanager
def _hub() -> Iterator[HubServer]:
    """A Hub with an empty cache; what is written beside the cache is an error."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name, "a", "b", "c", "huggingface")  # above which `..` leads as well
        with (
            HubServer() as hub,
            hub.in_place_of_the_real_one(home),
            patch("huggingface_hub.file_download.time.sleep", lambda _: None),
        ):
            try:
                yield hub
            finally:
                for path in Path(name).rglob("*"):
                    parts = path.relative_to(name).parts
                    expected = (*"abc", "huggingface", "hub", "models--org--small")
                    assert parts[:6] == expected[: len(parts)], f"wrote {path}"
                    assert parts[6:7] in ((), ("blobs",), ("snapshots",), ("refs",)), path
                    assert path.suffix != ".incomplete", f"left {path}"
