"""Finding a checkpoint's bundled file, and what goes wrong; test_hub.py has those on the Hub."""

import hashlib

import huggingface_hub
import pytest

from medzoo.errors import WeightsError
from medzoo.models import create_model, save_weights
from medzoo.spec import InputSpec, ModelSpec
from medzoo.weights import WeightsEntry, find, load_weights, locate_weights

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
    model = create_model("simple_cnn", num_classes=2, widths=(4, 4, 4))
    path = save_weights(model, package / "not-bundled.safetensors")
    published = entry(HUB, path.read_bytes())
    assert locate_weights(published) == path
    assert load_weights(published)[0].spec == model.spec


@pytest.mark.parametrize("read", [locate_weights, load_weights])
def test_bundled_file_that_was_changed_is_refused(package, read):
    """Also if it is a good file, but another one."""
    model = create_model("simple_cnn", num_classes=2, widths=(4, 4, 4))
    path = save_weights(model, package / "not-bundled.safetensors")
    with pytest.raises(WeightsError, match="damaged or was replaced") as error:
        read(entry(HUB))
    assert str(path) in str(error.value)
    assert entry().sha256 in str(error.value)


def test_neither_bundled_nor_published():
    with pytest.raises(WeightsError, match="reinstall medzoo"):
        locate_weights(entry())
