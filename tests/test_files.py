import errno
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

import medzoo
from medzoo.errors import WriteError
from medzoo.files import (
    MAX_DEPTH,
    check_writable,
    parse_json,
    regular_file,
    sha256_of,
    write_atomically,
)


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


posix = pytest.mark.skipif(os.name != "posix", reason="needs links, modes and pipes")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_a_link_is_followed(tmp_path):
    target = tmp_path / "there" / "a.bin"
    link, dangling = tmp_path / "link", tmp_path / "dangling"
    link.symlink_to(target)
    write_atomically(link, b"made")  # also if there is nothing yet
    assert (target.read_bytes(), link.is_symlink()) == (b"made", True)
    write_atomically(link, b"new")
    assert (target.read_bytes(), link.is_symlink()) == (b"new", True)
    assert list(target.parent.iterdir()) == [target]
    dangling.symlink_to(dangling)
    with pytest.raises(WriteError, match="symbolic links"):
        write_atomically(dangling, b"x")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_the_mode_is_kept_and_private_content_is_never_public(tmp_path, monkeypatch, mode):
    path = tmp_path / "a.bin"
    path.touch()
    path.chmod(mode)
    sync, seen = os.fsync, []

    def look(handle):
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        sync(handle)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(path, b"new")
    assert (path.read_bytes(), mode_of(path)) == (b"new", mode)
    assert seen[0] == 0o600
    assert time.time() - path.stat().st_mtime < 60


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        path = write_atomically(tmp_path / "a.bin", b"")
    finally:
        os.umask(before)
    assert mode_of(path) == 0o666 & ~mask


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs the administrator")
def test_the_administrator_does_not_take_over_a_users_file(tmp_path):
    path = tmp_path / "a.bin"
    path.touch()
    path.chmod(0o640)
    os.chown(path, 1234, 1235)
    write_atomically(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid, mode_of(path)) == (1234, 1235, 0o640)


@posix
def test_what_was_another_groups_is_not_given_to_ones_own(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.touch()
    path.chmod(0o664)

    def deny(*_):
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "chown", deny)
    found = os.stat_result
    real = Path.stat

    def other_group(self, **options):
        values = list(real(self, **options))
        values[5] += self == path
        return found(values)

    monkeypatch.setattr(Path, "stat", other_group)
    write_atomically(path, b"new")
    monkeypatch.undo()
    assert mode_of(path) == 0o604


@posix
def test_what_may_not_be_written_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write every file
    for attempt in (lambda: write_atomically(path, b"new"), lambda: check_writable(path)):
        with pytest.raises(WriteError, match="Permission denied"):
            attempt()
    assert path.read_bytes() == b"old"


def device(path, minor):
    """Make a device of the tests' own: a test that fails must not replace the system's."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        path.open("wb").close()  # not on a file system without devices
    except OSError as error:
        pytest.skip(f"cannot make a device: {error}")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="knows the devices of Linux")
def test_a_device_is_written_into(tmp_path):
    null, full = device(tmp_path / "null", 3), device(tmp_path / "full", 7)
    before = null.stat()
    check_writable(null)
    write_atomically(null, b"content")
    assert os.path.samestat(null.stat(), before)
    assert null.is_char_device()
    with pytest.raises(WriteError, match="free some space"):
        write_atomically(full, b"content")
    assert full.is_char_device()


@posix
def test_a_pipe_is_written_into(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"content")
    reader.join()
    assert found == [b"content"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not Path("/proc/self/fd/1").exists(), reason="needs /proc")
def test_the_output_of_the_process_is_written_into_although_it_is_a_file(tmp_path):
    link, out = tmp_path / "stdout", tmp_path / "out"
    link.symlink_to("/proc/self/fd/1")  # as /dev/stdout, which a test must not put at risk
    code = (
        "from medzoo.files import write_atomically; print('1', flush=True);"
        f"write_atomically({str(link)!r}, b'2\\n'); print('3')"
    )
    with out.open("wb") as stream:
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True)
    assert out.read_text().split() == ["1", "2", "3"]
    assert link.is_symlink()
    assert set(tmp_path.iterdir()) == {link, out}


def test_the_folder_is_synced_after_the_renaming(tmp_path, monkeypatch):
    steps = []
    sync, replace = os.fsync, Path.replace

    def synced(handle):
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def replaced(self, target):
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_atomically(tmp_path / "a.bin", b"")
    assert steps == ["file", "rename", "folder"][: 3 if os.name == "posix" else 2]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    def fail(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fail)
    assert write_atomically(tmp_path / "a.bin", b"new").read_bytes() == b"new"


@posix
def test_a_killed_writer_leaves_the_old_content_and_the_next_one_removes_what_it_left(tmp_path):
    path = write_atomically(tmp_path / "a.bin", b"old")
    code = (
        "import os, signal; from medzoo import files;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        f"files.write_atomically({str(path)!r}, b'new')"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (leftover,) = set(tmp_path.iterdir()) - {path}
    write_atomically(path, b"newer")
    assert leftover.exists()  # its writer may be at work
    yesterday = time.time() - 25 * 3600
    os.utime(leftover, (yesterday, yesterday))
    others = [
        tmp_path / name
        for name in (
            f".b.bin.{uuid4().hex}",  # of another file
            f".a.bin.{'x' * 32}",
            f".a.bin.{uuid4().hex}.txt",
            f"a.bin.{uuid4().hex}",
            ".a.bin.notes",
        )
    ]
    for other in others:
        other.touch()
        os.utime(other, (yesterday, yesterday))
    write_atomically(path, b"newest")
    assert set(tmp_path.iterdir()) == {path, *others}


def test_a_write_at_any_moment_of_many_leaves_a_whole_file(tmp_path):
    """Writers and a reader at once: the reader never sees a part, nor that there is none."""
    path = write_atomically(tmp_path / "a.bin", bytes(1000))

    def write(value):
        for _ in range(20):
            write_atomically(path, bytes([value]) * (1000 + value))

    writers = [threading.Thread(target=write, args=(value,)) for value in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        content = path.read_bytes()
        assert content == content[:1] * (1000 + content[0])
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127])
def test_names_may_be_as_long_as_the_system_allows(tmp_path, name):
    check_writable(tmp_path / name)
    assert write_atomically(tmp_path / name, b"new").read_bytes() == b"new"
    with pytest.raises(WriteError, match="choose a shorter name"):
        write_atomically(tmp_path / (name + "b" * 9), b"")


@posix
def test_a_file_behind_a_folder_that_does_not_exist_yet_keeps_its_mode(tmp_path):
    path = tmp_path / "a.bin"
    path.touch(0o600)
    write_atomically(tmp_path / "new" / ".." / "a.bin", b"new")
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o600)


def test_what_cannot_be_written_is_found_without_creating_anything(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "a.bin")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for path, why in ((tmp_path, "give a file in it"), (tmp_path / "file" / "a", "Not a dir")):
        with pytest.raises(WriteError, match=why):
            check_writable(path, "the table")
        with pytest.raises(WriteError, match=why):
            write_atomically(path, b"", "the table")


def test_a_null_character_in_a_path_is_named(tmp_path):
    path = str(tmp_path / "a\0b.safetensors")
    model = medzoo.create_model("simple_cnn", num_classes=2, widths=(4, 8, 16))
    with pytest.raises(WriteError, match=r"cannot write the weights.*null character.*another name"):
        medzoo.save_weights(model, path)
    with pytest.raises(medzoo.WeightsError, match="null character"):
        medzoo.create_model(path)
    with pytest.raises(medzoo.DatasetError, match=r"root=.*null character"):
        medzoo.load_dataset("dermamnist", root=path)
