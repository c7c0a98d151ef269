import hashlib
import shutil

from medzoo.datasets.storage import md5 as checksum


def test_the_table_of_known_files():
    known = checksum.known_files()
    assert set(known.values()) == {
        "rebuilt",
        "rebuilt, own split",
        "official images, re-ordered",
        "test rebuilt; 5,443 substitute training images",
        "partial",
    }
    assert all(len(md5) == 32 for md5 in known)


def test_md5_of_large_files_is_remembered_until_they_change(monkeypatch, tmp_path):
    monkeypatch.setattr(checksum, "REMEMBER_FROM", 10)
    path = tmp_path / "large"
    path.write_bytes(b"x" * 1000)
    first = checksum.file_md5(path)
    assert first == hashlib.md5(b"x" * 1000).hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(checksum.hashlib, "md5", None)  # hashing again would fail
        assert checksum.file_md5(path) == first
    path.write_bytes(b"y" * 1001)
    assert checksum.file_md5(path) == hashlib.md5(b"y" * 1001).hexdigest()
    copy = shutil.copy2(path, tmp_path / "copy")
    assert checksum.file_md5(copy) == checksum.file_md5(path)
