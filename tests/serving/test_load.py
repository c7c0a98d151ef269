"""Mixed requests to a real service of two processes, one of which is killed meanwhile.

MEDZOO_LOAD_REQUESTS=10000 makes it the long form, which takes about a minute.
"""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import medzoo
from tests.serving.conftest import LESION, XRAY, encoded, picture
from tests.serving.load_client import Manner, Reply, form, post

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc"),
]

REQUESTS = int(os.environ.get("MEDZOO_LOAD_REQUESTS", "1500"))
CLIENTS = 24
NAME = "name-of-a-patient"
MB = 1 << 20


class Service:
    """``medzoo serve`` with two processes, and all that it prints."""

    def __init__(self, folder):
        self.lines = []
        environment = {
            name: str(folder) for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
        }
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "medzoo", "serve", XRAY, LESION),
                *("--port", "0", "--workers", "2", "--max-body", "1"),
            ],
            cwd=folder,
            env={**os.environ, **environment, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        wait(lambda: len(self.ready()) == 2, "the service does not start")
        self.port = int(re.search(r":(\d+) \(process", "\n".join(self.lines))[1])

    def _read(self):
        self.lines += self._process.stdout

    def ready(self):
        """The processes that said that they were ready, in their order."""
        said = re.findall(r"ready at .* \(process (\d+)\)", "\n".join(self.lines))
        return list(map(int, said))

    def stop(self):
        """Ask it to end; return its exit code."""
        self._process.terminate()
        return self._process.wait(60)

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)


def wait(condition, problem, patience=90):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, problem
        time.sleep(0.05)


def memory(process):
    """Resident memory of a process, in bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def files(folder):
    """All files in a folder; libraries write caches of their own when they are imported."""
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def service(tmp_path):
    service = Service(tmp_path)
    yield service
    service.kill()


@dataclass(frozen=True)
class Request:
    """A request, and the answers that are right: probabilities by image, or a status."""

    model: str
    body: bytes
    kind: str
    status: int = 200
    right: tuple = ()
    manner: Manner = "at once"


def requests(dicom):
    """One request of each kind, each with how many there are of it."""
    files = {
        "PNG": encoded(picture(1)),
        "JPEG": encoded(picture(2), "JPEG"),
        "BMP": encoded(picture(3, mode="L"), "BMP"),
        "palette": encoded(picture(4, mode="P"), "PNG"),
        "WEBP": encoded(picture(5), "WEBP"),
        "TIFF": encoded(picture(6), "TIFF"),
        "DICOM": dicom,
    }
    loaded = {name: medzoo.create_model(name, pretrained=True) for name in (XRAY, LESION)}

    def good(model, *kinds, **options):
        contents = [files[kind] for kind in kinds]
        right = tuple(medzoo.predict(loaded[model], content).probabilities for content in contents)
        return Request(model, *form(contents, NAME), right=right, **options)

    def bad(status, body, kind="image/png", model=XRAY, **options):
        return Request(model, body, kind, status, **options)

    broken = files["PNG"][:-40]
    bomb = files["PNG"][:16] + bytes([0, 1, 0, 0] * 2) + files["PNG"][24:]  # 65536 x 65536
    return [
        *((good(model, kind), 6) for model in loaded for kind in ("PNG", "JPEG", "BMP", "palette")),
        *((good(XRAY, kind), 2) for kind in ("WEBP", "TIFF", "DICOM")),
        (good(LESION, "PNG", "JPEG", "BMP", "PNG", "JPEG"), 3),
        (good(XRAY, "PNG", manner="slow"), 2),
        (bad(422, *form([broken], NAME)), 3),
        (bad(422, *form([files["JPEG"], b"no image"], NAME)), 2),
        (bad(422, bomb), 1),
        (bad(413, bytes(2 * MB)), 1),
        (bad(404, files["PNG"], model="no_such_model"), 1),
        (bad(0, *form([files["PNG"]], NAME), manner="cut off"), 3),
    ]


async def load(port, mixed, half):
    """Send all requests, and call a function when half of them are on their way."""
    queue = list(enumerate(mixed))[::-1]
    replies: list[Reply | None] = [None] * len(mixed)

    async def client():
        while queue:
            index, request = queue.pop()
            if index == len(mixed) // 2:
                half()
            path = f"/v1/models/{request.model}/predict"
            replies[index] = await post(port, path, request.body, request.kind, request.manner)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return replies


def check(request, reply):
    """Make sure that an answer is the right one."""
    assert reply.status == request.status, reply.values
    if request.status != 200:
        assert reply.values["status"] == request.status
        assert reply.values["detail"]
        return
    for prediction, right in zip(reply.values["predictions"], request.right, strict=True):
        given = {one["label"]: one["probability"] for one in prediction["probabilities"]}
        assert given == pytest.approx(right, abs=1e-5)


def test_every_answer_is_right_and_none_is_lost(service, tmp_path, dicom):
    kinds, weights = zip(*requests(dicom), strict=True)
    mixed = random.Random(0).choices(kinds, weights, k=REQUESTS)
    killed, kept = service.ready()
    at_start = {path for path in files(tmp_path) if not path.parent.name.startswith("medzoo")}
    asyncio.run(load(service.port, mixed[: REQUESTS // 5], lambda: None))  # fills caches
    before = memory(kept)
    replies = asyncio.run(load(service.port, mixed, lambda: os.kill(killed, signal.SIGKILL)))

    sent_whole = [pair for pair in zip(mixed, replies, strict=True) if pair[0].status]
    answered = [(request, reply) for request, reply in sent_whole if reply.status]
    for request, reply in answered:
        check(request, reply)
    # A client of the process that was killed knows that it got no answer.
    errors = Counter(reply.error for _, reply in sent_whole if not reply.status)
    assert all(error.startswith("connection: ") for error in errors), errors
    assert sum(errors.values()) <= CLIENTS

    wait(lambda: len(service.ready()) == 3, "the killed process was not replaced")
    again = asyncio.run(load(service.port, mixed[:200], lambda: None))
    assert all(
        reply.status == request.status
        for request, reply in zip(mixed, again, strict=False)
        if request.status
    )
    assert memory(kept) < 1.1 * before + 16 * MB
    assert memory(service.ready()[-1]) < 1.1 * before + 16 * MB

    # Only prometheus_client's numbers are written to the disk, and at the end not even these.
    written = files(tmp_path) - at_start
    assert {path.parent.name[:15] for path in written} == {"medzoo-metrics-"}
    assert not any(NAME.encode() in path.read_bytes() for path in written)
    assert service.stop() == 0
    assert files(tmp_path) <= at_start

    printed = "".join(service.lines)
    assert NAME not in printed
    log = [json.loads(line) for line in service.lines if not line.startswith("medzoo: ")]
    assert len(log) >= len(answered)
