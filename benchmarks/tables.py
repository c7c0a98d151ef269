"""Write the generated tables into README.md and docs/ from the measured figures.

    python benchmarks/tables.py            # write
    python benchmarks/tables.py --check    # fail if a table is out of date

A table (or the output of an example) stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ablations
import accuracy
import design_trials
import explanations
import finetuning
import gate_ablation
import leakage
import speed
import teachers
import transfer
from rows import Row, markdown, percent, spread

import medzoo
from medzoo.weights import weights_index

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
_BLOCK = re.compile(r"(<!-- table:(\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def results_table() -> str:
    """Return the reported table beside what was measured."""
    values = json.loads((RESULTS / "reproduce.json").read_text())
    return markdown([Row.from_dict(row) for row in values["rows"]])


def report() -> str:
    """Return the report of the first measured row, as `print(report)` shows it."""
    values = json.loads((RESULTS / "reproduce.json").read_text())
    run = next(run for row in values["rows"] for run in row["runs"])
    return f"```text\n{medzoo.Report.from_dict(run['report'])}\n```"


def example() -> str:
    """Return what examples/classify_an_image.py prints."""
    script = ROOT / "examples" / "classify_an_image.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return f"```text\n{done.stdout.rstrip()}\n```"


def zoo_table() -> str:
    """Return the published checkpoints."""
    lines = [
        "| Checkpoint | Trained on | Parameters | Test AUC (95 % interval) "
        "| Test ACC (95 % interval) | ECE | Over seeds | File | Licence |\n"
        "|---|---|---|---|---|---|---|---|---|"
    ]
    for entry in weights_index().values():
        test = entry.metrics.get("test")
        if test is None:
            lines.append(
                f"| `{entry.name}` | {', '.join(entry.data['sets'])}: a backbone "
                f"| {entry.parameters / 1e6:.2f} M | - | - | - | - | {entry.bytes / 1e6:.1f} MB "
                f"| {entry.licence} |"
            )
            continue
        auc, acc = test["intervals"]["auc"], test["intervals"]["acc"]
        lines.append(
            f"| `{entry.name}` | {test['title']} | {entry.parameters / 1e6:.2f} M "
            f"| {test['auc']:.4f} ({auc[0]:.3f} to {auc[1]:.3f}) "
            f"| {percent(test['acc'])} ({100 * acc[0]:.1f} to {100 * acc[1]:.1f}) "
            f"| {test['ece']:.3f} | {spread(entry.seed_stats) if entry.seed_stats else '-'} "
            f"| {entry.bytes / 1e6:.1f} MB | {entry.licence} |"
        )
    return "\n".join(lines)


def speed_table(*works: str) -> str:
    """Return the measured speeds, of some works or all, and where they were measured."""
    return f"{speed.table(speed.rows(*works))}\n\nMeasured on: {speed.where()}."


def inference_table() -> str:
    """Return the speeds of inference, and what the compiled models changed."""
    rows = speed.rows("inference")
    details = rows[0].details
    lines = [
        "| Model | Same class as the eager model | Validation ACC against it |\n|---|---|---|",
        *(
            f"| {name} | {percent(details['agreement'][name])} | {points:+.2f} points |"
            for name, points in details["acc_points"].items()
        ),
    ]
    return "\n".join([speed_table("inference"), "", *lines])


TABLES: dict[str, Callable[[], str]] = {
    "example": example,
    "report": report,
    "results": results_table,
    "zoo": zoo_table,
    "trials": design_trials.table,
    "ablation": gate_ablation.table,
    "speed": speed_table,
    "inference": inference_table,
    "scaling": lambda: speed_table("scaling"),
    "leakage": leakage.table,
    "transfer": transfer.table,
    "finetuning": finetuning.table,
    "trainings": accuracy.trainings,
    "teachers": teachers.table,
    "explanations": explanations.table,
    "derma": lambda: accuracy.table("dermamnist"),
    "pneumonia": lambda: accuracy.table("pneumoniamnist"),
    "breast": lambda: accuracy.table("breastmnist"),
    "retina": lambda: accuracy.table("retinamnist"),
    "trials_derma": lambda: ablations.table("dermamnist"),
    "trials_pneumonia": lambda: ablations.table("pneumoniamnist"),
    "trials_breast": lambda: ablations.table("breastmnist"),
    "trials_retina": lambda: ablations.table("retinamnist"),
    "trials_retina_alike": lambda: ablations.table("retinamnist", alike=True),
}


def rendered(text: str) -> str:
    """Return a page with every table in it made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}"

    return _BLOCK.sub(fill, text)


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only report tables out of date")
    check = parser.parse_args().check
    stale = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        if rendered(text) != text:
            stale.append(page.relative_to(ROOT))
            if not check:
                page.write_text(rendered(text), encoding="utf-8")
    for page in stale:
        print(f"{page}: {'out of date; run `make tables`' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
