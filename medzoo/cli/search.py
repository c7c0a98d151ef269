"""``medzoo search``: find a better recipe for a data set."""

from __future__ import annotations

import argparse
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medzoo
from medzoo.cli.command import Commands, add_data_options, keeping_results
from medzoo.cli.model_data import add_training_data_options
from medzoo.cli.output.destination import check_outputs
from medzoo.cli.output.table import table
from medzoo.errors import TrainingError

if TYPE_CHECKING:
    from medzoo.search import SearchResult

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHOWN = 10  # trials in the table


def add(commands: Commands) -> None:
    """Add ``search``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "search",
        _search,
        "find a better recipe for a data set",
        "medzoo search --data my_images/ --time 2h",
    )
    add_training_data_options(sub)
    sub.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        help="architectures, or trained weights to fine-tune, to choose from (medzoo's CNNs)",
    )
    sub.add_argument("--recipe", default="default", help="what it starts from, as for train")
    sub.add_argument("--trials", type=int, help="trainings after which it ends")
    sub.add_argument("--time", type=seconds, help="time after which it ends, e.g. 20m or 1h30m")
    sub.add_argument(
        "--objectives",
        nargs="+",
        default=["val_auc"],
        metavar="NAME",
        help="val_auc, val_acc or val_loss, then costs: parameters, mflop, latency (val_auc)",
    )
    sub.add_argument(
        "--folds", type=int, default=1, help="folds of a cross-validation, for few images"
    )
    sub.add_argument(
        "--architecture",
        nargs="*",
        metavar="ARGUMENT",
        help="also search widths, depths and the like, or only those arguments that are named",
    )
    sub.add_argument("--max-params", type=float, help="largest number of parameters, e.g. 2.4e6")
    sub.add_argument("--max-mflop", type=float, help="most operations for an image, in millions")
    sub.add_argument(
        "--storage", help="a .db or .log file, or a database's URL (study.db in the output folder)"
    )
    sub.add_argument("--pruner", help="successive_halving (the default), hyperband or none")
    sub.add_argument("--seed", type=int, default=0, help="of the choices (%(default)s)")
    sub.add_argument("--output", help="folder (training_results/<data>/search)")
    add_data_options(sub, size=None)


def seconds(text: str) -> float:
    """Return a duration in seconds.

    Args:
        text: Seconds; or numbers with units: ``90s``, ``20m``, ``1h30m``, ``2d``.

    Raises:
        argparse.ArgumentTypeError: If it is neither.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        parts = [(text, "s")]
    elif "".join(map("".join, parts)) != text or not parts:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; give e.g. 90s, 20m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _search(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.search.run import MODELS

    if arguments.folds > 1 and arguments.group:
        raise ValueError(
            "--folds would put images of one group into several folds, because a data set does "
            "not keep the groups of its table; use one fold, or medzoo.search(groups=) in Python"
        )
    chosen = arguments.data or arguments.dataset
    data = medzoo.load_dataset(
        chosen,
        size=arguments.size,
        root=arguments.data_root,
        group=arguments.group,
        exclude=arguments.exclude,
    )
    default = Path("training_results", data.info.name, "search")
    folder = default if arguments.output is None else Path(arguments.output)
    check_outputs([("--output", folder / "best.json")], [arguments.data, arguments.recipe])
    result = _run(
        data,
        arguments.models or MODELS,
        recipe=arguments.recipe,
        trials=arguments.trials,
        time_limit=arguments.time,
        objectives=arguments.objectives,
        folds=arguments.folds,
        architecture=arguments.architecture is not None and (arguments.architecture or True),
        max_params=arguments.max_params,
        max_mflop=arguments.max_mflop,
        storage=folder / "study.db" if arguments.storage is None else arguments.storage,
        pruner=arguments.pruner,
        seed=arguments.seed,
        device=arguments.device,
    )
    best = result.save(folder / "best.json")
    with keeping_results(arguments, "the plots"):
        _draw(result, folder)
    return result.to_dict() | {"best_recipe": str(best)}, _text(arguments, result, best)


def _run(*arguments: Any, **options: Any) -> SearchResult:
    try:
        return medzoo.search(*arguments, **options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command goes on with the search") from None


def _draw(result: SearchResult, folder: Path) -> None:
    from medzoo.search import (
        plot_pareto_front,
        plot_search_history,
        plot_search_importance,
        plot_search_slices,
    )

    plot_search_history(result, folder / "history.png")
    with suppress(TrainingError):  # too few trials to tell parameters apart
        plot_search_importance(result, folder / "importance.png")
    plot_search_slices(result, folder / "slices.png")
    if len(result.goals) > 1:
        plot_pareto_front(result, folder / "front.png")


def _text(arguments: argparse.Namespace, result: SearchResult, best: Path) -> str:
    states = [trial.state for trial in result.trials]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed")
    )
    shown = result.front if len(result.goals) > 1 else result.ranked
    rows = [
        (
            trial.number,
            trial.model,
            *(f"{trial.values[goal]:.4g}" for goal in result.goals),
            f"{trial.seconds:.0f}",
            "the recipe that it started from" if trial.is_baseline else "",
        )
        for trial in shown[:_SHOWN]
    ]
    heads = ("trial", "model", *result.goals, "seconds", "")
    option = "--data" if arguments.data else "--dataset"
    source = [option, str(arguments.data or arguments.dataset)]
    source += ["--size", str(arguments.size)] if arguments.size else []
    source += ["--data-root", arguments.data_root] if arguments.data_root else []
    source += ["--group", arguments.group] if arguments.group is not None else []
    source += ["--exclude", *arguments.exclude] if arguments.exclude else []
    train = shlex.join(["medzoo", "train", result.model, *source, "--recipe", str(best)])
    return (
        f"{len(states)} trials: {counts}\n"
        f"{table(heads, rows, numbers=' '.join(heads[:1] + result.goals + ('seconds',)))}\n"
        "The best of many scores on the same validation images is somewhat too good.\n"
        f"Train a model by the best recipe:\n  {train}"
    )
