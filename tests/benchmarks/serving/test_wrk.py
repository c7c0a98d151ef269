"""The load generator: what it sends, and how often."""

import shutil
import threading
from collections import Counter
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serving.images import write_images
from benchmarks.serving.wrk import CONTENT_TYPE, FIELD, run_wrk, write_bodies
from medzoo.images import read_image

needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


def content(body):
    """The only part of a form."""
    (part,) = message_from_bytes(f"Content-Type: {CONTENT_TYPE}\n\n".encode() + body).get_payload()
    assert part.get_param("name", header="content-disposition") == FIELD
    return part.get_payload(decode=True)


def test_a_body_holds_one_image(tmp_path):
    images = write_images(tmp_path, 4)
    assert {path.suffix for path in images} == {".jpg", ".png"}
    for path, body in zip(images, write_bodies(images, tmp_path), strict=True):
        assert content(body.read_bytes()) == path.read_bytes()
        height, width, channels = read_image(path).shape
        assert channels == 3
        assert {height, width} <= set(range(112, 225))


@pytest.fixture
def service():
    """A service that counts the bodies that it gets; every fifth answer is an error."""
    seen = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            seen[self.rfile.read(int(self.headers["Content-Length"]))] += 1
            self.send_response(500 if seen.total() % 5 == 0 else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", seen
    server.shutdown()
    server.server_close()


@needs_wrk
def test_requests_are_sent_in_turn_and_failures_counted(tmp_path, service):
    address, seen = service
    bodies = write_bodies(write_images(tmp_path, 3), tmp_path)
    load = run_wrk(address, bodies, 1, clients=2)
    assert set(seen) == {body.read_bytes() for body in bodies}
    assert max(seen.values()) - min(seen.values()) <= 3
    assert load.failed == pytest.approx(load.requests / 5, abs=3)
    assert 0 < load.p50 <= load.p90 <= load.p99


@needs_wrk
@pytest.mark.slow
def test_a_rate_is_kept(tmp_path, service):
    address, _ = service
    bodies = write_bodies(write_images(tmp_path, 3), tmp_path)
    load = run_wrk(address, bodies, 4, clients=100, rate=50)
    assert load.rate == pytest.approx(50, rel=0.3)
