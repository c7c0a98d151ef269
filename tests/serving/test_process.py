"""`medzoo serve` as a process of its own: from the command line to SIGTERM."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.serving.conftest import (
    PREDICT,
    XRAY,
    encoded,
    expected,
    patient_client,
    picture,
    said,
)

pytestmark = pytest.mark.slow


class Served:
    """A running `medzoo serve`."""

    def __init__(self, *arguments, ready=1, **options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "medzoo", "serve", *arguments, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        lines = [self.process.stdout.readline() for _ in range(ready)]
        found = [re.search(r"ready at (http://\S+) \(process (\d+)\)", line) for line in lines]
        assert all(found), self.process.communicate()
        self.address = found[0][1]
        self.processes = [int(match[2]) for match in found]
        self.client = patient_client(base_url=self.address)

    def end(self):
        """Ask it to stop; return what it wrote to its streams."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)


@pytest.fixture
def serve():
    started = []

    def serve(*arguments, **options):
        started.append(Served(*arguments, **options))
        return started[-1]

    yield serve
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
        served.process.communicate()


def test_it_answers_logs_and_ends(serve, models):
    served = serve(XRAY, env=os.environ | {"MEDZOO_TOKEN": "secret"})
    assert served.address.startswith("http://127.0.0.1:")
    headers = {"Authorization": "Bearer secret"}
    assert served.client.post(PREDICT, content=encoded()).status_code == 401
    response = served.client.post(PREDICT, content=encoded(), headers=headers)
    assert said(response.json()["predictions"][0]) == expected(models[XRAY], encoded())
    assert "server" not in response.headers
    _, errors = served.end()
    assert [json.loads(line)["status"] for line in errors.splitlines()] == [401, 200]
    assert served.process.returncode == -signal.SIGTERM


def accepts_connections(client):
    try:
        return bool(client.get("/v2/health/live"))
    except httpx.TransportError:  # what was accepted just before the end is reset
        return False


def test_what_is_in_flight_is_finished(serve):
    served = serve(XRAY)
    host, _, port = served.address.removeprefix("http://").partition(":")
    body = encoded()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(head.encode() + body[:100])
        assert accepts_connections(served.client)  # and has read what was sent before
        time.sleep(0.5)
        served.process.send_signal(signal.SIGTERM)
        while accepts_connections(served.client):
            time.sleep(0.1)
        client.sendall(body[100:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    served.process.communicate(timeout=60)


def test_nothing_is_written_to_disk_and_an_address_in_use_is_one_clear_error(serve):
    served = serve(XRAY)
    port = served.address.rpartition(":")[2]
    command = [sys.executable, "-m", "medzoo", "serve", XRAY, "--port", port]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (0, 0))  # writing fails from now on
    large = encoded(picture(0, (2500, 1500)).effect_spread(5))
    assert len(large) > 2 << 20
    for content, name in ((large, "a.png"), (encoded(kind="TIFF"), "a.tif")):
        response = served.client.post(PREDICT, files={"images": (name, content)})
        assert response.status_code == 200, response.text


def test_several_processes_share_a_port_and_replace_each_other(serve):
    served = serve(XRAY, "--workers", "2", ready=2)
    assert len(set(served.processes)) == 2
    for _ in range(20):
        assert served.client.post(PREDICT, content=encoded()).status_code == 200
    text = served.client.get("/metrics").text
    assert f'medzoo_predictions_total{{model="{XRAY}"}} 20.0' in text
    os.kill(served.processes[0], signal.SIGKILL)
    assert "ready at" in served.process.stdout.readline()
    for _ in range(20):
        assert served.client.post(PREDICT, content=encoded()).status_code == 200
    served.end()
    assert served.process.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_wrong_model_is_one_clear_error(workers):
    command = [sys.executable, "-m", "medzoo", "serve", "simple_cnn.pneumonia", "--port", "0"]
    done = subprocess.run([*command, "--workers", workers], capture_output=True, text=True)
    assert done.returncode == 1
    assert "did you mean" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_open_address_without_a_token_is_a_warning(serve):
    served = serve(XRAY, "--host", "0.0.0.0")
    assert "everybody who can reach 0.0.0.0" in served.end()[1]
