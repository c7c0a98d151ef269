"""Slow, endless and broken clients over a real socket: none of them harms the others."""

import json
import logging
import socket
import struct
import time

import pytest

from medzoo.serving import connection
from tests.serving.conftest import PREDICT, encoded, patient_client

HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n".encode()


@pytest.fixture
def impatient(monkeypatch):
    """Times that are short enough for tests."""
    monkeypatch.setattr(connection, "_PATIENCE", 0.5)
    monkeypatch.setattr(connection, "_REST", 0.3)


@pytest.fixture
def ask(address):
    """A function that sends a request which is as it should be."""
    with patient_client(base_url="http://{}:{}".format(*address)) as client:
        yield client.request


@pytest.fixture
def connect(address, ask):
    """A function that opens connections, and checks at the end that others are answered."""
    opened = []

    def connect():
        opened.append(socket.create_connection(address, timeout=60))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()
    assert ask("POST", PREDICT, content=encoded()).status_code == 200


def answer(client):
    """The status and the document that a connection gives before it is closed."""
    received = b""
    while chunk := client.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]) if head else None, body


def is_closed(client):
    """Whether the other side closes the connection."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def flood(client, chunk, most=64 << 20):
    """Send the same again and again; return the bytes after which the other side has closed."""
    sent = 0
    try:
        while sent < most:
            client.sendall(chunk)
            sent += len(chunk)
    except OSError:
        return sent
    return sent


@pytest.mark.parametrize("start", [b"", b"GE", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_connections_without_a_request_are_closed(connect, impatient, start):
    client = connect()
    client.sendall(start)
    assert is_closed(client)


def test_headers_of_a_later_request_may_not_be_slow_either(connect, impatient):
    client = connect()
    client.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in client.recv(65536)
    client.sendall(b"GET / HTTP/1.1\r\n")
    assert is_closed(client)


@pytest.mark.parametrize(
    "chunk",
    [b"X: " + 1000 * b"a" + b"\r\n", 1000 * b"a"],
    ids=["many headers", "one endless header"],
)
def test_endless_headers_are_refused(connect, chunk):
    client = connect()
    client.sendall(b"GET / HTTP/1.1\r\n")
    assert flood(client, chunk) < 16 << 20


def test_endless_trailers_are_refused(connect):
    client = connect()
    client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    assert flood(client, b"X: " + 1000 * b"a" + b"\r\n") < 16 << 20


def test_tiny_chunks_may_not_cost_more_than_they_hold(connect):
    client = connect()
    client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    assert flood(client, b"1;" + 500 * b"x" + b"\r\na\r\n") < 16 << 20


def test_a_slow_body_is_given_up(connect):
    client = connect()
    client.sendall(HEAD + b"Content-Length: 1000\r\nConnection: close\r\n\r\nabc")
    start = time.monotonic()
    status, body = answer(client)  # the application of these tests waits for two seconds
    assert status == 408
    assert "2 seconds" in json.loads(body)["detail"]
    assert time.monotonic() - start < 30


def test_an_endless_upload_is_refused_and_then_closed(connect, impatient):
    client = connect()
    client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    start = time.monotonic()
    flood(client, chunk, 8 << 30)
    assert time.monotonic() - start < 30


def test_who_is_refused_early_can_finish_and_read_why(ask):
    assert ask("POST", f"{PREDICT}x", content=bytes(900_000)).status_code == 404
    assert ask("POST", PREDICT, content=bytes(16 << 20)).status_code == 413


def test_a_flood_of_requests_is_refused(connect):
    assert flood(connect(), b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" * 100) < 16 << 20


def test_requests_may_be_sent_before_others_are_answered(connect):
    client = connect()
    client.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    received = b""
    while received.count(b'{"live":true}') < 50:
        received += client.recv(65536)


def test_who_does_not_read_the_answers_is_given_up(impatient, address, monkeypatch):
    monkeypatch.setattr(connection, "_MAX_AHEAD", 1 << 30)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(60)
        client.connect(address)
        flood(client, b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        with pytest.raises(ConnectionError):
            client.sendall(b"GET")


def test_who_goes_before_the_answer_leaves_no_error_in_the_log(connect, ask, caplog):
    for _ in range(20):
        client = connect()
        client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # which now resets the connection
    assert ask("GET", "/v2/health/live").status_code == 200  # after all of them
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


def test_a_body_that_is_cut_off_is_nobodys_problem(connect, access_log):
    client = connect()
    client.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")
    time.sleep(0.1)
    client.close()
    deadline = time.monotonic() + 60
    while '"status": 499' not in access_log.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert '"status": 499' in access_log.text


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"G\0T / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(connect, request_):
    client = connect()
    client.sendall(request_)
    assert answer(client)[0] in (400, None)
