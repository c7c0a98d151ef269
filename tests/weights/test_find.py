"""Finding a checkpoint's bundled file, and what goes wrong; test_hub.py has those on the Hub."""

import hashlib

import huggingface_hub
import pytest

from medzoo.errors import WeightsError
from medzoo.spec import InputSpec, ModelSpec
from medzoo.weights import WeightsEntry, find, locate_weights, verify

CONTENT = b"the weights"
HUB = {"repo_id": "medzoo/test", "revision": "0123456789abcdef0123456789abcdef01234567"}


def entry(hub=None, content=CONTENT) -> WeightsEntry:
    return WeightsEntry(
        name="simple_cnn.test",
        file="not-bundled.safetensors",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        spec=ModelSpec("simple_cnn", InputSpec(1, 28, (0.5,), (0.5,)), licence="Apache-2.0"),
        parameters=1,
        data={},
        recipe={},
        seed=0,
        metrics={},
        hub=hub,
    )


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package folder of the test's own, for bundled files."""
    monkeypatch.setattr(find, "BUNDLED", tmp_path / "package" / "files")
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


def test_verify_accepts_only_the_exact_content(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    verify(path, hashlib.sha256(CONTENT).hexdigest())
    path.write_bytes(CONTENT + b"\0")
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        verify(path, hashlib.sha256(CONTENT).hexdigest())
