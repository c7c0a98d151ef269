"""Teachers: the models whose answers the published ones learn from, trained before them.

    python benchmarks/teachers.py dermamnist breastmnist   # train those that are missing

`reproduce.py --train` does the same for every row whose data set has teachers here, on the splits
that the row is trained on. They are trained like any model and are never evaluated on a test split:
what they are worth shows in their validation figures, which ``benchmarks/results/teachers.json`` keeps.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from figures import RESULTS, Figures
from source import DISJOINT, Source
from views import Viewer, seen_as, viewing

import medzoo
from medzoo.files import sha256_of
from medzoo.training import load_recipe

FIGURES = Figures(RESULTS / "teachers.json")


@dataclass(frozen=True)
class Teacher:
    """One member of an ensemble that teaches.

    Attributes:
        seed: Of its training; other than those of the models that it teaches.
        size: Of the images that it sees.
        changes: To the data set's recipe for its architecture.
        model: Name of its architecture.
        images: What is done to the images first, a key of `views.VIEWS`; empty for nothing.
    """

    seed: int
    size: int = 28
    changes: Mapping[str, Any] = field(default_factory=dict)
    model: str = "advanced_cnn"
    images: str = ""

    @property
    def name(self) -> str:
        """Return the name of its training, hence of its folder."""
        return "-".join(
            filter(None, (self.model, f"{self.size}px", self.images, f"seed{self.seed}"))
        )


def _derma(epochs: int, strides: tuple[int, ...]) -> Mapping[str, Any]:
    return {"epochs": epochs, "validate_every": 5, "model_args": {"strides": strides}}


TEACHERS: dict[str, tuple[Teacher, ...]] = {
    # At 64 x 64 one more stage halves the resolution, so it costs little more than at 28 x 28.
    "dermamnist": (
        Teacher(10, 64, _derma(30, (2, 2, 2, 2))),
        Teacher(11, 64, _derma(26, (2, 2, 2, 1))),
    ),
    "breastmnist": tuple(map(Teacher, range(10, 15))),
    # Those that cannot see what is bright at large err elsewhere: together they are better.
    "retinamnist": (
        *(Teacher(seed, model="simple_cnn") for seed in (10, 11, 12)),
        *(Teacher(seed, model="simple_cnn", images="local") for seed in (13, 14)),
    ),
}
"""The ensembles by data set; what is not here is trained without."""


def teach(dataset: str, source: Source, output: str | Path, device: str = "auto") -> dict[str, Any]:
    """Return what the Trainer needs to learn from a data set's teachers, training what is missing.

    Args:
        dataset: Name of the data set, one of `TEACHERS`.
        source: Of its images. Teachers see no others than their students: what one of them has
            learnt from an image, a student learns, too.
        output: Folder of results; teachers lie in ``<output>/<dataset>/teachers``, or in that of
            the source's variant in there.
        device: Where to train.

    Returns:
        The arguments ``teacher`` and, if the teachers see larger images, ``high_res``.
    """
    teachers = TEACHERS[dataset]
    size = size_of(dataset)
    folder = Path(output) / source.variant / dataset / "teachers"
    paths = [_train(dataset, teacher, source, folder, device) for teacher in teachers]
    models = [
        Viewer(medzoo.create_model(path), one.images) if one.images else medzoo.create_model(path)
        for one, path in zip(teachers, paths, strict=True)
    ]
    ensemble = medzoo.Ensemble(models)
    high_res = source.load(dataset, size) if size > 28 else None
    return {"teacher": ensemble, "high_res": high_res}


def size_of(dataset: str) -> int:
    """Return the size of the images that a data set's teachers and students learn from.

    Args:
        dataset: Name of the data set, one of `TEACHERS`.
    """
    return max(teacher.size for teacher in TEACHERS[dataset])


def trained(dataset: str, variant: str) -> dict[str, str]:
    """Return the sha256 of each teacher's weights by its name, as they were last trained.

    Args:
        dataset: Name of the data set, one of `TEACHERS`.
        variant: Of the source that they were trained on.
    """
    known = FIGURES.read()
    return {one.name: known[_key(dataset, one, variant)]["sha256"] for one in TEACHERS[dataset]}


def described(dataset: str) -> list[dict[str, Any]]:
    """Describe a data set's teachers as the weights file of a run that they taught does.

    Args:
        dataset: Name of the data set, one of `TEACHERS`.
    """
    channels, known = medzoo.dataset_info(dataset).channels, FIGURES.read()
    return [
        {
            "architecture": viewing(teacher.model, teacher.images),
            "input_size": [channels, teacher.size, teacher.size],
            "dataset": dataset,
            "parameters": known[_key(dataset, teacher, "")]["parameters"],
        }
        for teacher in TEACHERS[dataset]
    ]


def _train(dataset: str, teacher: Teacher, source: Source, folder: Path, device: str) -> Path:
    """Train a teacher, or go on where its training stopped; return its weights file."""
    key = _key(dataset, teacher, source.variant)
    print(f"the teacher {key} ...", flush=True)
    data = seen_as(source.load(dataset, teacher.size), teacher.images)
    recipe = load_recipe("default", teacher.model, dataset).with_changes(seed=teacher.seed)
    run = medzoo.train(
        teacher.model,
        data,
        recipe.with_changes(**teacher.changes),
        output=folder / teacher.name,
        device=device,
        resume=True,
    )
    assert run.weights is not None  # there is a folder to write to
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
    FIGURES.keep(key, record)
    return run.weights


def _key(dataset: str, teacher: Teacher, variant: str) -> str:
    """Return what names a teacher's training in the file of results."""
    return "/".join(filter(None, (variant, dataset, teacher.name)))


def table() -> str:
    """Return the teachers' validation figures as a Markdown table."""
    lines = [
        "| Data | Teacher | Size | Seed | Epochs | Validation AUC | ACC | Parameters |\n"
        "|---|---|---|---|---|---|---|---|"
    ]
    known = FIGURES.read()
    for variant, (dataset, teachers) in product(("", DISJOINT), TEACHERS.items()):
        for teacher in teachers:
            if row := known.get(_key(dataset, teacher, variant)):
                lines.append(
                    f"| {row['data']} | {teacher.model} | {teacher.size} px | {teacher.seed} "
                    f"| {row['recipe']['epochs']} | {row['val_auc']:.4f} | {row['val_acc']:.4f} "
                    f"| {row['parameters'] / 1e6:.2f} M |"
                )
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", choices=TEACHERS, metavar="DATASET")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    parser.add_argument("--output", default="training_results", help="folder (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    arguments = parser.parse_args()
    for dataset in arguments.datasets:
        teach(dataset, Source(arguments.data_root), arguments.output, arguments.device)


if __name__ == "__main__":
    main()
