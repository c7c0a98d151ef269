"""Teachers: ensembles that are trained first and whose predictions the published models learn from.

    python -m benchmarks.reproduction.teachers dermamnist breastmnist   # train the missing ones

`reproduce.py --train` does the same for every row whose data set has teachers, on the same splits
as the row. Teachers are trained like any model and are never evaluated on a test split; their
validation scores are stored in ``benchmarks/results/teachers.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import medzoo
from benchmarks.reporting.format import markdown_table, millions
from benchmarks.reporting.paths import OUTPUT, RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import DISJOINT, Source
from benchmarks.reproduction.uncalibrated import uncalibrated
from benchmarks.reproduction.views import ViewClassifier, apply_view, name_with_view
from medzoo.files import sha256_of
from medzoo.training import load_recipe
from medzoo.weights import find_entry

RECORDS = ResultsFile(RESULTS / "teachers.json")
HEADER = ("Data", "Teacher", "Size", "Seed", "Epochs", "Validation AUC", "ACC", "Parameters")


@dataclass(frozen=True)
class Teacher:
    """One member of a teacher ensemble.

    Attributes:
        seed: Seed of the training; different from the seeds of its students.
        size: Height and width of its images, in pixels.
        changes: Changes to the recipe of the data set and the architecture.
        model: Name of the architecture.
        view: Transform applied to the images first, a key of `views.VIEWS`; empty for none.
    """

    seed: int
    size: int = 28
    changes: Mapping[str, Any] = field(default_factory=dict)
    model: str = "advanced_cnn"
    view: str = ""

    @property
    def name(self) -> str:
        """Return the name of its training and of its folder."""
        return "-".join(filter(None, (self.model, f"{self.size}px", self.view, f"seed{self.seed}")))


def _derma(epochs: int, strides: tuple[int, ...]) -> Mapping[str, Any]:
    return {"epochs": epochs, "validate_every": 5, "model_args": {"strides": strides}}


TEACHERS: dict[str, tuple[Teacher, ...]] = {
    # At 64 x 64 one more stage halves the resolution, so it costs little more than at 28 x 28.
    "dermamnist": (
        Teacher(10, 64, _derma(30, (2, 2, 2, 2))),
        Teacher(11, 64, _derma(26, (2, 2, 2, 1))),
    ),
    "breastmnist": tuple(map(Teacher, range(10, 15))),
    # Members without large-scale brightness make different errors, which improves the ensemble.
    "retinamnist": (
        *(Teacher(seed, model="simple_cnn") for seed in (10, 11, 12)),
        *(Teacher(seed, model="simple_cnn", view="local") for seed in (13, 14)),
    ),
}
"""The ensembles by data set; models of other data sets have published teachers or none."""

PUBLISHED: dict[str, tuple[str, ...]] = {
    "dermamnist/efficientnet": ("advanced_cnn.dermamnist", "simple_cnn.dermamnist"),
    "pneumoniamnist/simple_cnn": ("simple_cnn.pneumoniamnist_64", "advanced_cnn.pneumoniamnist"),
}
"""Rows whose teachers are published models instead.

They have seen the whole training split, so they teach on the official split alone: elsewhere they
would pass on what they know of images that the split leaves out. A model is never its own teacher:
the student would replace it, and could then not be trained again.
"""


def has_teachers(dataset: str, model: str, variant: str) -> bool:
    """Return whether a row has teachers.

    Args:
        dataset: Name of the data set.
        model: Architecture of the row.
        variant: Variant of the source on which it is trained.
    """
    return dataset in TEACHERS or bool(_published(dataset, model, variant))


def any_has_teachers(dataset: str, variant: str) -> bool:
    """Return whether any row of a data set has teachers.

    Args:
        dataset: Name of the data set.
        variant: Variant of the source on which its rows are trained.
    """
    published = () if variant else PUBLISHED
    return dataset in TEACHERS or any(row.split("/")[0] == dataset for row in published)


def teach(
    dataset: str, source: Source, output: str | Path, device: str = "auto", model: str = ""
) -> dict[str, Any]:
    """Train the missing teachers of a data set; return the arguments that the Trainer needs.

    Args:
        dataset: Name of the data set, a key of `TEACHERS`.
        source: Source of the images. Teachers and students must use the same splits, because a
            student also learns what its teachers have learned from an image.
        output: Folder of results; teachers are in ``<output>/<variant>/<dataset>/teachers``.
        device: Device to train on.
        model: Architecture of the student, which may have teachers of its own (`PUBLISHED`).

    Returns:
        The arguments ``teacher`` and, if the teachers see larger images, ``high_res``.
    """
    if names := _published(dataset, model, source.variant):
        sizes = {name: find_entry(*name.split(".")).spec.input.size for name in names}
        names = tuple(sorted(names, key=sizes.__getitem__, reverse=True))  # the first one decides
        larger = sizes[names[0]]
        images = {"high_res": source.load(dataset, larger)} if larger > 28 else {}
        return {"teacher": medzoo.Ensemble(names), **images}
    teachers = TEACHERS[dataset]
    size = size_of(dataset)
    folder = Path(output) / source.variant / dataset / "teachers"
    paths = [_train(dataset, teacher, source, folder, device) for teacher in teachers]
    models = [medzoo.create_model(path) for path in paths]
    for member in models:
        member.temperature = 1.0  # as the teachers of the published models, see `uncalibrated`
    ensemble = medzoo.Ensemble(
        ViewClassifier(member, one.view) if one.view else member
        for one, member in zip(teachers, models, strict=True)
    )
    high_res = source.load(dataset, size) if size > 28 else None
    return {"teacher": ensemble, "high_res": high_res}


def size_of(dataset: str) -> int:
    """Return the size of the images that teachers and students of a data set learn from.

    Args:
        dataset: Name of the data set, a key of `TEACHERS`.
    """
    return max(teacher.size for teacher in TEACHERS[dataset])


def trained(dataset: str, variant: str, model: str = "") -> dict[str, str]:
    """Return the sha256 of the weights of each teacher, by the name of the teacher.

    Args:
        dataset: Name of the data set, a key of `TEACHERS`.
        variant: Variant of the source on which they were trained.
        model: Architecture of the student, as for `teach`.
    """
    if names := _published(dataset, model, variant):
        return {name: find_entry(*name.split(".")).sha256 for name in names}
    known = RECORDS.read()
    return {one.name: known[_key(dataset, one, variant)]["sha256"] for one in TEACHERS[dataset]}


def described(dataset: str) -> list[dict[str, Any]]:
    """Describe the teachers of a data set in the form in which weights files store teachers.

    Args:
        dataset: Name of the data set, a key of `TEACHERS`.
    """
    channels, known = medzoo.dataset_info(dataset).channels, RECORDS.read()
    return [
        {
            "architecture": name_with_view(teacher.model, teacher.view),
            "input_size": [channels, teacher.size, teacher.size],
            "dataset": dataset,
            "parameters": known[_key(dataset, teacher, "")]["parameters"],
        }
        for teacher in TEACHERS[dataset]
    ]


def _published(dataset: str, model: str, variant: str) -> tuple[str, ...]:
    """Return the names of the published teachers of a row, none if it has trained ones."""
    return () if variant else PUBLISHED.get(f"{dataset}/{model}", ())


def _train(dataset: str, teacher: Teacher, source: Source, folder: Path, device: str) -> Path:
    """Train a teacher or resume its training; return its weights file."""
    key = _key(dataset, teacher, source.variant)
    print(f"the teacher {key} ...", flush=True)
    data = apply_view(source.load(dataset, teacher.size), teacher.view)
    recipe = load_recipe("default", teacher.model, dataset).with_changes(seed=teacher.seed)
    finished = medzoo.train(
        teacher.model,
        data,
        recipe.with_changes(**teacher.changes),
        output=folder / teacher.name,
        device=device,
        resume=True,
    )
    run = uncalibrated(finished)
    assert run.weights is not None  # an output folder was given
    record = {
        "data": data.title,
        "val_auc": run.val_auc,
        "val_acc": run.val_acc,
        "best_epoch": run.best_epoch,
        "seconds": sum(row["seconds"] for row in run.history),
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "sha256": sha256_of(run.weights),
        "recipe": run.recipe.to_dict(),
        "history": run.history,
    }
    RECORDS.save(key, record)
    return run.weights


def _key(dataset: str, teacher: Teacher, variant: str) -> str:
    """Return the name of the training of a teacher in the results file."""
    return "/".join(filter(None, (variant, dataset, teacher.name)))


def table() -> str:
    """Return the validation scores of the teachers as a Markdown table."""
    rows = []
    known = RECORDS.read()
    for variant, (dataset, teachers) in product(("", DISJOINT), TEACHERS.items()):
        for teacher in teachers:
            if record := known.get(_key(dataset, teacher, variant)):
                rows.append(
                    (
                        record["data"],
                        teacher.model,
                        f"{teacher.size} px",
                        str(teacher.seed),
                        str(record["recipe"]["epochs"]),
                        f"{record['val_auc']:.4f}",
                        f"{record['val_acc']:.4f}",
                        millions(record["parameters"]),
                    )
                )
    return markdown_table(HEADER, rows)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", choices=TEACHERS, metavar="DATASET")
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    parser.add_argument("--output", default=OUTPUT, help="output folder (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    arguments = parser.parse_args()
    for dataset in arguments.datasets:
        teach(dataset, Source(arguments.data_root), arguments.output, arguments.device)


if __name__ == "__main__":
    main()
