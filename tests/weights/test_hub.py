"""Weights on the Hub: fetching, checking, caching, and every way in which a Hub can fail."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save

import medzoo
from medzoo.errors import WeightsError
from medzoo.files import sha256_of
from medzoo.models import architecture_of, save_weights
from medzoo.weights import find, locate_weights, weights_index

NAME = "hf-hub:org/small"


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """A small weights file."""
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 8, 16))
    return save_weights(model, tmp_path_factory.mktemp("published") / "model.safetensors")


@pytest.fixture
def commit(hub, published):
    return hub.add("org/small", {"model.safetensors": published.read_bytes()})


@pytest.fixture
def entry(commit, published, monkeypatch, tmp_path):
    """An index entry whose file is on the Hub only."""
    monkeypatch.setattr(find, "BUNDLED", tmp_path / "package" / "files")
    return replace(
        weights_index()["simple_cnn.dermamnist"],
        file="not-bundled.safetensors",
        sha256=sha256_of(published),
        hub={"repo_id": "org/small", "revision": commit},
    )


@pytest.fixture
def impatient(monkeypatch):
    """Take the waiting out of huggingface_hub's retries."""
    for module in ("file_download", "utils._http"):
        clock = SimpleNamespace(sleep=lambda _: None)
        monkeypatch.setattr(f"huggingface_hub.{module}.time", clock)


def hurry(monkeypatch, fault):
    """Let nothing take long where the fault is that something does, and only there."""
    if fault.keys() & {"delay", "drip"}:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
        monkeypatch.setenv("MEDZOO_HUB_TIMEOUT", "1")


def cached_files() -> list[str]:
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    files = [p for p in cache.rglob("*") if p.parent.name == "blobs" or "snapshots" in p.parts]
    return [p.name for p in files if p.is_file() or p.is_symlink()]


def test_a_repository_of_anybodys_loads(commit, published):
    images = torch.rand(2, 3, 28, 28)
    expected = medzoo.create_model(published)(images)
    for name in (NAME, f"{NAME}@main", f"{NAME}@{commit}"):
        model = medzoo.create_model(name)
        assert not model.training
        assert model.dataset.name == "dermamnist"
        torch.testing.assert_close(model(images), expected)
    assert architecture_of(NAME) == "simple_cnn"
    assert medzoo.create_model(NAME, dataset="retinamnist").num_classes == 5


def test_only_one_download_whatever_the_revision_is_called(hub, commit):
    for name in (NAME, NAME, f"{NAME}@{commit}"):
        medzoo.create_model(name)
    assert hub.asked("GET /cdn") == 1


def test_a_branch_is_looked_up_anew_and_a_commit_is_not(hub, commit, published, tmp_path):
    assert medzoo.create_model(NAME).temperature == 1.0
    changed = medzoo.create_model(published)
    changed.temperature = 2.0
    content = save_weights(changed, tmp_path / "changed.safetensors").read_bytes()
    hub.add("org/small", {"model.safetensors": content})
    assert medzoo.create_model(NAME).temperature == 2.0
    asked = len(hub.requests)
    assert medzoo.create_model(f"{NAME}@{commit}").temperature == 1.0
    assert len(hub.requests) == asked


def test_an_entry_is_fetched_at_its_commit_and_then_works_offline(hub, entry, monkeypatch):
    hub.add("org/small", {"model.safetensors": b"something newer"})
    path = locate_weights(entry)
    assert sha256_of(path) == entry.sha256
    asked = len(hub.requests)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert locate_weights(entry) == path
    assert len(hub.requests) == asked


def test_an_entry_that_is_not_on_the_hub_is_never_looked_for(hub, entry):
    with pytest.raises(WeightsError, match="was not published on the Hugging Face Hub"):
        locate_weights(replace(entry, hub=None))
    assert hub.requests == []


def test_offline_without_a_cached_file(commit, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        medzoo.create_model(NAME)


def test_a_cached_branch_does_without_the_hub(hub, commit, impatient):
    medzoo.create_model(NAME)
    hub.fail("resolve", status=503)
    assert medzoo.create_model(NAME).num_classes == 7


def test_private_repositories_want_the_owners_token(hub, published, monkeypatch):
    hub.add("org/secret", {"model.safetensors": published.read_bytes()}, private=True)
    for token in (None, hub.guest_token, "hf_unknown"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(WeightsError, match="HF_TOKEN"):
            medzoo.create_model("hf-hub:org/secret")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert medzoo.create_model("hf-hub:org/secret").num_classes == 7
    assert [headers.get("authorization") for line, headers in hub.requests if "cdn" in line] == [
        None  # it belongs to the Hub, not to where the Hub sends one
    ]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"status": 401}, "401"),
        ({"status": 403}, "403"),
        ({"status": 404}, "404"),
        ({"status": 404, "headers": {"X-Error-Code": "RepoNotFound"}}, "no such repository"),
        ({"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}, "accept terms"),
        ({"status": 429, "headers": {"Retry-After": "3600"}}, "too many requests"),
        ({"status": 500}, "500"),
        ({"status": 503}, "503"),
        ({"delay": 60.0}, "check the connection"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_hub_that_does_not_answer_well_is_one_error_soon(hub, entry, fault, message, monkeypatch):
    hurry(monkeypatch, fault)
    hub.fail("HEAD", **fault)
    start = time.monotonic()
    with pytest.raises(WeightsError, match=message) as error:
        locate_weights(entry)
    assert time.monotonic() - start < 30
    assert "org/small" in str(error.value)
    assert "\n" not in str(error.value)
    assert hub.asked("HEAD") == 1
    hub.heal()
    assert sha256_of(locate_weights(entry)) == entry.sha256


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"cut": True}, "check the connection"),
        ({"delay": 60.0}, "took longer than 1 s"),
        ({"drip": True}, "took longer than 1 s"),
        ({"status": 403}, "403"),
        ({"status": 503}, "503"),
        ({"status": 429}, "too many requests"),
        ({"wrong": True}, "removed from the cache"),
    ],
)
@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.usefixtures("impatient")
def test_a_download_that_fails_leaves_nothing_behind(
    hub, entry, fault, message, pinned, monkeypatch
):
    def load():
        return locate_weights(entry) if pinned else medzoo.create_model(NAME)

    hurry(monkeypatch, fault)
    hub.fail("GET /cdn", **fault)
    start = time.monotonic()
    with pytest.raises(WeightsError, match=message) as error:
        load()
    assert time.monotonic() - start < 30
    assert "org/small" in str(error.value)
    assert [name for name in cached_files() if not name.endswith(".incomplete")] == []
    hub.heal()
    assert load()


def test_a_download_that_is_cut_off_once_goes_on(hub, entry, impatient):
    hub.fail("GET /cdn", cut=True, times=1)
    assert sha256_of(locate_weights(entry)) == entry.sha256
    assert hub.asked("GET /cdn") == 2


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(hub, entry, impatient, monkeypatch):
    # Only whole chunks are kept, and the file is smaller than one of the usual size.
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    hub.fail("GET /cdn", cut=True, times=1)
    path = locate_weights(entry)
    assert sha256_of(path) == entry.sha256
    first, second = (
        headers.get("range") for line, headers in hub.requests if line.startswith("GET /cdn")
    )
    kept = path.stat().st_size // 2 // 1024 * 1024
    assert kept > 0
    assert (first, second) == (None, f"bytes={kept}-")


def test_a_hub_that_is_down(hub, entry, impatient, monkeypatch):
    nobody = "http://127.0.0.1:9"
    template = nobody + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(WeightsError, match="check the connection"):
        locate_weights(entry)


def test_a_cached_file_that_was_changed_is_fetched_again(hub, entry):
    path = locate_weights(entry)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(WeightsError, match=r"sha256 .* removed from the cache"):
        locate_weights(entry)
    assert locate_weights(entry).read_bytes() == content


def test_a_wrong_file_in_a_cache_that_cannot_be_written(entry, monkeypatch):
    path = locate_weights(entry)

    def refuse(*_, **__):
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(WeightsError, match=f"Delete {re.escape(str(path))}"):
        locate_weights(replace(entry, sha256="0" * 64))


def test_the_time_limit_holds_for_timms_weights(hub, monkeypatch):
    monkeypatch.setenv("MEDZOO_HUB_TIMEOUT", "0.5")
    hub.fail("HEAD", delay=5.0)
    with pytest.raises(WeightsError, match=r"'test_resnet'.*longer than 0\.5 s"):
        medzoo.create_model("timm/test_resnet", pretrained=True, num_classes=2)
    hub.heal()


def test_a_refusal_of_timms_weights_says_why(hub, impatient):
    hub.fail("resolve", status=429)
    with pytest.raises(WeightsError, match=r"'test_resnet'.*too many requests"):
        medzoo.create_model("timm/test_resnet", pretrained=True, num_classes=2)


def test_a_time_limit_that_is_no_number(hub, entry, monkeypatch):
    monkeypatch.setenv("MEDZOO_HUB_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="MEDZOO_HUB_TIMEOUT='soon'"):
        locate_weights(entry)
    assert hub.requests == []


def test_another_file_than_the_index_says_is_refused(entry):
    with pytest.raises(WeightsError, match="expected 000"):
        locate_weights(replace(entry, sha256="0" * 64))
    assert cached_files() == []


def test_a_repository_of_another_library_says_what_to_use(hub):
    hub.add("timm/resnet", {"model.safetensors": save({"x": torch.ones(2)})})
    with pytest.raises(WeightsError, match=r'timm\.create_model\("hf-hub:timm/resnet"'):
        medzoo.create_model("hf-hub:timm/resnet")
    hub.add("org/empty", {"README.md": b"nothing else"})
    with pytest.raises(WeightsError, match="no such file"):
        medzoo.create_model("hf-hub:org/empty")
    with pytest.raises(WeightsError, match="no such revision"):
        medzoo.create_model("hf-hub:org/empty@v9")
    with pytest.raises(WeightsError, match="no such repository"):
        medzoo.create_model("hf-hub:org/absent")


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:name", "hf-hub:a/b/c", "hf-hub:a/b@"])
def test_a_malformed_name_is_told_before_anybody_is_asked(hub, name):
    with pytest.raises(ValueError, match="organisation/name"):
        medzoo.create_model(name)
    assert hub.requests == []


def test_the_environment_is_that_of_huggingface_hub(hub, commit, published):
    """In a separate process, where nothing but HF_ENDPOINT, HF_HUB_CACHE and HF_TOKEN is set."""
    script = (
        "from medzoo.weights.hub import locate_on_hub; print(locate_on_hub('hf-hub:org/small'))"
    )
    hub.repositories["org/small"].private = True
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"HF_TOKEN": hub.token},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    path = Path(result.stdout.strip())
    assert path.is_relative_to(huggingface_hub.constants.HF_HUB_CACHE)
    assert sha256_of(path) == sha256_of(published)
