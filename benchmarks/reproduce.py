"""Reproduce the results table: evaluate the published weights, or train them from scratch.

  python benchmarks/reproduce.py        # published weights, test split
  python benchmarks/reproduce.py --train --rows dermamnist/advanced_cnn --seeds 0,1
  python benchmarks/reproduce.py --train --rows breastmnist/simple_cnn --epochs 5

Where a data set has teachers (benchmarks/teachers.py), they are trained first, and the row's model
learns from them by the recipe "distilled"; with --plain, from the labels alone.

With --groups FILE (columns split, index and a name of the group), models and teachers are trained on
splits no two of which have a group, such as a lesion, in common; the test split stays the same.

With --record, every finished training is kept in benchmarks/results/training/, where the documents
find it; with --resume, what is kept there is not trained again.

The test split is read once a row, after everything was chosen on the validation split. Without
any real data the same pipeline runs on synthetic data, says so, and leaves results alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from record import Record
from rows import Row, markdown, select
from source import Source
from summary import write_comparison, write_row_plots, write_summary
from teachers import TEACHERS, teach, trained

import medzoo
from medzoo.files import sha256_of, write_atomically
from medzoo.training import load_recipe
from medzoo.weights import find_entry

PLAIN = "plain"
"""What trainings without teachers are called where others have some: their folder and record."""

SYNTHETIC_CHANGES: Mapping[str, Any] = {
    "epochs": 4,
    "batch_size": 32,
    "augmentation": {"rotation": 0, "mixup": 0},
}
"""To the bundled recipes, so that a few made-up images are enough to learn something."""


def main() -> int:
    """Run the command line and return the exit code."""
    arguments = _arguments()
    try:
        rows = select(arguments.rows)
    except ValueError as error:
        print(f"reproduce: error: {error}", file=sys.stderr)
        return 2
    output = Path(arguments.output)
    for row in rows:
        _measure(row, arguments, output)
    if all(row.problem for row in rows):
        return _synthetic(rows, arguments, output)

    print("\n" + markdown(rows) + "\n")
    for row in rows:
        if row.problem:
            print(f"{row.name}: {row.problem}: {row.reason}")
        elif row.note:
            print(f"{row.name}: the reported figure is {row.note}")
    write_comparison(rows, output)
    write_summary(rows, output, "Results")
    if arguments.json:
        content = json.dumps(_results(rows, arguments), indent=2) + "\n"
        if arguments.json == "-":
            print(content)
        else:
            write_atomically(arguments.json, content.encode())
    print(f"\nTable, plots and figures: {output}/TRAINING_SUMMARY.md")
    return 0


def _measure(row: Row, arguments: argparse.Namespace, output: Path) -> None:
    """Fill a row in: find its weights (or train them) and read the test split."""
    try:
        if not arguments.train:
            for model in row.members or [row.model]:
                find_entry(model, row.dataset)
        data = _source(arguments).load(row.dataset)
    except medzoo.WeightsError as error:
        row.problem, row.reason = "no weights", str(error)
        return
    except medzoo.DatasetError as error:
        row.problem, row.reason = "no data", str(error)
        return
    if row.members:
        _evaluate_ensemble(row, data, arguments, output / _variant(row.dataset, arguments))
    elif arguments.train:
        _train(row, data, arguments, output)
    else:
        _evaluate_published(row, data, arguments, output)


def _evaluate_published(
    row: Row, data: medzoo.Dataset, arguments: argparse.Namespace, output: Path
) -> None:
    print(f"{row.name}: evaluating the published weights on {data.title} ...", flush=True)
    entry = find_entry(row.model, row.dataset)
    model = medzoo.create_model(row.model, dataset=row.dataset, pretrained=True)
    report = medzoo.evaluate(model, data.test, device=arguments.device)
    run = {"seed": entry.seed, "val_auc": entry.metrics["val"]["auc"], "sha256": entry.sha256}
    row.seed_stats = dict(entry.seed_stats) if entry.seed_stats else None
    _add_run(row, data, model, run | {"recipe": dict(entry.recipe)}, report, output)


def _evaluate_ensemble(
    row: Row, data: medzoo.Dataset, arguments: argparse.Namespace, output: Path
) -> None:
    """Evaluate an ensemble of the published weights, or one a seed of those just trained."""
    for seed in _seeds(arguments) if arguments.train else [0]:
        print(f"{row.name}: evaluating {', '.join(row.members)} together ...", flush=True)
        folder = output / row.dataset / "models"
        members = [
            folder / f"{model}-seed{seed}.safetensors"
            if arguments.train
            else f"{model}.{row.dataset}"
            for model in row.members
        ]
        try:
            model = medzoo.Ensemble(members)
        except medzoo.WeightsError as error:
            row.problem, row.reason = "no weights", f"{error} (train the members first)"
            return
        values: dict[str, Any] = {"seed": seed}
        if arguments.train:  # what is published is one, so that there is nothing to choose from
            val = medzoo.evaluate(
                model, data.val, tta=row.tta, device=arguments.device, resamples=0
            )
            values |= {"val_auc": val.auc, "val_acc": val.acc}
        report = medzoo.evaluate(model, data.test, tta=row.tta, device=arguments.device)
        _add_run(row, data, model, values, report, output)


def _source(arguments: argparse.Namespace) -> Source:
    return Source(arguments.data_root, arguments.groups, arguments.group_column)


def _variant(dataset: str, arguments: argparse.Namespace) -> str:
    """Return what is different from the ordinary training of a row; empty if nothing is."""
    plain = PLAIN if arguments.plain and dataset in TEACHERS else ""
    return "-".join(filter(None, (plain, _source(arguments).variant)))


def _seeds(arguments: argparse.Namespace) -> list[int]:
    return [int(seed) for seed in arguments.seeds.split(",")]


def _train(
    row: Row,
    data: medzoo.Dataset,
    arguments: argparse.Namespace,
    output: Path,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    variant = _variant(row.dataset, arguments)
    record = Record(row.dataset, row.model, variant) if arguments.record else None
    taught = row.dataset in TEACHERS and not arguments.plain
    name = "distilled" if taught else "default"
    given = teach(row.dataset, _source(arguments), output, arguments.device) if taught else {}
    teachers = trained(row.dataset, _source(arguments).variant) if taught else {}
    output = output / variant
    for seed in _seeds(arguments):
        print(f"{row.name}: training on {data.title}, seed {seed} ...", flush=True)
        recipe = load_recipe(name, row.model, row.dataset).with_changes(seed=seed, **changes)
        if arguments.epochs:
            recipe = recipe.with_changes(epochs=arguments.epochs)
        known = record.find(recipe.to_dict()) if record and arguments.resume else None
        if known:
            row.data_title, row.parameters = data.title, known["parameters"]
            row.runs.append(known)
            continue
        run = medzoo.train(
            row.model,
            data,
            recipe,
            output=output / row.dataset,
            device=arguments.device,
            resume=arguments.resume,
            **given,
        )
        report = medzoo.evaluate(run.model, data.test, device=arguments.device)
        values = {
            "seed": seed,
            "val_auc": run.val_auc,
            "val_acc": run.val_acc,
            "best_epoch": run.best_epoch,
            "images": len(data.train),
            "seconds": sum(epoch["seconds"] for epoch in run.history),
            "recipe": recipe.to_dict(),
            "teachers": list(teachers),
            "teachers_sha256": list(teachers.values()),
            "sha256": sha256_of(run.weights) if run.weights else None,
        }
        _add_run(row, data, run.model, values, report, output, run.history)
        if record:
            circumstances = {"parameters": row.parameters, "history": run.history, **_where()}
            record.keep(row.runs[-1] | circumstances)


def _add_run(
    row: Row,
    data: medzoo.Dataset,
    model: torch.nn.Module,
    values: dict[str, Any],
    report: medzoo.Report,
    output: Path,
    history: list[dict[str, Any]] | None = None,
) -> None:
    row.data_title = data.title
    row.parameters = sum(p.numel() for p in model.parameters())
    row.runs.append(values | {"report": report.to_dict()})
    write_row_plots(row, values["seed"], report, history, output)
    print(report, flush=True)


def _synthetic(rows: list[Row], arguments: argparse.Namespace, output: Path) -> int:
    """Run the whole pipeline on made-up data, to show that it works; nothing is a result."""
    print("\nNo row could be measured:")
    for row in rows:
        print(f"  {row.name}: {row.problem}: {row.reason}")
    print(
        "\nSet MEDZOO_DATA (or --data-root) to a folder of MedMNIST files, or allow downloads.\n"
        "Until then, the same pipeline on made-up data:\n\n=== SYNTHETIC ===\n"
    )
    output = output / "SYNTHETIC"
    arguments = argparse.Namespace(
        **vars(arguments)
        | {
            "epochs": None,
            "seeds": "0",
            "resume": False,
            "record": False,
            "groups": None,
            "plain": True,
        }
    )
    trials = [Row("dermamnist", model) for model in ("advanced_cnn", "efficientnet")]
    for row in trials:
        data = medzoo.synthetic(row.dataset)
        _train(row, data, arguments, output, SYNTHETIC_CHANGES)
    print("\n=== SYNTHETIC: made-up images, no result ===\n\n" + markdown(trials))
    write_comparison(trials, output)
    write_summary(trials, output, "SYNTHETIC: made-up images, no result")
    return 0


def _results(rows: list[Row], arguments: argparse.Namespace) -> dict[str, Any]:
    mode = "train" if arguments.train else "published weights"
    return {"mode": mode, **_where(), "rows": [row.to_dict() for row in rows]}


def _where() -> dict[str, Any]:
    """Return the circumstances of a measurement."""
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "versions": {
            "medzoo": medzoo.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads()},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", help="dataset/model, several with commas between; by default the reported table"
    )
    parser.add_argument("--train", action="store_true", help="train from scratch by the recipes")
    parser.add_argument("--seeds", default="0", help="of the trainings, with commas between")
    parser.add_argument("--epochs", type=int, help="instead of the recipes'")
    parser.add_argument("--resume", action="store_true", help="go on with interrupted trainings")
    parser.add_argument(
        "--record", action="store_true", help="keep the finished trainings' figures"
    )
    parser.add_argument("--plain", action="store_true", help="train without teachers")
    parser.add_argument("--groups", metavar="FILE", help="train so that no group is in two splits")
    parser.add_argument("--group-column", default="lesion_id", help="of FILE (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    parser.add_argument("--output", default="training_results", help="folder (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures; - prints them")
    arguments = parser.parse_args()
    if arguments.groups and not arguments.train:
        parser.error("--groups is about training; give --train, too")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
