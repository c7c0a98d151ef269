"""Measure the speed of medzoo against its peers, in one run on one machine.

    python benchmarks/speed.py                       # everything, about an hour
    python benchmarks/speed.py --quick               # a rough answer in some minutes
    python benchmarks/speed.py --only loading start_up

Needs ``pip install '.[bench]'`` and an idle machine. DermaMNIST is looked up as always
(``--data-root``, then ``MEDZOO_DATA``, then the folder of medmnist, then it is downloaded). Rows
are written to ``benchmarks/results/speed.json`` as they are measured, together with the machine;
rows measured on another machine are removed from that file. ``--quick`` only prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if not __package__:  # started as a file: Python has put benchmarks/ on the path, not its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import medzoo
from benchmarks.speed_cases.growth import growth
from benchmarks.speed_cases.inference import inference
from benchmarks.speed_cases.loading import loading
from benchmarks.speed_cases.measurement import DATASET, Measurement, Setting
from benchmarks.speed_cases.memory import memory
from benchmarks.speed_cases.report import SPEED, read, table
from benchmarks.speed_cases.scaling import scaling
from benchmarks.speed_cases.startup import start_up
from benchmarks.speed_cases.time_to_accuracy import time_to_accuracy
from benchmarks.speed_cases.timing import machine
from benchmarks.speed_cases.training import training
from medzoo.datasets.source import data_root
from medzoo.files import write_atomically

CASES: Mapping[str, Callable[[Setting], list[Measurement]]] = {
    "loading": loading,
    "training": training,
    "inference": inference,
    "start_up": start_up,
    "memory": memory,
    "growth": growth,
    "scaling": scaling,
    "accuracy": time_to_accuracy,
}
"""What is measured, in the order of the table, by the names in ``results/speed.json``."""
SLOW = ("accuracy", "memory")
"""Left out of ``--quick``."""


def main() -> int:
    """Run the command line and return the exit code."""
    arguments = _arguments()
    medzoo.load_dataset(DATASET, root=arguments.data_root)  # download it now if necessary
    setting = Setting(data_root(arguments.data_root), arguments.quick)
    chosen = arguments.only or [n for n in CASES if not (arguments.quick and n in SLOW)]
    earlier, here = read(), machine()
    same_machine = earlier["machine"].get("processor") == here["processor"]
    if same_machine:  # its peak is the highest rate that was ever measured
        here["peak_gflops"] = max(here["peak_gflops"], earlier["machine"]["peak_gflops"])
    works: dict[str, Any] = earlier["works"] if same_machine else {}
    measured: list[Measurement] = []
    for name in chosen:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        rows = CASES[name](setting)
        measured += rows
        works[name] = [row.to_dict() for row in rows]
        if not arguments.quick:
            content = json.dumps({"machine": here, "works": works}, indent=2) + "\n"
            write_atomically(SPEED, content.encode())
    print(table(measured))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller tasks")
    parser.add_argument("--only", nargs="+", choices=CASES, help="measure these only")
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
