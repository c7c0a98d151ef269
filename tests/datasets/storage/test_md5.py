import hashlib
import os
import shutil

import pytest

from medzoo.datasets.storage import content
from medzoo.datasets.storage import md5 as checksum


def test_the_table_of_known_files():
    known = checksum.known_files()
    assert set(known.values()) == {
        "rebuilt",
        "rebuilt, own split",
        "official images, re-ordered",
        "test rebuilt; 5,443 substitute training images",
        "2,043 of 112,120 images",
    }
    assert all(len(md5) == 32 for md5 in known)


def md5_of(path):
    with path.open("rb") as file:
        return checksum.file_md5(file)


def test_md5_of_large_files_is_remembered_until_they_change(monkeypatch, tmp_path):
    monkeypatch.setattr(content, "REMEMBER_FROM", 10)
    path = tmp_path / "large"
    path.write_bytes(b"x" * 1000)
    first = md5_of(path)
    assert first == hashlib.md5(b"x" * 1000).hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(checksum, "_md5", None)  # hashing again would fail
        assert md5_of(path) == first
    stat = path.stat()
    path.write_bytes(b"y" * 1000)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert md5_of(path) == hashlib.md5(b"y" * 1000).hexdigest()
    copy = shutil.copy2(path, tmp_path / "copy")
    assert md5_of(copy) == md5_of(path)


@pytest.mark.parametrize("place", [0, 45_000, 99_999])
def test_samples_tell_files_apart_whose_times_do_not(monkeypatch, tmp_path, place):
    monkeypatch.setattr(content, "REMEMBER_FROM", 10)
    monkeypatch.setattr(content, "file_version", lambda file: {"size": len(data)})
    data = bytearray(100_000)
    path = tmp_path / "large"
    path.write_bytes(data)
    first = md5_of(path)
    data[place : place + 1] = b"y"
    path.write_bytes(data)
    assert md5_of(path) == hashlib.md5(data).hexdigest() != first
