"""Finding a checkpoint: bundled file, Hub at a pinned revision, and what goes wrong."""

import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest

from medzoo.errors import WeightsError
from medzoo.weights import WeightsEntry, find, locate_weights, verify

CONTENT = b"the weights"
REVISION = "0123456789abcdef0123456789abcdef01234567"
HUB = {"repo_id": "medzoo/test", "revision": REVISION}


def entry(hub=None, content=CONTENT) -> WeightsEntry:
    return WeightsEntry(
        name="simple_cnn.test",
        file="not-bundled.safetensors",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        architecture="simple_cnn",
        dataset="test",
        parameters=1,
        data={},
        recipe={},
        seed=0,
        metrics={},
        licence="Apache-2.0",
        hub=hub,
    )


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package folder of the test's own, for bundled files."""
    monkeypatch.setattr(find.resources, "files", lambda _: tmp_path / "package")
    (tmp_path / "package" / "files").mkdir(parents=True)
    return tmp_path / "package" / "files"


def test_bundled_file_comes_first(package, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("asked"))
    path = package / "not-bundled.safetensors"
    path.write_bytes(CONTENT)
    assert locate_weights(entry(HUB)) == path


def test_bundled_file_that_was_changed_is_refused(package):
    path = package / "not-bundled.safetensors"
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="sha256") as error:
        locate_weights(entry(HUB))
    assert str(path) in str(error.value)
    assert entry().sha256 in str(error.value)


def test_neither_bundled_nor_published():
    with pytest.raises(WeightsError, match="reinstall medzoo"):
        locate_weights(entry())


def test_hub_is_asked_for_the_pinned_revision(tmp_path, monkeypatch):
    calls = []

    def download(repo_id, filename, *, revision):
        calls.append((repo_id, filename, revision))
        path = tmp_path / filename
        path.write_bytes(CONTENT)
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert locate_weights(entry(HUB)).read_bytes() == CONTENT
    assert calls == [("medzoo/test", "model.safetensors", REVISION)]
    with pytest.raises(WeightsError, match="sha256"):
        locate_weights(entry(HUB, b"what was published"))


def test_verify_accepts_only_the_exact_content(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    verify(path, hashlib.sha256(CONTENT).hexdigest())
    path.write_bytes(CONTENT + b"\0")
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        verify(path, hashlib.sha256(CONTENT).hexdigest())


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as a download of one file needs."""

    requests: list[str]

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(CONTENT)

    def _answer(self, body: bytes) -> None:
        self.server.paths.append(self.path)
        found = self.path == f"/medzoo/test/resolve/{REVISION}/model.safetensors"
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{hashlib.sha1(CONTENT).hexdigest()}"')
        self.send_header("Content-Length", str(len(CONTENT) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.paths = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


SCRIPT = """
import sys
from medzoo.errors import WeightsError
from medzoo.weights import locate_weights
from tests.weights.test_find import HUB, entry
for hub in (HUB, HUB | {"repo_id": "medzoo/absent"}):
    try:
        print("found", locate_weights(entry(hub)).read_bytes().decode())
    except WeightsError as error:
        print("WeightsError", str(error).replace("\\n", " "))
"""


def _in_new_process(home: Path, **environment: str) -> list[str]:
    # huggingface_hub reads its settings once, when it is imported.
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"} | environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_download_over_http_then_cache_then_offline(hub, tmp_path):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    found, absent = _in_new_process(tmp_path / "home", HF_ENDPOINT=endpoint)
    assert found == f"found {CONTENT.decode()}"
    assert f"/medzoo/test/resolve/{REVISION}/model.safetensors" in hub.paths
    assert absent.startswith("WeightsError")
    assert "medzoo/absent" in absent

    asked = len(hub.paths)
    cached, missing = _in_new_process(tmp_path / "home", HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1")
    assert cached == found
    assert missing.startswith("WeightsError")
    assert len(hub.paths) == asked
