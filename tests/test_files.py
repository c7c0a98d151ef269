import hashlib
import os

import pytest

from medzoo.files import sha256_of, write_atomically


def test_a_file_is_written_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    assert write_atomically(str(path), b"\x00content") == path
    assert path.read_bytes() == b"\x00content"
    write_atomically(path, b"other")
    assert path.read_bytes() == b"other"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = write_atomically(tmp_path / "a.bin", b"old")
    monkeypatch.setattr(*(("pathlib.Path.replace",) if step == "replace" else (os, step)), fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_digest_is_that_of_the_whole_file(tmp_path, size):
    content = os.urandom(size)
    path = write_atomically(tmp_path / "a.bin", content)
    assert sha256_of(path) == sha256_of(str(path)) == hashlib.sha256(content).hexdigest()
