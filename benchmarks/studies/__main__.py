"""List and run the studies behind the design of medzoo, and print their tables.

    python -m benchmarks.studies list                  # the studies
    python -m benchmarks.studies list finetuning       # the trials of a study
    python -m benchmarks.studies run finetuning        # run the trials without a current record
    python -m benchmarks.studies run ablations --only optimiser
    python -m benchmarks.studies table finetuning

A trial is written to ``benchmarks/results/`` as soon as it ends, so a run can be interrupted and
started again at any time.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.reproduction.source import Source
from benchmarks.robustness.published import ROBUSTNESS
from benchmarks.robustness.recipe import ROBUST_RECIPE
from benchmarks.studies.ablations import ABLATIONS
from benchmarks.studies.architectures.architecture_search import ARCHITECTURE_SEARCH
from benchmarks.studies.architectures.design_trials import DESIGN_SCORES, DESIGN_SPEED
from benchmarks.studies.architectures.gate_ablation import GATE_ABLATION
from benchmarks.studies.explanations import EXPLANATIONS
from benchmarks.studies.leakage import LEAKAGE
from benchmarks.studies.ood import OOD
from benchmarks.studies.ood.near import OOD_NEAR
from benchmarks.studies.precision import PRECISION
from benchmarks.studies.published.abstention import ABSTENTION
from benchmarks.studies.published.coverage import COVERAGE
from benchmarks.studies.published.differences import DIFFERENCES
from benchmarks.studies.published.groups import GROUPS
from benchmarks.studies.published.operating_points import OPERATING_POINTS
from benchmarks.studies.search.better_than_luck import SEARCH_STUDY
from benchmarks.studies.search.newcomer import NEWCOMER
from benchmarks.studies.small_folders import SMALL_FOLDERS
from benchmarks.studies.study import Study
from benchmarks.studies.transfer.finetuning import FINETUNING
from benchmarks.studies.transfer.starts import TRANSFER
from medzoo.errors import DatasetError

STUDIES: dict[str, Study[Any]] = {
    study.name: study
    for study in (
        ABLATIONS,
        DESIGN_SCORES,
        DESIGN_SPEED,
        GATE_ABLATION,
        ARCHITECTURE_SEARCH,
        FINETUNING,
        SMALL_FOLDERS,
        SEARCH_STUDY,
        NEWCOMER,
        TRANSFER,
        EXPLANATIONS,
        LEAKAGE,
        OOD,
        OOD_NEAR,
        PRECISION,
        COVERAGE,
        ABSTENTION,
        DIFFERENCES,
        GROUPS,
        OPERATING_POINTS,
        ROBUSTNESS,
        ROBUST_RECIPE,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: Arguments; None for those of the process.
    """
    options = _arguments(arguments)
    if options.command == "list" and options.study is None:
        width = max(map(len, STUDIES))
        print("\n".join(f"{name:{width}}  {s.description}" for name, s in STUDIES.items()))
        return 0
    study = STUDIES[options.study]
    if options.command == "list":
        print("\n".join(trial.key for trial in study.selected(options.only)))
    elif options.command == "table":
        print(study.table())
    else:
        return _run(study, options)
    return 0


def _run(study: Study[Any], options: argparse.Namespace) -> int:
    source = Source(options.data_root)
    try:
        for trial, record in study.run_missing(source, options.only, options.again):
            print(f"{trial.key}: {study.summary(record)}", flush=True)
    except DatasetError as error:
        print(f"studies: error: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    lister = commands.add_parser("list", help="list the studies, or the trials of one")
    lister.add_argument("study", nargs="?", choices=STUDIES)
    runner = commands.add_parser("run", help="run the trials of a study")
    runner.add_argument("study", choices=STUDIES)
    runner.add_argument("--again", action="store_true", help="also trials with a current record")
    runner.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    for command in (lister, runner):
        command.add_argument(
            "--only", default="", metavar="TEXT", help="trials whose name contains TEXT"
        )
    commands.add_parser("table", help="print the table").add_argument("study", choices=STUDIES)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
