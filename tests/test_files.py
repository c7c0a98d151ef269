import hashlib
import json
import os
import re

import pytest

from medzoo.files import MAX_DEPTH, parse_json, regular_file, sha256_of, write_atomically


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


@pytest.mark.skipif(os.name != "posix", reason="needs devices and pipes")
def test_only_regular_files_are_files(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(FileNotFoundError):
        regular_file(path)
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        regular_file(tmp_path)
    os.mkfifo(path)
    for wrong in (path, "/dev/zero"):
        with pytest.raises(OSError, match="is a device or a pipe"):
            regular_file(wrong)
    path.unlink()
    path.write_bytes(b"a")
    link = tmp_path / "link"
    link.symlink_to(path)
    assert regular_file(str(link)) == link


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("text", ["1", '{"a": [1, {"b": null}]}', nested(MAX_DEPTH - 1), b"2"])
def test_json_is_parsed(text):
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nested(MAX_DEPTH + 1), "nested more than 64"),
        (nested(900), "nested more than 64"),
        (nested(100_000), "nested more than 64"),
        ('{"a":' * 100_000, "nested more than 64"),
        ("[1", "Expecting"),
        ("", "Expecting value"),
        ("9" * 5000, "digits"),
        (b"\xff", "decode"),
    ],
)
def test_other_texts_are_value_errors(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)
