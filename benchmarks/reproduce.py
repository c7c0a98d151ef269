"""Reproduce the results table: evaluate the published weights, or train them from scratch.

  python benchmarks/reproduce.py        # published weights, test split
  python benchmarks/reproduce.py --train --rows dermamnist/advanced_cnn --seeds 0,1
  python benchmarks/reproduce.py --train --rows breastmnist/simple_cnn --epochs 5

Where a row has teachers (benchmarks/reproduction/teachers.py), its model learns from them with the
recipe "distilled"; those that are not published models are trained first. With --plain it learns
from the labels only. With --searched, the network and the recipe are those that the study
architecture_search has found for the row; epochs and teachers stay as they are.

With --groups FILE (columns: split, index and the name of the group), models and teachers are
trained on splits that share no group, such as a lesion. The test split stays the same.

With --record, every finished training is stored in benchmarks/results/training/, from which the
documentation takes its tables. With --resume, trainings that are stored there are not repeated.

The test split is read once per row, after all choices were made on the validation split. Without
real data, the same pipeline runs on synthetic data, says so, and does not write results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if not __package__:  # started as a file: Python has put benchmarks/ on the path, not its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import medzoo
from benchmarks.reporting.paths import OUTPUT
from benchmarks.reproduction.measure import Options, environment, measure, train_row
from benchmarks.reproduction.rows import Row, markdown, select
from benchmarks.reproduction.searched import searched_changes
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.summary import write_comparison, write_summary
from medzoo.files import write_atomically

SYNTHETIC_HEADING = "SYNTHETIC: made-up images, not a result"
SYNTHETIC_ROWS = (("dermamnist", "simple_cnn"), ("dermamnist", "efficientnet"))
SYNTHETIC_CHANGES: Mapping[str, Any] = {
    "epochs": 4,
    "batch_size": 32,
    "augmentation": {"rotation": 0, "mixup": 0},
}
"""Changes to the bundled recipes that make a few synthetic images enough to learn from."""


def main() -> int:
    """Run the command line and return the exit code."""
    arguments = _arguments()
    try:
        rows = select(arguments.rows)
        for row in rows if arguments.searched else ():
            searched_changes(row.name)
    except ValueError as error:
        print(f"reproduce: error: {error}", file=sys.stderr)
        return 2
    options = _options(arguments)
    for row in rows:
        measure(row, options)
    if all(row.problem for row in rows):
        _run_on_synthetic_data(rows, options)
        return 0

    print("\n" + markdown(rows) + "\n")
    for row in rows:
        if row.problem:
            print(f"{row.name}: {row.problem}: {row.reason}")
        elif row.note:
            print(f"{row.name}: the reported figure is {row.note}")
    write_comparison(rows, options.output)
    write_summary(rows, options.output, "Results")
    if arguments.json:
        content = json.dumps(_results(rows, options), indent=2) + "\n"
        if arguments.json == "-":
            print(content)
        else:
            write_atomically(arguments.json, content.encode())
    print(f"\nTable, plots and figures: {options.output}/TRAINING_SUMMARY.md")
    return 0


def _run_on_synthetic_data(rows: list[Row], options: Options) -> None:
    """Run the pipeline on synthetic data, to show that it works; this gives no results."""
    print("\nNo row could be measured:")
    for row in rows:
        print(f"  {row.name}: {row.problem}: {row.reason}")
    print(
        "\nSet MEDZOO_DATA (or --data-root) to a folder of MedMNIST files, or allow downloads.\n"
        "Until then, the same pipeline on synthetic data:\n\n=== SYNTHETIC ===\n"
    )
    options = Options(plain=True, device=options.device, output=options.output / "SYNTHETIC")
    synthetic = [Row(dataset, model) for dataset, model in SYNTHETIC_ROWS]
    for row in synthetic:
        train_row(row, medzoo.synthetic(row.dataset), options, SYNTHETIC_CHANGES)
    print(f"\n=== {SYNTHETIC_HEADING} ===\n\n" + markdown(synthetic))
    write_comparison(synthetic, options.output)
    write_summary(synthetic, options.output, SYNTHETIC_HEADING)


def _results(rows: list[Row], options: Options) -> dict[str, Any]:
    mode = "train" if options.train else "published weights"
    return {"mode": mode, **environment(options.device), "rows": [row.to_dict() for row in rows]}


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        train=arguments.train,
        seeds=tuple(int(seed) for seed in arguments.seeds.split(",")),
        epochs=arguments.epochs,
        resume=arguments.resume,
        record=arguments.record,
        plain=arguments.plain,
        searched=arguments.searched,
        source=Source(arguments.data_root, arguments.groups, arguments.group_column),
        device=arguments.device,
        output=arguments.output,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", help="dataset/model, several separated by commas; default: the reported table"
    )
    parser.add_argument("--train", action="store_true", help="train from scratch")
    parser.add_argument("--seeds", default="0", help="seeds of the trainings, comma-separated")
    parser.add_argument("--epochs", type=int, help="number of epochs, overrides the recipes")
    parser.add_argument("--resume", action="store_true", help="continue interrupted trainings")
    parser.add_argument("--record", action="store_true", help="store finished trainings")
    parser.add_argument("--plain", action="store_true", help="train without teachers")
    parser.add_argument("--searched", action="store_true", help="train what a search has found")
    parser.add_argument("--groups", metavar="FILE", help="train on splits that share no group")
    parser.add_argument("--group-column", default="lesion_id", help="column of FILE (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures; - prints them")
    arguments = parser.parse_args()
    if arguments.groups and not arguments.train:
        parser.error("--groups changes the training splits; it needs --train")
    if arguments.searched and not arguments.train:
        parser.error("--searched changes the network and its training; it needs --train")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
