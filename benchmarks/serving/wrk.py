"""The load generator: wrk, which costs little of the processor that it shares with the server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_name("wrk.lua")
_BOUNDARY = "5d41402abc4b2a76b9719d911017c592"
CONTENT_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
FIELD = "images"
"""Name of the part that holds the image; every contestant gets the same bytes."""


@dataclass(frozen=True)
class Load:
    """What wrk measured.

    Attributes:
        requests: Requests that were answered.
        seconds: How long it took.
        failed: Requests without an answer, or with a status that is not 2xx.
        p50: Median latency in milliseconds.
        p90: Its 90th percentile.
        p99: Its 99th percentile.
    """

    requests: int
    seconds: float
    failed: int
    p50: float
    p90: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def check_wrk() -> None:
    """Make sure that wrk is installed.

    Raises:
        FileNotFoundError: If it is not.
    """
    if not shutil.which("wrk"):
        raise FileNotFoundError("wrk is not installed; on Debian: apt-get install wrk")


def write_bodies(images: Sequence[Path], folder: Path) -> list[Path]:
    """Write the body of a request for each image, as a form with one file.

    Args:
        images: PNG and JPEG files.
        folder: Where the bodies are written.
    """
    bodies = []
    for path in images:
        kind = "image/png" if path.suffix == ".png" else "image/jpeg"
        head = (
            f"--{_BOUNDARY}\r\n"
            f'Content-Disposition: form-data; name="{FIELD}"; filename="{path.name}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        )
        body = folder / f"{path.name}.body"
        body.write_bytes(head.encode() + path.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode())
        bodies.append(body)
    return bodies


def run_wrk(
    address: str, bodies: Sequence[Path], seconds: float, *, clients: int, rate: float = 0
) -> Load:
    """Send requests to a service.

    Args:
        address: Where they are sent.
        bodies: What is sent, in turn.
        seconds: For how long.
        clients: Connections.
        rate: Requests per second, at random moments. If 0, each client sends its next request when
            the previous one was answered.

    Raises:
        RuntimeError: If nothing was measured.
    """
    command = [
        *("wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--timeout", "30s"),
        *("-s", str(_SCRIPT), address, "--"),
        *(CONTENT_TYPE, *map(str, bodies)),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"RATE": str(rate)}, check=False
    )
    if done.returncode or not done.stdout.rstrip().endswith("}"):
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return Load(**json.loads(done.stdout.rstrip().rpartition("\n")[2]))
