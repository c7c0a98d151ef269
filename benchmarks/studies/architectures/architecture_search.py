"""Search an efficientnet of at most 2.45 M parameters that is better than the bundled one.

For each row, `medzoo.search` chooses networks on the validation split, by trainings of few epochs
and without teachers. The recipe stays that of the row: what suits a short training need not suit a
long one. The best networks are then trained as the row is, for as many epochs and with the same
teachers, and the one with the best validation AUC is what was found. An interrupted search goes on
where it was. What was found is then trained with the seeds of the row, by

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
from benchmarks.reproduction.record import TRAINING, Record, same_but_for_seed
from benchmarks.reproduction.searched import RECORDS, SEARCHED
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.teachers import has_teachers, teach
from benchmarks.studies.study import NamedTrial, Study
from medzoo.models import model_cost
from medzoo.training import load_recipe

STORAGE = OUTPUT / "architecture_search.db"
FINALS = OUTPUT / "architecture_search"
"""Folder of the trainings of the best networks."""
ROWS = ("dermamnist/efficientnet", "octmnist/efficientnet")
MAX_PARAMS = 2.45e6
HOURS = 1.5
SHORTER = 3
"""How many times fewer epochs than its recipe a network is trained for in the search."""
VARIED = ("widths", "depths", "strides", "stem_stride", "expansion", "fused_stages")
FINALISTS = 2
"""How many networks are trained as the row is before one is chosen."""
FINAL_SEED = 10
"""Their seed, which is none of the seeds of the row."""
HEADER = (
    "Data",
    "Network",
    "Parameters",
    "MFLOP per image",
    "Epochs",
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
    STORAGE.parent.mkdir(parents=True, exist_ok=True)
    result = medzoo.search(
        data,
        architecture,
        {},
        recipe=_start(trial.key),
        architecture=VARIED,
        max_params=MAX_PARAMS,
        max_mflop=model_cost(architecture, dataset=data.info, size=data.size).mflop,
        time_limit=HOURS * 3600,
        storage=STORAGE,
    )
    best = [one for one in result.ranked if not one.is_baseline][:FINALISTS]
    finals = [
        {"number": one.number, **_train_in_full(trial.key, one.number, one.recipe, data, source)}
        for one in best
        if one.recipe is not None
    ]
    found = max(finals, key=lambda final: final["val_auc"])
    return {
        "changes": {"model_args": dict(found["model_args"])},
        "best": found["number"],
        "finals": finals,
        # The recipe of the row may be another one by the time that what was found is trained.
        "own": [run["val_auc"] for run in Record(dataset, architecture).runs()],
        "trials": [
            {name: value for name, value in one.to_dict().items() if name != "recipe"}
            for one in result.trials
        ],
        "data": data.title,
        **_settings(trial.key),
    }


def _train_in_full(
    row: str, number: int, found: medzoo.Recipe, data: medzoo.Dataset, source: Source
) -> dict[str, Any]:
    """Train the network of a trial as the row is, without reading the test split."""
    dataset, architecture = row.split("/")
    has_some = has_teachers(dataset, architecture, source.variant)
    arguments = teach(dataset, source, OUTPUT, model=architecture) if has_some else {}
    recipe = load_recipe("distilled" if has_some else "default", architecture, dataset)
    run = medzoo.train(
        architecture,
        data,
        recipe.with_changes(seed=FINAL_SEED, model_args=dict(found.model_args)),
        output=FINALS / row / str(number),
        resume=True,
        **arguments,
    )
    return {
        "val_auc": run.val_auc,
        "val_acc": run.val_acc,
        "seconds": sum(epoch["seconds"] for epoch in run.history),
        "model_args": dict(found.model_args),
    }


def _start(row: str) -> medzoo.Recipe:
    """Return the recipe of the first trial: that of the row without teachers, in few epochs."""
    dataset, architecture = row.split("/")
    bundled = medzoo.recipe_for(architecture, dataset)
    few = max(1, bundled.epochs // SHORTER)
    return bundled.with_changes(epochs=few, validate_every=few)


def _settings(row: str) -> dict[str, Any]:
    return {
        "max_params": MAX_PARAMS,
        "hours": HOURS,
        "varied": list(VARIED),
        "finalists": FINALISTS,
        "start": _start(row).to_dict(),
    }


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
        str(runs[0]["recipe"]["epochs"]),
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

    Only a gain with every seed counts, and only if both networks have the same seeds and recipe.
    """
    trials = search["trials"]
    finals = search["finals"]
    ended = sum(trial["state"] == "pruned" for trial in trials)
    hours = [sum(one["seconds"] for one in some) / 3600 for some in (trials, finals)]
    own = next(trial["values"]["val_auc"] for trial in trials if trial["is_baseline"])
    best = max(trial["values"]["val_auc"] for trial in trials if trial["state"] == "complete")
    scores = " and ".join(f"{one['val_auc']:.4f}" for one in finals)
    text = (
        f"{search['data']}: {len(trials)} trials in {hours[0]:.1f} hours, {ended} of them ended "
        f"early. After the few epochs of the search, the best network has a validation AUC of "
        f"{best:.4f}, medzoo's own {own:.4f}. The best {len(finals)} were trained in full, in "
        f"{hours[1]:.1f} hours, and have {scores}; medzoo's own had {mean(search['own']):.4f} with "
        "the same recipe."
    )
    seeds = [{run["seed"] for run in runs} for runs in (searched, bundled)]
    if not searched or seeds[0] != seeds[1]:
        return f"{text} Not all seeds have been trained yet."
    if not same_but_for_seed(
        medzoo.Recipe.from_dict(bundled[0]["recipe"]).with_changes(**search["changes"]).to_dict(),
        searched[0]["recipe"],
    ):
        return f"{text} It was not trained with the recipe that the bundled network has now."
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
    summary=lambda record: (
        f"{len(record['trials'])} trials, AUC {max(one['val_auc'] for one in record['finals']):.4f}"
    ),
    is_current=_is_current,
)
