"""Measure medzoo's speed against its peers, in one run on one machine.

    python benchmarks/speed.py                       # everything, about an hour
    python benchmarks/speed.py --quick               # a rough answer in some minutes
    python benchmarks/speed.py --only loading start_up

Needs ``pip install '.[bench]'`` and an idle machine. DermaMNIST is looked for as always
(``--data-root``, else ``MEDZOO_DATA``, else medmnist's folder, else it is downloaded). Rows are
written to ``benchmarks/results/speed.json`` as they are measured, with the machine; rows of another
machine in that file are dropped. ``--quick`` prints only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import OURS, Measurement, machine
from works.accuracy import accuracy
from works.growth import growth
from works.inference import inference
from works.loading import loading
from works.process import memory, start_up
from works.scaling import scaling
from works.setting import DATASET, Setting
from works.training import training

import medzoo
from medzoo.datasets.load import data_root
from medzoo.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "speed.json"
WORKS: dict[str, Callable[[Setting], list[Measurement]]] = {
    work.__name__: work
    for work in (loading, training, inference, start_up, memory, growth, scaling, accuracy)
}
SLOW = ("accuracy", "memory")  # left out of --quick


def read() -> dict[str, Any]:
    """Return what was measured so far: the machine, and rows by work."""
    if not RESULTS.exists():
        return {"machine": {}, "works": {}}
    values: dict[str, Any] = json.loads(RESULTS.read_text())
    return values


def rows(*works: str) -> list[Measurement]:
    """Return the measured rows of some works, or of all."""
    measured = read()["works"]
    return [Measurement.from_dict(r) for name in works or WORKS for r in measured.get(name, [])]


def table(measurements: list[Measurement]) -> str:
    """Lay rows out as a Markdown table."""
    lines = ["| Work | medzoo | Others | Result | Target | Met |\n|---|---|---|---|---|---|"]
    for row in measurements:
        values = dict(row.values)
        ours = f"{_number(values.pop(OURS))} {row.unit}"
        others = "<br>".join(f"{_number(value)} {name}" for name, value in values.items())
        target = (
            "" if row.target is None else f"at {row.direction} {_with_unit(row.target, row.kind)}"
        )
        met = {None: "", True: "yes", False: "**no**"}[row.met]
        result = f"**{_with_unit(row.achieved, row.kind)}**, {row.note}"
        lines.append(f"| {row.work} | {ours} | {others} | {result} | {target} | {met} |")
    bounds = {
        row.limit: row.work for row in reversed(measurements) if row.met is False and row.limit
    }
    if bounds:
        lines += ["", "What bounds the works that miss their target:", ""]
        lines += [f"- *{work}.* {limit}" for limit, work in reversed(bounds.items())]
    return "\n".join(lines)


def where() -> str:
    """Say on what machine and with which versions the rows were measured."""
    values = read()["machine"]
    versions = ", ".join(f"{name} {v}" for name, v in values["versions"].items() if v)
    return (
        f"{values['processor']}, {values['cores']} cores, {values['threads']} threads, "
        f"{values['instructions']}, float32 peak {values['peak_gflops']:.0f} GFLOP/s; "
        f"Python {values['python']}, {versions}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _with_unit(value: float, kind: str) -> str:
    text = _number(value)
    return f"{text} {kind}" if kind and kind != "x" else f"{text}{kind}"


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller works")
    parser.add_argument("--only", nargs="+", choices=WORKS, help="some works")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    medzoo.load_dataset(DATASET, root=arguments.data_root)  # fetched now, if it has to be
    setting = Setting(data_root(arguments.data_root), arguments.quick)
    chosen = arguments.only or [n for n in WORKS if not (arguments.quick and n in SLOW)]
    kept, here = read(), machine()
    known = kept["machine"].get("processor") == here["processor"]
    if known:  # what the machine can do is the most that it ever did
        here["peak_gflops"] = max(here["peak_gflops"], kept["machine"]["peak_gflops"])
    results: dict[str, Any] = {"machine": here, "works": kept["works"] if known else {}}
    measured: list[Measurement] = []
    for name in chosen:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        new = WORKS[name](setting)
        measured += new
        results["works"][name] = [row.to_dict() for row in new]
        if not arguments.quick:
            write_atomically(RESULTS, (json.dumps(results, indent=2) + "\n").encode())
    print(table(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
