"""Search an efficientnet of at most 2.45 M parameters that is better than the bundled one.

For each row, `medzoo.search` chooses network and recipe on the validation split, by trainings of
few epochs and without teachers, so that an hour is enough for a dozen trials. An interrupted search
goes on where it was. What it has found is then trained as the row is, for as many epochs and with
the same teachers, by

    python benchmarks/reproduce.py --train --record --searched --rows ROW --seeds 0,1,2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import medzoo
from benchmarks.reporting.format import markdown_table, millions
from benchmarks.reporting.paths import OUTPUT
from benchmarks.reproduction.record import TRAINING, Record
from benchmarks.reproduction.searched import RECORDS, SEARCHED
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import NamedTrial, Study
from medzoo.models import model_cost
from medzoo.search import default_space
from medzoo.search.space import domains

STORAGE = OUTPUT / "architecture_search.db"
ROWS = ("dermamnist/efficientnet", "octmnist/efficientnet")
MAX_PARAMS = 2.45e6
HOURS = 1
SHORTER = 5
"""How many times fewer epochs than its recipe a network is trained for in the search."""
FIXED = ("epochs", "class_weights", "label_smoothing")
"""What is not searched, because the training of the row is longer and may have teachers."""
BATCH_SIZES = (64, 128, 256)
HEADER = (
    "Data",
    "Network",
    "Parameters",
    "MFLOP per image",
    "Validation AUC",
    "Test AUC",
    "Test ACC, %",
)


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Search for one row and return the record; the test split is not read.

    Args:
        trial: The row.
        source: Source of the images.
    """
    dataset, architecture = trial.key.split("/")
    data = source.load(dataset)
    base = _start(trial.key)
    space = default_space(base, data.info, len(data.train)) | {"batch_size": BATCH_SIZES}
    space = {field: domain for field, domain in space.items() if field not in FIXED}
    STORAGE.parent.mkdir(parents=True, exist_ok=True)
    result = medzoo.search(
        data,
        architecture,
        space,
        recipe=base,
        max_params=MAX_PARAMS,
        max_mflop=model_cost(architecture, dataset=data.info, size=data.size).mflop,
        time_limit=HOURS * 3600,
        storage=STORAGE,
    )
    found = result.recipe.to_dict()
    searched = {path[0] for _, path, _ in domains(space)} | {"model_args"}
    return {
        "changes": {field: found[field] for field in found if field in searched},
        "best": result.best.number,
        "val_auc": result.best.values["val_auc"],
        "trials": [
            {name: value for name, value in one.to_dict().items() if name != "recipe"}
            for one in result.trials
        ],
        "data": data.title,
        **_settings(trial.key),
    }


def _start(row: str) -> medzoo.Recipe:
    """Return the recipe of the first trial: that of the row without teachers, in few epochs."""
    dataset, architecture = row.split("/")
    bundled = medzoo.recipe_for(architecture, dataset)
    few = max(1, bundled.epochs // SHORTER)
    return bundled.with_changes(epochs=few, validate_every=few)


def _settings(row: str) -> dict[str, Any]:
    return {"max_params": MAX_PARAMS, "hours": HOURS, "start": _start(row).to_dict()}


def _is_current(record: Mapping[str, Any], trial: NamedTrial, source: Source) -> bool:
    return _settings(trial.key).items() <= record.items()


def table(folder: Path = TRAINING) -> str:
    """Return bundled and searched networks as a Markdown table, and what the searches gained.

    Args:
        folder: Folder of the records of trainings.
    """
    rows: list[tuple[str, ...]] = []
    gains = []
    for name, search in RECORDS.read().items():
        dataset, architecture = name.split("/")
        bundled = Record(dataset, architecture, folder=folder).runs()
        searched = [
            run
            for run in Record(dataset, architecture, SEARCHED, folder).runs()
            if _has_found(run, search)
        ]
        networks = {"bundled": bundled, "searched": searched}
        rows += [
            (runs[0]["report"]["title"], network, *_cells(name, runs))
            for network, runs in networks.items()
            if runs
        ]
        gains.append(f"\n{_gain(search, searched, bundled)}")
    return "\n".join([markdown_table(HEADER, rows), *gains])


def _has_found(run: Mapping[str, Any], search: Mapping[str, Any]) -> bool:
    """Return whether a training is one of what the search has found, and not an earlier one."""
    recipe = medzoo.Recipe.from_dict(run["recipe"])
    return recipe.with_changes(**search["changes"]) == recipe


def _cells(row: str, runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    dataset, architecture = row.split("/")
    cost = model_cost(architecture, dataset=dataset, **runs[0]["recipe"]["model_args"])
    reports = [run["report"] for run in runs]
    return (
        millions(cost.parameters),
        f"{cost.mflop:.0f}",
        _over_seeds([run["val_auc"] for run in runs], 4),
        _over_seeds([report["auc"] for report in reports], 4),
        _over_seeds([100 * report["acc"] for report in reports], 2),
    )


def _over_seeds(values: Sequence[float], digits: int) -> str:
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else " (one seed)"
    return f"{mean(values):.{digits}f}{deviation}"


def _gain(
    search: Mapping[str, Any],
    searched: Sequence[Mapping[str, Any]],
    bundled: Sequence[Mapping[str, Any]],
) -> str:
    """Say how long the search was, and what it gained on validation images.

    Only a gain with every seed counts, and only if both networks have the same seeds.
    """
    trials = search["trials"]
    ended = sum(trial["state"] == "pruned" for trial in trials)
    hours = sum(trial["seconds"] for trial in trials) / 3600
    own = next(trial["values"]["val_auc"] for trial in trials if trial["is_baseline"])
    text = (
        f"{search['data']}: {len(trials)} trials in {hours:.1f} hours, {ended} of them ended early."
        f" After the few epochs of the search, the best network has a validation AUC of "
        f"{search['val_auc']:.4f}, medzoo's own {own:.4f}."
    )
    seeds = [{run["seed"] for run in runs} for runs in (searched, bundled)]
    if not searched or seeds[0] != seeds[1]:
        return f"{text} Not all seeds have been trained yet."
    found, before = ([run["val_auc"] for run in runs] for runs in (searched, bundled))
    verdict = "found a better network" if min(found) > max(before) else "gained nothing certain"
    return f"{text} The search {verdict}: validation AUC {mean(found) - mean(before):+.4f}."


ARCHITECTURE_SEARCH = Study(
    name="architecture_search",
    description="a search for better efficientnets of at most 2.45 M parameters",
    results=RECORDS,
    trials=lambda: list(map(NamedTrial, ROWS)),
    run=run,
    table=table,
    summary=lambda record: f"{len(record['trials'])} trials, AUC {record['val_auc']:.4f}",
    is_current=_is_current,
)
