"""Try damaged files of every kind for a time; each must be read or refused.

An attempt counts as refused if it raises the documented error. Anything else is a fault: another
error, a crash, or more than the time or memory allowed. Each attempt has a number, from which it
can be repeated.

    python -m tests.fuzz --minutes 60
    python -m tests.fuzz --kind images --first 4711 --attempts 1
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import pkgutil
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import tests.fuzz
from tests.fuzz.readers import Case, outcome

EXPECTED = ("read", "refused")
MEGABYTES = 1500.0  # additional memory allowed for one kind
HANGS = 120.0  # seconds without an answer; also allowed for a process to import everything

Attempt = tuple[int, str, float, float]  # number, outcome, seconds, MB


def all_cases() -> dict[str, Case]:
    """Return the kinds of all modules beside this one that have a function `cases`."""
    found: dict[str, Case] = {}
    for module in pkgutil.iter_modules(tests.fuzz.__path__, "tests.fuzz."):
        if not module.name.endswith("__main__") and ".test_" not in module.name:
            cases = getattr(importlib.import_module(module.name), "cases", dict)()
            assert not found.keys() & cases.keys()
            found |= cases
    return found


def peak() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024 * 1024 if sys.platform == "darwin" else 1024)


def work(connection: Connection, kind: str, first: int) -> None:
    """Send the outcomes of one kind, from a number on, until this process is ended."""
    warnings.simplefilter("ignore")  # decoders warn about damage
    case = all_cases()[kind]
    with tempfile.TemporaryDirectory() as folder:
        outcome(case, Path(folder, "file"), first)  # imports everything
        start = peak()
        number = first
        while True:
            began = time.perf_counter()
            found = outcome(case, Path(folder, "file"), number)
            connection.send((number, found, time.perf_counter() - began, peak() - start))
            number += 1


def attempts(kind: str, number: int) -> Iterator[Attempt]:
    """Yield the outcomes of one kind without end; the process is replaced when it hangs or dies."""
    context = multiprocessing.get_context("spawn")
    while True:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, kind, number))
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


def main() -> None:
    """Run and print the results; exit with 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="for all kinds together")
    parser.add_argument("--attempts", type=int, default=10**9, help="at most, of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first attempt")
    parser.add_argument("--kind", choices=sorted(kinds := all_cases()), help="only this kind")
    arguments = parser.parse_args()
    chosen = [arguments.kind] if arguments.kind else sorted(kinds)
    faults = 0
    for kind in chosen:
        ends = time.monotonic() + 60 * arguments.minutes / len(chosen)
        became: Counter[str] = Counter()
        slowest = most = 0.0
        for number, found, seconds, megabytes in attempts(kind, arguments.first):
            slowest, most = max(slowest, seconds), max(most, megabytes)
            if found in EXPECTED and megabytes > MEGABYTES:
                found = f"{megabytes:.0f} MB"
            if found not in EXPECTED:
                print(f"fault: --kind '{kind}' --first {number}: {found}", file=sys.stderr)
                found = "faults"
            became[found] += 1
            if became.total() >= arguments.attempts or time.monotonic() > ends:
                break
        faults += became["faults"]
        counts = ", ".join(f"{became[name]} {name}" for name in (*EXPECTED, "faults"))
        print(
            f"{kind:16} {became.total()} attempts: {counts}; at most {slowest:.1f} s, {most:.0f} MB",
            flush=True,
        )
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
