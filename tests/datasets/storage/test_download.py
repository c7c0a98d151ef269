import errno
import hashlib
import io
import socket
import socketserver
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from medzoo.datasets.storage.download import download_file
from medzoo.errors import DatasetError

BODY = bytes(range(256)) * 3000
MD5 = hashlib.md5(BODY).hexdigest()
get = partial(download_file, max_bytes=1 << 20)


def test_a_good_file_arrives_whole(server, tmp_path, capfd):
    server.pages["/a.npz"] = (200, None, BODY)
    target = tmp_path / "new" / "a.npz"
    get(f"{server.url}/a.npz", target, MD5)
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
        get(url, tmp_path / "a.npz", MD5)
    for part in (url, str(tmp_path), MD5, "manually", "MEDZOO_DATA"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_survives_a_failed_download(server, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"old")
    with pytest.raises(DatasetError):
        get(f"{server.url}/a.npz", tmp_path / "a.npz", MD5)
    assert (tmp_path / "a.npz").read_bytes() == b"old"


def test_nobody_there(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DatasetError, match="refused"):
        get(f"http://127.0.0.1:{port}/a.npz", tmp_path / "a.npz", MD5)


def test_a_silent_server_times_out(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.npz"
        with pytest.raises(DatasetError, match="timed out"):
            get(url, tmp_path / "a.npz", MD5, timeout=0.2)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    server.pages["/a.npz"] = (200, None, BODY)
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="root="):
        get(f"{server.url}/a.npz", tmp_path / "file" / "a.npz", MD5)


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
        get(f"{server.url}/a.npz", tmp_path / "a.npz", MD5)
    monkeypatch.undo()
    assert "free some space" in str(caught.value)
    assert "root=" in str(caught.value)
    assert "connection" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class RawServer(socketserver.ThreadingTCPServer):
    """Sends parts of an answer as they are, with a pause after each."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, parts, pause=0.0):
        super().__init__(("127.0.0.1", 0), socketserver.StreamRequestHandler)
        self.parts, self.pause = parts, pause
        self.stopped = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/a.npz"

    def finish_request(self, request, client_address):
        request.recv(1 << 16)
        with suppress(OSError):
            for part in self.parts:
                request.sendall(part)
                if self.pause and self.stopped.wait(self.pause):
                    return

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def test_a_trickle_ends(tmp_path):
    length = f"Content-Length: {len(BODY)}\r\n\r\n".encode()
    with (
        RawServer([OK + length, *(b"x" for _ in range(999))], 0.02) as server,
        pytest.raises(DatasetError, match=r"only [0-9]+ bytes per second arrive"),
    ):
        get(server.url, tmp_path / "a.npz", MD5, timeout=0.4)
    with (
        RawServer([OK, *(b"X: 1\r\n" for _ in range(999))], 0.02) as server,
        pytest.raises(DatasetError, match=r"took longer than 1\.2 s"),
    ):
        get(server.url, tmp_path / "a.npz", MD5, timeout=0.3)
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_file_can_have_is_refused(tmp_path):
    for answer, message in (
        ([OK + b"Content-Length: 1048577\r\n\r\n"], "announces 1,048,577 bytes"),
        ([OK + b"\r\n", *[bytes(1 << 19)] * 3], "more than 1,048,576 bytes arrived"),
        (
            [
                OK + b"Transfer-Encoding: chunked\r\n\r\n",
                *[b"80000\r\n" + bytes(1 << 19) + b"\r\n"] * 3,
            ],
            "more than 1,048,576 bytes arrived",
        ),
    ):
        with RawServer(answer) as server, pytest.raises(DatasetError, match=message):
            get(server.url, tmp_path / "a.npz", MD5)
    assert list(tmp_path.iterdir()) == []


def test_space_is_checked_before_anything_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    server.pages["/a.npz"] = (200, None, BODY)
    with pytest.raises(DatasetError, match=r"768,000 bytes, only 1,000 are free; free some space"):
        get(f"{server.url}/a.npz", tmp_path / "a.npz", MD5)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\xe9\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:999999/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\x00a b\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 300 + b".\xc3\xa9/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: /a.npz\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\xff" * 100,
        b"",
        OK + b"Content-Length: -5\r\n\r\nab",
        OK + b"Content-Length: 5_0\r\n\r\nab",
        OK + b"Content-Length: \xb2\r\n\r\nab",
        OK + CHUNKED + b"zz\r\nab",
        OK + CHUNKED + b"-9\r\nab",
        OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
        OK + b"X: 1\r\n" * 200 + b"\r\n",
    ],
)
def test_answers_that_are_not_http_are_one_error(answer, tmp_path):
    with RawServer([answer]) as server, pytest.raises(DatasetError, match="manually"):
        get(server.url, tmp_path / "a.npz", MD5, timeout=2.0)
    assert list(tmp_path.iterdir()) == []
