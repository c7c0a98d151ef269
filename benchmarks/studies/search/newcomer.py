"""A folder of own images: what `medzoo.search` gains over training with the defaults.

Folders are imitated as in `benchmarks.studies.small_folders`. Both models are evaluated on the same
validation images, on which the search has chosen, and on up to 1,000 other images, which neither
has seen. Test splits are not read.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import OUTPUT, RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reporting.toml_file import read_toml
from benchmarks.reproduction.source import Source
from benchmarks.studies.small_folders import small_folder
from benchmarks.studies.study import Study

RECORDS = ResultsFile(RESULTS / "newcomer.json")
STORAGE = OUTPUT / "newcomer_study.db"

_TRIALS = read_toml(Path(__file__).parents[1] / "trials" / "newcomer.toml")
FOLDERS: dict[str, int] = _TRIALS["folders"]
DEFAULTS, SEARCH = "medzoo train", "medzoo search"
SCORES = {"auc": "AUC", "balanced_acc": "Balanced ACC"}
SPLITS = {"val": "validation", "held_out": "other images"}


@dataclass(frozen=True)
class NewcomerTrial:
    """One folder, on which is trained without and with a search.

    Attributes:
        dataset: Where the images come from.
        seed: Seed of the drawn images and of the search.
    """

    dataset: str
    seed: int

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        return f"{self.dataset}/{FOLDERS[self.dataset]}/seed{self.seed}"


def trials() -> list[NewcomerTrial]:
    """Return the trials: every folder, with every seed."""
    return [NewcomerTrial(name, seed) for seed, name in product(_TRIALS["seeds"], FOLDERS)]


def run(trial: NewcomerTrial, source: Source) -> dict[str, Any]:
    """Train and search on a folder; return the record.

    Args:
        trial: The trial.
        source: Source of the images.
    """
    data = source.load(trial.dataset)
    folder = small_folder(data, FOLDERS[trial.dataset], trial.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes without a validation image
        began = time.perf_counter()
        trained = medzoo.train(_TRIALS["model"], folder, progress=False)
        without = _record(trained, folder, time.perf_counter() - began)
        STORAGE.parent.mkdir(parents=True, exist_ok=True)
        found = medzoo.search(
            folder,
            time_limit=_TRIALS["time_limit"],
            storage=STORAGE,
            seed=trial.seed,
            progress=False,
        )
        began = time.perf_counter()
        best = medzoo.train(found.model, folder, found.recipe, progress=False)
        seconds = time.perf_counter() - began
        # Not from the clock: an interrupted search goes on, with the trials that it had.
        seconds += sum(trial.seconds for trial in found.trials)
        searched = _record(best, folder, seconds)
    return {
        "data": data.title,
        "training_images": len(folder.train),
        "validation_images": len(folder.val),
        "held_out_images": len(folder.test),
        "time_limit": _TRIALS["time_limit"],
        DEFAULTS: without,
        SEARCH: searched | {"trials": len(found.trials)},
    }


def is_current(record: Mapping[str, Any], trial: NewcomerTrial, source: Source) -> bool:
    """Return whether a record is of the same model and as long a search.

    Args:
        record: An earlier record.
        trial: The trial.
        source: Source of the images.
    """
    settings = record[DEFAULTS]["model"], record["time_limit"]
    return settings == (_TRIALS["model"], _TRIALS["time_limit"])


def _record(trained: medzoo.Run, folder: medzoo.Dataset, seconds: float) -> dict[str, Any]:
    reports = {
        name: medzoo.evaluate(trained.model, split, resamples=0)
        for name, split in zip(SPLITS, (folder.val, folder.test), strict=True)
    }
    return {
        "model": medzoo.spec_of(trained.model).architecture,
        "recipe": trained.recipe.to_dict(),
        "seconds": seconds,
        **{
            name: {score: getattr(report, score) for score in SCORES}
            for name, report in reports.items()
        },
    }


def table(records: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return the scores without and with a search as a Markdown table; two rows per folder.

    Args:
        records: Records by key; by default those in the results file.
    """
    records = RECORDS.read() if records is None else records
    rows = []
    for trial in trials():
        for way in (DEFAULTS, SEARCH) if trial.key in records else ():
            record = records[trial.key][way]
            cells = [f"{record[split][score]:.3f}" for split, score in product(SPLITS, SCORES)]
            minutes = f"{record['seconds'] / 60:.1f}"
            rows.append((f"{FOLDERS[trial.dataset]} of {trial.dataset}", way, *cells, minutes))
    scores = [f"{score}, {where}" for where, score in product(SPLITS.values(), SCORES.values())]
    return markdown_table(("Folder", "Command", *scores, "Minutes"), rows)


def _summary(record: Mapping[str, Any]) -> str:
    ways = (f"{way}: {record[way]['held_out']['auc']:.3f}" for way in (DEFAULTS, SEARCH))
    return f"AUC on other images: {', '.join(ways)}"


NEWCOMER = Study(
    name="newcomer",
    description="what a search of 20 minutes gains on a folder of 300 images",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=_summary,
    is_current=is_current,
)
