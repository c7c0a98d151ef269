"""Pictures of a search; each function writes one PNG."""

from __future__ import annotations

import math
import warnings
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medzoo.errors import TrainingError
from medzoo.evaluation.figures.figure import (
    BLUE,
    GRAY,
    ORANGE,
    PathLike,
    new_figure,
    require_matplotlib,
    save_figure,
    wrapped,
)
from medzoo.search.goals import direction
from medzoo.search.result import SearchResult, TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4  # of panels
_NAME = 24  # characters in a line


def plot_search_history(result: SearchResult, path: PathLike) -> Path:
    """Draw the first objective of each trial, and the best one so far.

    Args:
        result: The search.
        path: The PNG to write.

    Raises:
        ImportError: If matplotlib is not installed.
        TrainingError: If no trial was trained to its end.
    """
    complete, goal = _complete(result), result.goals[0]
    figure = new_figure(6, 3.6)
    axes = figure.subplots()
    values = [trial.values[goal] for trial in complete]
    best = list(accumulate(values, max if direction(goal) == "maximize" else min))
    numbers = [trial.number for trial in complete]
    others = [trial.number for trial in result.trials if trial.state != "complete"]
    axes.plot(numbers, values, "o", color=BLUE, markersize=4, label="trial")
    axes.step(numbers, best, where="post", color=ORANGE, label="best so far")
    for number in others:
        axes.axvline(number, ymax=0.03, color=GRAY, linewidth=1)
    baselines = [trial for trial in complete if trial.is_baseline]
    axes.plot(
        [trial.number for trial in baselines],
        [trial.values[goal] for trial in baselines],
        "D",
        color=ORANGE,
        markersize=5,
        label="recipe that the search started from",
    )
    axes.set_xlabel("trial (gray: ended early or failed)")
    axes.set_ylabel(goal)
    axes.legend(frameon=False, fontsize=8)
    return save_figure(figure, path)


def plot_search_importance(result: SearchResult, path: PathLike) -> Path:
    """Draw how much of the differences between trials each parameter explains.

    Args:
        result: The search.
        path: The PNG to write.

    Raises:
        ImportError: If matplotlib is not installed.
        TrainingError: If fewer than two trials were trained to their end, or none differ.
    """
    require_matplotlib()
    from optuna.importance import get_param_importances

    complete, sign = _complete(result), -1 if direction(result.goals[0]) == "maximize" else 1
    try:
        if len(complete) < 2:
            raise ValueError("at least two are needed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # says what the sign is for
            found = get_param_importances(result.study, target=lambda trial: sign * trial.values[0])
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"importance cannot be computed from {len(complete)} complete trials: {error}"
        ) from error
    figure = new_figure(6, 1 + 0.3 * len(found))
    axes = figure.subplots()
    names = [wrapped(name, 2 * _NAME) for name in reversed(found)]
    axes.barh(names, list(reversed(found.values())), color=BLUE)
    axes.set_xlabel(f"share of the differences in {result.goals[0]}")
    return save_figure(figure, path)


def plot_search_slices(result: SearchResult, path: PathLike) -> Path:
    """Draw the first objective against the value of each parameter.

    Args:
        result: The search.
        path: The PNG to write.

    Raises:
        ImportError: If matplotlib is not installed.
        TrainingError: If no trial was trained to its end.
    """
    complete = _complete(result)
    names = sorted({name for trial in complete for name in trial.params})
    rows = max(1, math.ceil(len(names) / _COLUMNS))
    figure = new_figure(2.4 * _COLUMNS, 2.2 * rows)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _slice(axes, name, [trial for trial in complete if name in trial.params], result.goals[0])
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    return save_figure(figure, path)


def plot_pareto_front(result: SearchResult, path: PathLike) -> Path:
    """Draw the first objective against the second, and the trials that none other beats in both.

    Args:
        result: The search, with at least two objectives.
        path: The PNG to write.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is one objective.
        TrainingError: If no trial was trained to its end.
    """
    if len(result.goals) < 2:
        raise ValueError(f"a front needs two objectives, but there is only {result.goals[0]!r}")
    complete, (first, second, *_) = _complete(result), result.goals
    figure = new_figure(5, 3.6)
    axes = figure.subplots()
    for trials, color, label in (
        (complete, GRAY, "trial"),
        (result.front, ORANGE, "Pareto front"),
    ):
        costs = [trial.values[second] for trial in trials]
        axes.plot(
            costs, [t.values[first] for t in trials], "o", color=color, markersize=5, label=label
        )
    axes.set_xlabel(second)
    axes.set_ylabel(first)
    axes.legend(frameon=False, fontsize=8)
    return save_figure(figure, path)


def _complete(result: SearchResult) -> list[TrialRecord]:
    assert result.best  # or the error that explains why there is none
    return [trial for trial in result.trials if trial.values]


def _slice(axes: Axes, name: str, trials: list[TrialRecord], goal: Any) -> None:
    values = [trial.params[name] for trial in trials]
    is_number = all(isinstance(value, int | float) and value is not True for value in values)
    shown = values if is_number else [wrapped(str(value), _NAME) for value in values]
    axes.plot(shown, [trial.values[goal] for trial in trials], "o", color=BLUE, markersize=3.5)
    if is_number and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_xscale("log")
    axes.set_title(wrapped(name, _NAME), fontsize=8)
    axes.tick_params(labelsize=7)
