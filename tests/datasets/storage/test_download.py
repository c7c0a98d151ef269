import errno
import hashlib
import io
import socket
from pathlib import Path

import pytest

from medzoo.datasets.storage.download import download_file
from medzoo.errors import DatasetError

BODY = bytes(range(256)) * 3000
MD5 = hashlib.md5(BODY).hexdigest()


def test_a_good_file_arrives_whole(server, tmp_path, capfd):
    server.pages["/a.npz"] = (200, None, BODY)
    target = tmp_path / "new" / "a.npz"
    download_file(f"{server.url}/a.npz", target, MD5)
    assert target.read_bytes() == BODY
    assert [p.name for p in target.parent.iterdir()] == ["a.npz"]
    assert capfd.readouterr().err == ""  # no progress bar where stderr is no terminal


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((404, None, b"gone"), "404"),
        ((500, None, b""), "500"),
        ((200, len(BODY), BODY[:70_000]), "70,000 of 768,000 bytes"),
        ((200, None, BODY[:-1] + b"x"), "has md5"),
        ((200, None, b""), "has md5"),
    ],
)
def test_a_bad_answer_is_one_clear_error_and_leaves_nothing(server, tmp_path, page, message):
    server.pages["/a.npz"] = page
    url = f"{server.url}/a.npz"
    with pytest.raises(DatasetError, match=message) as caught:
        download_file(url, tmp_path / "a.npz", MD5)
    for part in (url, str(tmp_path), MD5, "manually", "MEDZOO_DATA"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_survives_a_failed_download(server, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"old")
    with pytest.raises(DatasetError):
        download_file(f"{server.url}/a.npz", tmp_path / "a.npz", MD5)
    assert (tmp_path / "a.npz").read_bytes() == b"old"


def test_nobody_there(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DatasetError, match="refused"):
        download_file(f"http://127.0.0.1:{port}/a.npz", tmp_path / "a.npz", MD5)


def test_a_silent_server_times_out(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.npz"
        with pytest.raises(DatasetError, match="timed out"):
            download_file(url, tmp_path / "a.npz", MD5, timeout=0.2)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    server.pages["/a.npz"] = (200, None, BODY)
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="root="):
        download_file(f"{server.url}/a.npz", tmp_path / "file" / "a.npz", MD5)


@pytest.mark.parametrize("step", ["open", "write", "replace"])
def test_a_full_disk_is_not_the_connections_fault(server, tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    class FullFile(io.BytesIO):
        write = close = fail

    opened = (lambda *_: FullFile()) if step == "write" else fail
    monkeypatch.setattr(Path, "replace" if step == "replace" else "open", opened)
    server.pages["/a.npz"] = (200, None, BODY)
    with pytest.raises(DatasetError, match="No space left") as caught:
        download_file(f"{server.url}/a.npz", tmp_path / "a.npz", MD5)
    monkeypatch.undo()
    assert "free some space" in str(caught.value)
    assert "root=" in str(caught.value)
    assert "connection" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
