"""Run prediction on ten thousand damaged files, each of which must be read or refused.

A file counts as read if there is a prediction, and as refused if there is a `DatasetError`.
Anything else is a fault: another error, a crash, or more than the time or memory allowed for one
file.

    python -m tests.fuzz.fuzz_prediction [--files 10000]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.reporting.paths import RESULTS
from medzoo.files import write_atomically
from tests.fuzz.corrupt import damaged, whole_files

OUTPUT = RESULTS / "fuzz.json"
SECONDS, MEGABYTES = 10.0, 1500.0  # processor time and additional memory allowed for one file
HANGS = 60.0  # seconds of wall-clock time without an answer
EXPECTED = ("read", "refused")
START = 120.0  # seconds allowed for a process to import everything

Outcome = tuple[str, str, str, float, float]  # format, damage, outcome, seconds, MB


def peak() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024 * 1024 if sys.platform == "darwin" else 1024)


def work(connection: Connection, first: int, count: int) -> None:
    """Predict on the damaged files from `first` on; send the outcome of each."""
    import medzoo

    warnings.simplefilter("ignore")  # decoders warn about damage
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4))
    files = whole_files()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        path.write_bytes(files["PNG"][0])
        medzoo.predict(model, path, device="cpu")  # imports everything
        start = peak()
        connection.send(None)
        for index in range(first, count):
            name, way, content = damaged(index, files)
            path.write_bytes(content)
            began = time.process_time()
            try:
                medzoo.predict(model, path, device="cpu")
                outcome = "read"
            except medzoo.DatasetError as error:
                outcome = "memory" if isinstance(error.__cause__, MemoryError) else "refused"
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
            seconds = time.process_time() - began
            connection.send((name, way, outcome, seconds, peak() - start))


def outcomes(count: int, files: dict[str, list[bytes]]) -> Iterator[Outcome]:
    """Yield the outcome of each file; the process is replaced when it hangs or crashes."""
    context = multiprocessing.get_context("spawn")
    done = 0
    while done < count:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, done, count), daemon=True)
        process.start()
        theirs.close()
        try:
            patience = START
            while done < count:
                if not ours.poll(patience):
                    raise TimeoutError
                message = ours.recv()
                if message is not None:
                    done += 1
                    yield message
                patience = HANGS
        except (EOFError, TimeoutError) as error:
            name, way, _ = damaged(done, files)
            done += 1
            what = "hung" if isinstance(error, TimeoutError) else "crashed"
            yield name, way, what, 0.0, 0.0
        finally:
            process.kill()
            process.join()


def main() -> None:
    """Run, print and write the results; exit with 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    files = whole_files()
    formats = {name: dict.fromkeys(EXPECTED, 0) for name in sorted(files)}
    ways: dict[str, dict[str, int]] = {}
    faults: list[dict[str, Any]] = []
    slowest = most = 0.0
    began = time.perf_counter()
    for index, (name, way, outcome, seconds, megabytes) in enumerate(
        outcomes(arguments.files, files)
    ):
        slowest, most = max(slowest, seconds), max(most, megabytes)
        if outcome not in EXPECTED or seconds > SECONDS or megabytes > MEGABYTES:
            fault = {"file": index, "format": name, "damage": way, "outcome": outcome}
            faults.append(fault | {"cpu_seconds": round(seconds, 2), "mb": round(megabytes)})
            print(f"fault: {faults[-1]}", file=sys.stderr)
        if outcome in EXPECTED:
            formats[name][outcome] += 1
            ways.setdefault(way, dict.fromkeys(EXPECTED, 0))[outcome] += 1
    values = {
        "files": arguments.files,
        "faults": faults,
        "formats": formats,
        "damage": {way: ways[way] for way in sorted(ways)},
        "slowest_cpu_seconds": round(slowest, 2),
        "peak_mb": round(most),
        "limits": {"cpu_seconds": SECONDS, "mb": MEGABYTES},
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "packages": {name: version(name) for name in ("pillow", "pydicom")},
    }
    write_atomically(arguments.output, (json.dumps(values, indent=2) + "\n").encode())
    for name, counts in formats.items():
        print(f"{name:9} read {counts['read']:5}  refused {counts['refused']:5}")
    figures = f"slowest {slowest:.2f} CPU s, at most {most:.0f} MB"
    print(f"{len(faults)} faults, {figures}, {arguments.output}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
