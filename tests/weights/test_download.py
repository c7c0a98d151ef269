"""A Hub that lies about files: where they are to be written, what they are, where they lie."""

import os
import re
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save

import medzoo
from medzoo.errors import WeightsError
from medzoo.models import save_weights
from medzoo.weights.download import git_name, remove
from tests.hub_repository import git_blob

NAME = "hf-hub:org/small"
ABOVE = "../../../../../../escaped"  # from the folder of blobs: beside the Hub's cache


@pytest.fixture
def content(tmp_path) -> bytes:
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4))
    return save_weights(model, tmp_path / "model.safetensors").read_bytes()


@pytest.fixture
def commit(hub, content):
    return hub.add("org/small", {"model.safetensors": content})


@pytest.fixture
def tree(tmp_path, commit):
    """Everything that is in the folder of the test and in the Hub's cache, when it is called."""
    (tmp_path / "escaped").write_text("somebody's")
    (tmp_path / "escaped.lock").write_text("somebody's")

    def snapshot() -> dict[str, object]:
        files = [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()]
        return {str(path): path.read_bytes() for path in files}

    return snapshot


def refused(match: str) -> str:
    with pytest.raises(WeightsError, match=match) as error:
        medzoo.create_model(NAME)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize(
    "etag",
    [
        ABOVE,
        ABOVE.replace("/", "\\"),
        "/escaped",
        "..",
        "0" * 39,
        "0" * 41,
        "G" * 64,
        "0" * 63 + "/",
        "0" * 64 + "\x00",
        "a" * 40 + "/../../x",
        "x" * 5000,
    ],
)
def test_an_etag_that_is_no_digest_names_no_file(hub, tree, etag):
    before = tree()
    hub.fail("HEAD .*resolve", headers={"X-Linked-Etag": f'"{etag}"'})
    refused("ETag|check the connection")  # HTTP itself allows no zero bytes
    assert tree() == before
    assert hub.asked("GET .*(resolve|cdn)") == 0


@pytest.mark.parametrize("etag", [ABOVE, ""])
def test_nor_does_that_of_a_small_file(hub, tree, etag):
    before = tree()
    hub.fail("HEAD .*resolve", headers={"X-Linked-Etag": None, "ETag": etag})
    refused("ETag")
    assert tree() == before


@pytest.mark.parametrize("commit_hash", [None, ABOVE, "main", "0" * 39, "A" * 40, "0" * 41])
def test_a_commit_that_is_none_names_no_folder(hub, tree, commit_hash):
    before = tree()
    hub.fail("HEAD .*resolve", headers={"X-Repo-Commit": commit_hash})
    refused("commit .* is not 40 hexadecimal digits")
    assert tree() == before


def test_another_commit_than_the_pinned_one_is_refused(hub, tree, commit):
    before = tree()
    hub.fail("HEAD .*resolve", headers={"X-Repo-Commit": "0" * 40})
    with pytest.raises(WeightsError, match=f"gave commit {'0' * 40} for {commit}"):
        medzoo.create_model(f"{NAME}@{commit}")
    assert tree() == before


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://localhost/x",
        "javascript:1",
        "http://\xff\xfe/\xff",
        "http://[::1/x",
        "http://localhost:99999999/x",
        "\xe9" * 3000,
    ],
)
def test_a_redirect_to_nowhere_is_one_error(hub, tree, location, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    before = tree()
    hub.fail("HEAD .*resolve", headers={"Location": location})
    refused("could not be fetched")
    assert tree() == before


def test_a_redirect_that_never_ends_is_one_error(hub, tree):
    before = tree()
    hub.fail("HEAD .*resolve", headers={"Location": "/org/small/resolve/main/model.safetensors"})
    refused("could not be fetched")
    assert tree() == before


@pytest.mark.parametrize("size", [None, "-1", "0", "many", "9" * 18])
def test_a_size_that_cannot_be_is_refused(hub, tree, size):
    before = tree()
    hub.fail("HEAD .*resolve", headers={"X-Linked-Size": size})
    refused("gave size|free some space")
    assert tree() == before
    assert hub.asked("GET .*(resolve|cdn)") == 0


def test_more_than_was_said_is_not_kept(hub, tree, content):
    before = tree()
    hub.fail("HEAD .*resolve", headers={"X-Linked-Size": "100"})
    refused("more than the 100 bytes")
    assert tree() == before


@pytest.mark.parametrize("large", [True, False])
def test_another_content_than_the_etag_says_is_removed(hub, tree, content, large):
    if not large:  # as a file outside of the large file storage, whose name is git's
        headers = {"ETag": git_blob(content), "X-Linked-Etag": None}
        hub.fail("HEAD .*resolve", headers=headers)
    before = tree()
    hub.fail("GET /cdn", wrong=True)
    message = refused("is damaged or was replaced")
    assert ("sha256" if large else "git blob sha1") in message
    gone = {path for path in tree() if "/refs/" not in path}
    assert gone == set(before)
    hub.faults.pop()
    assert medzoo.create_model(NAME).num_classes == 7


def test_a_cached_file_that_git_named_is_verified(hub, commit, content):
    headers = {"ETag": git_blob(content), "X-Linked-Etag": None}
    hub.fail("HEAD .*resolve", headers=headers)
    medzoo.create_model(NAME)
    (blob,) = Path(huggingface_hub.constants.HF_HUB_CACHE).rglob(git_blob(content))
    blob.write_bytes(content[:-1] + b"?")
    refused("git blob sha1 .* removed from the cache")
    assert medzoo.create_model(NAME).num_classes == 7


def test_what_a_link_points_to_outside_of_the_cache_stays(tmp_path, content):
    outside = tmp_path / ("0" * 64)
    outside.write_bytes(content)
    folder = tmp_path / "hub" / "models--org--small"
    blob, pointer = folder / "blobs" / ("1" * 64), folder / "snapshots" / "c" / "model.safetensors"
    for link in (blob, pointer):
        link.parent.mkdir(parents=True)
    blob.symlink_to(outside)  # a cache may lie on several disks
    pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    remove(pointer)
    assert not pointer.is_symlink()
    assert not blob.is_symlink()
    pointer.symlink_to(outside)
    remove(pointer)
    assert not pointer.is_symlink()
    assert outside.read_bytes() == content


def test_a_cache_without_symbolic_links(hub, commit, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for _ in range(2):
        assert medzoo.create_model(f"{NAME}@{commit}").num_classes == 7
    assert hub.asked("GET .*cdn") == 1


@pytest.mark.parametrize(
    "revision", ["../../../x", "a/../../x", "/etc", "a//b", "a/", "..", "a\\b", "C:x", "a*"]
)
def test_a_revision_that_leads_out_of_the_cache_is_malformed(hub, tree, revision):
    before = tree()
    with pytest.raises(ValueError, match=f"revision={re.escape(repr(revision))}"):
        medzoo.create_model(f"{NAME}@{revision}")
    assert hub.requests == []
    assert tree() == before


def test_timms_weights_come_the_same_way(hub, tmp_path):
    model = medzoo.create_model("timm/test_resnet", num_classes=1000, size=160)
    content = save(dict(model.state_dict()))
    hub.add("timm/test_resnet.r160_in1k", {"model.safetensors": content})
    images = torch.rand(2, 3, 160, 160)
    options = {"num_classes": 1000, "size": 160, "pretrained": True}
    again = medzoo.create_model("timm/test_resnet", **options).eval()
    torch.testing.assert_close(again(images), model.eval()(images))
    hub.fail("HEAD .*resolve", headers={"X-Linked-Etag": ABOVE})
    with pytest.raises(WeightsError, match=r"'test_resnet'.*ETag"):
        medzoo.create_model("timm/test_resnet", **options)


def test_gits_name_of_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    with path.open("rb") as file:
        assert git_name(file, 6) == "ce013625030ba8dba906f756967f9e9ca394464a"
