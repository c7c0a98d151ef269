import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from medzoo.cache import cache_dir, locked, recall, remember


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "medzoo"


def test_the_folder_is_that_of_the_environment_else_of_the_user(cache, monkeypatch):
    assert cache_dir() == cache
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "medzoo"


def test_facts_are_kept_by_kind_and_path(tmp_path, monkeypatch):
    path = tmp_path / "a"
    assert recall("md5", path) == {}
    remember("md5", path, {"size": 3})
    assert recall("md5", path) == {"size": 3}
    assert recall("sha", path) == recall("md5", tmp_path / "b") == {}
    remember("md5", path, {"size": 4})
    assert recall("md5", path) == {"size": 4}
    monkeypatch.chdir(tmp_path)
    assert recall("md5", Path("a")) == {"size": 4}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_damaged_facts_count_as_none(cache, tmp_path, content):
    remember("md5", tmp_path / "a", {"size": 3})
    (entry,) = (cache / "md5").iterdir()
    entry.write_bytes(content)
    assert recall("md5", tmp_path / "a") == {}


def test_facts_that_are_not_json_leave_nothing(cache, tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        remember("md5", tmp_path / "a", {"path": tmp_path})
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember("md5", tmp_path / "a", {"size": 3})
    assert recall("md5", tmp_path / "a") == {}
    with locked(tmp_path / "a"):
        pass


def test_a_lock_keeps_other_processes_waiting(tmp_path):
    code = (
        "import sys; from pathlib import Path; from medzoo.cache import locked\n"
        "print('started', flush=True)\n"
        "with locked(Path(sys.argv[1])): Path(sys.argv[2]).touch()"
    )
    done = tmp_path / "done"
    with locked(tmp_path / "target"):
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "target"), str(done)],
            stdout=subprocess.PIPE,
        )
        assert other.stdout is not None
        assert other.stdout.readline() == b"started\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.5)
        assert not done.exists()
    assert other.wait(timeout=30) == 0
    assert done.exists()


def test_who_holds_a_lock_is_said_while_waiting_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("medzoo.cache._SILENT", 0.05)
    start = datetime.now().astimezone().isoformat(" ", "minutes")[:13]
    who = rf"process {os.getpid()} on \S+, which has been working on .*target since {start}"
    with locked(tmp_path / "target") as held:
        assert held
        with (
            pytest.warns(UserWarning, match=f"waiting for {who}"),
            pytest.raises(TimeoutError, match=f"gave up after waiting 0.1 s for {who}.*end it"),
            locked(tmp_path / "target", wait=0.1),
        ):
            pass
        with pytest.raises(TimeoutError, match=who), locked(tmp_path / "target", wait=0):
            pass
    with locked(tmp_path / "target", wait=0) as held:
        assert held


def test_a_killed_process_leaves_its_target_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from medzoo.cache import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "target")], stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"locked\n"
    with (
        pytest.raises(TimeoutError, match=f"process {other.pid} on"),
        locked(tmp_path / "target", wait=0),
    ):
        pass
    other.kill()
    other.wait()
    with locked(tmp_path / "target", wait=0) as held:
        assert held


def test_without_locks_the_work_goes_on(tmp_path, monkeypatch):
    def unsupported(*_, **__):
        raise NotImplementedError("the file system does not support flock")

    monkeypatch.setattr("medzoo.cache.FileLock.acquire", unsupported)
    with locked(tmp_path / "target") as held:
        assert not held


def test_paths_of_any_bytes_have_facts(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff")
    remember("md5", path, {"size": 3})
    assert recall("md5", path) == {"size": 3}
