"""Attempts of one kind, in a process that may crash or hang."""

from __future__ import annotations

import importlib
import multiprocessing
import pkgutil
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import tests.fuzz
from tests.fuzz.readers import Case, outcome

HANGS = 120.0  # seconds without an answer; also allowed for a process to import everything

Attempt = tuple[int, str, float, float]  # number, outcome, seconds, MB


def kinds() -> dict[str, str]:
    """Return the modules beside this one that have a function `cases`, by the kinds in it."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(tests.fuzz.__path__, "tests.fuzz."):
        if not module.name.endswith("__main__") and ".test_" not in module.name:
            cases = getattr(importlib.import_module(module.name), "cases", dict)()
            assert not found.keys() & cases.keys(), "two kinds have the same name"
            found |= dict.fromkeys(cases, module.name)
    return found


def peak() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024 * 1024 if sys.platform == "darwin" else 1024)


def work(connection: Connection, module: str, kind: str, number: int) -> None:
    """Send the outcomes of one kind, from a number on, until this process is ended."""
    warnings.simplefilter("ignore")  # decoders warn about damage
    case: Case = importlib.import_module(module).cases()[kind]
    start = None
    with tempfile.TemporaryDirectory() as folder:
        while True:
            began = time.perf_counter()
            found = outcome(case, Path(folder, "file"), number)
            start = start or peak()  # the first attempt imports everything
            connection.send((number, found, time.perf_counter() - began, peak() - start))
            number += 1


def attempts(module: str, kind: str, number: int) -> Iterator[Attempt]:
    """Yield the outcomes of one kind without end; the process is replaced when it hangs or dies."""
    context = multiprocessing.get_context("spawn")
    while True:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, module, kind, number))
        process.start()
        theirs.close()
        try:
            while ours.poll(HANGS):
                attempt = ours.recv()
                number = attempt[0] + 1
                yield attempt
            yield number, "hung", HANGS, 0.0
        except EOFError:
            yield number, "crashed", 0.0, 0.0
        finally:
            process.terminate()
            process.join(5)
            process.kill()
        number += 1
