"""Write the generated tables into README.md and docs/ from the measured figures.

    python benchmarks/tables.py            # write the tables
    python benchmarks/tables.py --check    # fail if a table is out of date
    python benchmarks/tables.py --plots    # also draw the plots in docs/images/

A table (or the output of an example) is between ``<!-- table:NAME -->`` and ``<!-- /table -->``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

if not __package__:  # started as a file: Python has put benchmarks/ on the path, not its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from matplotlib.figure import Figure

import medzoo
from benchmarks.reporting.format import (
    markdown_table,
    percent,
)
from benchmarks.reporting.paths import IMAGES, RESULTS, ROOT
from benchmarks.reproduction import comparison, result_tables, teachers
from benchmarks.robustness import agreement, published
from benchmarks.robustness import recipe as robust_recipe
from benchmarks.serving import browser
from benchmarks.serving import report as serving
from benchmarks.speed import APART, CASES
from benchmarks.speed_cases import profile
from benchmarks.speed_cases import report as speed
from benchmarks.speed_cases.record import newest
from benchmarks.studies import (
    ablations,
    explanations,
    leakage,
    precision,
    small_folders,
)
from benchmarks.studies.architectures import architecture_search, design_trials, gate_ablation
from benchmarks.studies.ood import near
from benchmarks.studies.ood import report as report_of_ood
from benchmarks.studies.published import abstention, coverage, differences, groups, operating_points
from benchmarks.studies.search import better_than_luck, newcomer
from benchmarks.studies.transfer import finetuning, starts

_NOT_YET = "Not measured yet."
_BLOCK = re.compile(r"(<!-- table:(\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def report() -> str:
    """Return the report of the first measured row, as `print(report)` shows it."""
    rows = json.loads((RESULTS / "reproduce.json").read_text())["rows"]
    run = next(run for row in rows for run in row["runs"])
    return f"```text\n{medzoo.Report.from_dict(run['report'])}\n```"


def example() -> str:
    """Return what examples/classify_an_image.py prints."""
    script = ROOT / "examples" / "classify_an_image.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return f"```text\n{done.stdout.rstrip()}\n```"


def inference_table() -> str:
    """Return the newest speeds of inference, and how compiled models differ from the eager one."""
    record, measured = newest("inference", "latency")
    evaluation = measured[0]
    details = evaluation.details
    rows = [
        (name, percent(details["agreement"][name]), f"{points:+.2f} points")
        for name, points in details["acc_points"].items()
    ]
    header = ("Model", "Agreement with the eager model", "Difference in validation ACC")
    speeds = speed.side_by_side([(record["machine"], measured)])
    return f"{speeds}\n\n{markdown_table(header, rows)}"


TABLES: Mapping[str, Callable[[], str]] = {
    "example": example,
    "report": report,
    "results": result_tables.short_results,
    "all_results": result_tables.results,
    "zoo": result_tables.zoo,
    "differences": differences.table,
    "trials": design_trials.table,
    "ablation": gate_ablation.table,
    "speed": lambda: speed.speed_tables(*(name for name in CASES if name not in APART)),
    "backends": lambda: speed.speed_tables("backends") or _NOT_YET,
    "profile": lambda: profile.profile_tables() or _NOT_YET,
    "inference": inference_table,
    "scaling": lambda: speed.speed_tables("scaling"),
    "serving": serving.table,
    "browser": browser.table,
    "leakage": leakage.table,
    "ood": report_of_ood.table,
    "ood_methods": report_of_ood.methods_table,
    "ood_near": near.table,
    "transfer": starts.table,
    "finetuning": finetuning.table,
    "small_folders": small_folders.table,
    "precision": precision.table,
    "coverage_90": lambda: coverage.table(0.9),
    "coverage_95": lambda: coverage.table(0.95),
    "abstention": abstention.table,
    "groups": groups.table,
    "search": better_than_luck.table,
    "newcomer": newcomer.table,
    "architectures": architecture_search.table,
    "operating_points": operating_points.table,
    "trainings": comparison.trainings,
    "teachers": teachers.table,
    "explanations": explanations.table,
    "corruptions": agreement.table,
    "robustness": published.table,
    "robust_recipe": robust_recipe.table,
    "derma": lambda: comparison.table("dermamnist"),
    "oct": lambda: comparison.table("octmnist"),
    "oct_classes": lambda: comparison.classes_table("octmnist"),
    "chest": lambda: comparison.multi_label_table("chestmnist"),
    "chest_labels": lambda: comparison.labels_table("chestmnist"),
    "blood": lambda: comparison.table("bloodmnist"),
    "pneumonia": lambda: comparison.table("pneumoniamnist"),
    "breast": lambda: comparison.table("breastmnist"),
    "retina": lambda: comparison.table("retinamnist"),
    "trials_derma": lambda: ablations.table("dermamnist"),
    "trials_pneumonia": lambda: ablations.table("pneumoniamnist"),
    "trials_breast": lambda: ablations.table("breastmnist"),
    "trials_retina": lambda: ablations.table("retinamnist"),
    "trials_oct": lambda: ablations.table("octmnist"),
    "trials_blood": lambda: ablations.table("bloodmnist"),
    "trials_chest": lambda: ablations.table("chestmnist"),
    "trials_retina_alike": lambda: ablations.table("retinamnist", alike=True),
}
PLOTS: Mapping[str, tuple[Callable[[], Figure], int]] = {
    "accuracy.png": (comparison.plot, 150),
    "gate_ablation.png": (gate_ablation.plot, 120),
    "speed_accuracy.png": (speed.accuracy_plot, 120),
    "speed_growth.png": (speed.growth_plot, 120),
    "serving.png": (serving.plot, 120),
    "coverage.png": (coverage.plot, 120),
    "groups.png": (groups.plot, 120),
    "search.png": (better_than_luck.plot, 120),
    "risk_coverage.png": (abstention.plot, 120),
    "ood.png": (report_of_ood.plot, 100),
    "robustness.png": (published.plot, 120),
}
"""How each plot in docs/images/ is drawn, and in how many dots per inch."""


def render(text: str) -> str:
    """Return a page with every generated table up to date.

    Args:
        text: The page, in Markdown.
    """

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}"

    return _BLOCK.sub(fill, text)


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only report tables out of date")
    parser.add_argument("--plots", action="store_true", help="also draw the plots")
    arguments = parser.parse_args()
    stale = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        rendered = render(text)
        if rendered != text:
            stale.append(page.relative_to(ROOT))
            if not arguments.check:
                page.write_text(rendered, encoding="utf-8")
    for page in stale:
        print(f"{page}: {'out of date; run `make tables`' if arguments.check else 'written'}")
    if arguments.plots:
        IMAGES.mkdir(parents=True, exist_ok=True)
        for name, (draw, dpi) in PLOTS.items():
            draw().savefig(IMAGES / name, dpi=dpi)
            print(f"{(IMAGES / name).relative_to(ROOT)}: written")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
