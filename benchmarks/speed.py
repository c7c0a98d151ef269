"""Measure the speed of medzoo against its peers, in one run on one machine.

    python benchmarks/speed.py                       # everything, one to two hours
    python benchmarks/speed.py --quick               # a rough answer in some minutes
    python benchmarks/speed.py --only loading start_up
    python benchmarks/speed.py --resume              # what this processor has no rows of
    python benchmarks/speed.py --peer-python PYTHON  # also fastai, see `make peer`
    python benchmarks/speed.py --device cuda         # on a GPU, some minutes
    python benchmarks/speed.py --merge FILE          # add what was measured on another machine

Needs ``pip install '.[bench]'``. DermaMNIST is looked up as always (``--data-root``, then
``MEDZOO_DATA``, then the folder of medmnist, then it is downloaded). The machine should be idle:
what is measured while something else runs is said to be noisy. Rows are
written to ``benchmarks/results/speed.json`` as they are measured, in place of earlier ones of the
same processor; if a task fails, the others are measured all the same. ``--quick`` only prints.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

if not __package__:  # started as a file: Python has put benchmarks/ on the path, not its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import medzoo
from benchmarks.speed_cases.end_to_end.breastmnist import end_to_end
from benchmarks.speed_cases.inference import inference
from benchmarks.speed_cases.latency import latency
from benchmarks.speed_cases.loading import loading
from benchmarks.speed_cases.measurement import DATASET, Measurement, Setting
from benchmarks.speed_cases.profile import profile
from benchmarks.speed_cases.record import durations, measured, merge, save
from benchmarks.speed_cases.report import table
from benchmarks.speed_cases.runtimes.backends import backends
from benchmarks.speed_cases.scale.growth import growth
from benchmarks.speed_cases.scale.large_jpegs import large_jpegs
from benchmarks.speed_cases.scale.large_sets import large_sets
from benchmarks.speed_cases.scale.many_files import many_files
from benchmarks.speed_cases.scale.memory import memory
from benchmarks.speed_cases.scale.scaling import scaling
from benchmarks.speed_cases.startup import start_up
from benchmarks.speed_cases.time_to_accuracy import time_to_accuracy
from benchmarks.speed_cases.training import training
from benchmarks.timing.machine import machine
from medzoo.datasets.source import data_root
from medzoo.device import resolve_device

CASES: Mapping[str, Callable[[Setting], list[Measurement]]] = {
    "loading": loading,
    "training": training,
    "inference": inference,
    "latency": latency,
    "large_jpegs": large_jpegs,
    "accuracy": time_to_accuracy,
    "end_to_end": end_to_end,
    "backends": backends,
    "start_up": start_up,
    "many_files": many_files,
    "memory": memory,
    "large_sets": large_sets,
    "growth": growth,
    "scaling": scaling,
    "profile": profile,
}
"""What is measured, in the order of the table, by the names in ``results/speed.json``."""
APART = ("backends", "profile")
"""Shown in tables of their own."""
SLOW = ("latency", "accuracy", "end_to_end", "memory", "large_sets")
"""Left out of ``--quick``, unless they are named."""
ON_GPU = ("loading", "training", "inference", "accuracy")
"""What a GPU makes faster."""


def main() -> int:
    """Run the command line and return the exit code."""
    arguments = _arguments()
    if arguments.merge:
        print(f"added: {', '.join(merge(arguments.merge))}")
        return 0
    medzoo.load_dataset(DATASET, root=arguments.data_root)  # download it now if necessary
    device = resolve_device(arguments.device)
    setting = Setting(
        data_root(arguments.data_root),
        arguments.quick,
        device,
        arguments.tmp,
        arguments.peer_python,
    )
    here = machine(device)
    done = measured(here, arguments.results) if arguments.resume else set()
    chosen = _chosen(arguments, setting, done)
    print(_plan(chosen, durations(here)), file=sys.stderr, flush=True)
    failed = []
    for name in chosen:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            rows = CASES[name](setting)
        except Exception:
            traceback.print_exc()
            failed.append(name)
            continue
        if not arguments.quick:
            save(here, name, rows, time.perf_counter() - start, arguments.results)
        print(f"{table(rows)}\n", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _chosen(arguments: argparse.Namespace, setting: Setting, done: set[str]) -> list[str]:
    """Return the cases to measure, in their order."""
    if arguments.only:
        cases = list(arguments.only)
    else:
        cases = [
            n for n in (ON_GPU if setting.on_gpu else CASES) if not (setting.quick and n in SLOW)
        ]
        if setting.peer_python is None and "end_to_end" in cases:
            print("left out: end_to_end, which needs --peer-python", file=sys.stderr)
            cases.remove("end_to_end")
    return [name for name in cases if name not in done]


def _plan(cases: Sequence[str], seconds: Mapping[str, float]) -> str:
    """Say what will be measured, and how long that took the last time."""
    lines = [
        f"  {name:<12}{seconds[name] / 60:5.1f} min"
        if name in seconds
        else f"  {name:<12}  unknown"
        for name in cases
    ]
    known = sum(seconds.get(name, 0) for name in cases) / 60
    return "\n".join(
        [f"to measure, with the time it took before ({known:.0f} min in all):", *lines]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller tasks")
    parser.add_argument("--only", nargs="+", choices=CASES, help="measure these only")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what was measured with these versions"
    )
    parser.add_argument(
        "--peer-python", metavar="PYTHON", help="of an environment with fastai, for end_to_end"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    parser.add_argument(
        "--tmp", type=Path, metavar="DIR", help="where large files are written for a while (10 GB)"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="where rows are written, instead"
    )
    parser.add_argument(
        "--merge",
        type=Path,
        metavar="FILE",
        help="add the rows of such a file, and do nothing else",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
