import subprocess
import sys
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
    assert list((cache / "md5").iterdir()) == []


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
