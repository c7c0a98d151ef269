"""Programs that are killed at random moments, after which their files must be read or resumed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from safetensors.torch import load_file

from tests.fuzz.readers import Case

ROOT = Path(__file__).parents[2]
_WRITE = """
import itertools, sys
from medzoo.files import write_atomically
print(flush=True)
for number in itertools.count():
    write_atomically(sys.argv[1], bytes([number % 256]) * 1_000_000)
"""
_TRAIN = """
import sys, torch
from tests.training import test_resume
torch.set_num_threads(1)
print(flush=True)
test_resume.trainer(test_resume.data(), sys.argv[1], test_resume.LONG, seed=7).fit(resume=True)
"""


def cases() -> dict[str, Case]:
    """Return the kinds of programs by name; a file holds the number of the attempt."""
    return {
        "killed write": Case(_number, _kill_a_write, (), "", in_suite=6),
        "killed training": Case(_number, _kill_a_training, (), "", in_suite=0),
    }


def _number(number: int) -> bytes:
    return str(number).encode()


def run_and_kill(script: str, argument: Path, seconds: float) -> None:
    """Start a program, and kill it so many seconds after it has printed its first line."""
    program = subprocess.Popen(
        [sys.executable, "-c", script, str(argument)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert program.stdout
    program.stdout.readline()
    time.sleep(seconds)
    program.kill()
    program.communicate()


def _kill_a_write(path: Path) -> None:
    moment = random.Random(int(path.read_text())).uniform(0, 0.05)
    path.write_bytes(b"\0" * 1_000_000)
    run_and_kill(_WRITE, path, moment)
    content = path.read_bytes()
    assert content == content[:1] * 1_000_000, "a part of a file"
    for rest in path.parent.glob(f".{path.name}.*"):  # of the write that was killed
        rest.unlink()


def _kill_a_training(path: Path) -> None:
    """Kill a training several times; in the end it is the same as one that was not."""
    moments = random.Random(int(path.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            run_and_kill(_TRAIN, Path(folder), moments.uniform(0, 4))
        assert _finish(Path(folder)) == _undisturbed(), "the run differs from an undisturbed one"


@cache
def _undisturbed() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return _finish(Path(folder))


def _finish(folder: Path) -> str:
    """Train to the end; return a digest of the weights."""
    program = [sys.executable, "-c", _TRAIN, str(folder)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tensors = load_file(folder / "models" / "run.safetensors")
    content = b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))
    return hashlib.sha256(content).hexdigest()
