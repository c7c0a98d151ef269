"""A Hub whose answers have status 200 and are not those of a Hub; or that take too long."""

import json
import time

import pytest

import medzoo
from medzoo.errors import WeightsError
from medzoo.publishing import push as push_module

REPO = "org/small"
STEPS = {
    "GET /api/models/org/small": "info",
    "POST /api/repos/create": "create",
    "validate-yaml": "card",
    "preupload": "preupload",
    "lfs/objects/batch": "large files",
    "/commit/": "commit",
}
BODIES = {
    "page": b"<!doctype html><title>Log in</title>",
    "nothing": b"",
    "null": b"null",
    "number": b"5",
    "text": b'"main"',
    "list": b"[1, [2]]",
    "empty": b"{}",
    "no text": b'{"\xff": 1}',
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "cut off": b'{"id": "org/small", "sha":',
    "wrong types": json.dumps(
        {
            "id": 5,
            "sha": ["0" * 40],
            "siblings": {"rfilename": None},
            "files": 7,
            "objects": "x",
            "commitOid": "../../etc",
            "commitUrl": 3,
            "url": {},
        }
    ).encode(),
    "control characters": b'{"error": "\x1b[2J\x00"}',
}


def push(hub):
    return medzoo.push_to_hub("any", REPO, token=hub.token)


@pytest.mark.parametrize("step", STEPS, ids=STEPS.values())
def test_an_answer_that_is_none_is_one_error(hub, step, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    contents = {"README.md": b"---\nlicense: mit\n---\n", "model.safetensors": b"weights\0"}
    monkeypatch.setattr(push_module, "repository_files", lambda *_: contents)
    monkeypatch.setattr(push_module.Release, "of", lambda *_: None)
    for name, body in BODIES.items():
        hub.heal()
        hub.repositories.clear()
        hub.storage.clear()
        if STEPS[step] == "info":
            hub.add(REPO, {"notes.txt": b"mine"})
        hub.fail(step, body=body, headers={"Content-Type": "application/json"})
        if STEPS[step] == "card" and name in ("empty", "wrong types"):
            push(hub)  # no errors in the card are in the answer
            continue
        with pytest.raises(WeightsError, match="small could not be published: ") as error:
            push(hub)
        assert "not that of a Hub" in str(error.value), name
        assert str(error.value).isprintable(), name
        assert len(str(error.value)) < 600, name


@pytest.mark.parametrize("seconds", ["nan", "0", "-1", "inf", "1e300", "soon"])
def test_a_time_limit_that_is_none_is_told_before_anybody_is_asked(hub, file, seconds, monkeypatch):
    monkeypatch.setenv("MEDZOO_HUB_TIMEOUT", seconds)
    with pytest.raises(ValueError, match=f"MEDZOO_HUB_TIMEOUT='{seconds}'"):
        medzoo.push_to_hub(file, REPO)
    with pytest.raises(ValueError, match=f"MEDZOO_HUB_TIMEOUT='{seconds}'"):
        medzoo.create_model(f"hf-hub:{REPO}")
    assert hub.requests == []


@pytest.mark.parametrize("step", ["GET /api/models/org/small", "PUT /cdn", "/commit/"])
def test_a_push_that_trickles_is_given_up(hub, file, step, monkeypatch):
    monkeypatch.setenv("MEDZOO_HUB_TIMEOUT", "0.6")
    hub.add(REPO, {"notes.txt": b"mine"})
    hub.fail(step, body=b" " * 1000, drip=True)
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"published: it took longer than 0\.6 s"):
        medzoo.push_to_hub(file, REPO, token=hub.token)
    assert time.monotonic() - start < 30  # of the 50 that it would take


def test_a_repository_that_does_not_say_whether_it_is_private_is_not_taken_for_it(hub, file):
    commit = hub.add(REPO, {"notes.txt": b"mine"})
    body = json.dumps({"id": REPO, "sha": commit, "private": "no", "siblings": []}).encode()
    hub.fail("GET /api/models", body=body)
    with pytest.raises(ValueError, match="exists and is public"):
        medzoo.push_to_hub(file, REPO, token=hub.token, private=True)


@pytest.mark.parametrize("sha", [None, "main", "../../x", 5, ["0" * 40]])
def test_a_commit_that_is_none_is_not_recorded(hub, file, sha):
    medzoo.push_to_hub(file, REPO, token=hub.token)
    info = hub.repositories[REPO]
    files = info.commits[info.refs["main"]]
    siblings = [
        {"rfilename": path, "size": 1, "blobId": one.blob}
        | ({"lfs": {"sha256": one.lfs, "size": 1, "pointerSize": 1}} if one.lfs else {})
        for path, one in files.items()
    ]
    body = json.dumps({"id": REPO, "sha": sha, "private": False, "siblings": siblings}).encode()
    hub.fail("GET /api/models", body=body)
    with pytest.raises(WeightsError, match="is not 40 hexadecimal digits"):
        medzoo.push_to_hub(file, REPO, token=hub.token)
