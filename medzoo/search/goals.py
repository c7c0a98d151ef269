"""What a search optimises: scores on the validation split, and what a prediction costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Literal, get_args

import torch

from medzoo.errors import unknown_name
from medzoo.models import Classifier, model_cost
from medzoo.training import Run

Score = Literal["val_auc", "val_acc", "val_loss"]
Cost = Literal["parameters", "mflop", "latency"]
Goal = Score | Cost

SCORES: tuple[Score, ...] = get_args(Score)
GOALS: tuple[Goal, ...] = (*SCORES, *get_args(Cost))
_LARGER_IS_BETTER = ("val_auc", "val_acc")
_WARM_UP, _RUNS = 5, 21  # predictions of one image


def check_goals(objectives: Goal | Sequence[Goal]) -> tuple[Goal, ...]:
    """Return the objectives of a search.

    Args:
        objectives: One, or several of which the first is a score.

    Raises:
        TypeError: If they are neither a name nor a sequence of names.
        ValueError: If a name is unknown or given twice, or the first is not a score.
    """
    goals = (objectives,) if isinstance(objectives, str) else tuple(objectives)
    for goal in goals:
        if goal not in GOALS:
            raise unknown_name("objective", goal, GOALS)
    if not goals or goals[0] not in SCORES or len(set(goals)) < len(goals):
        raise ValueError(
            f"objectives={goals!r}: expected a score ({', '.join(SCORES)}), which may be followed "
            "by costs or other scores, each once"
        )
    return goals


def direction(goal: Goal) -> Literal["maximize", "minimize"]:
    """Return whether an objective is to be large or small, as Optuna says it.

    Args:
        goal: The objective.
    """
    return "maximize" if goal in _LARGER_IS_BETTER else "minimize"


def score_of(run: Run, goal: Score) -> float:
    """Return a score of a finished run on its validation split.

    Args:
        run: The run.
        goal: The score; the loss is that of the calibrated probabilities.
    """
    return {"val_auc": run.val_auc, "val_acc": run.val_acc, "val_loss": run.calibration.nll}[goal]


def cost_of(model: Classifier, goal: Cost) -> float:
    """Return what a prediction for one image costs.

    Args:
        model: The model, on the device that it will run on.
        goal: ``"parameters"``; ``"mflop"``, millions of floating-point operations; or
            ``"latency"``, milliseconds on this machine (the median of 21 predictions).
    """
    if goal != "latency":
        return float(getattr(model_cost(model), goal))
    device = next(model.parameters()).device
    expected = model.spec.input
    image = torch.zeros(1, expected.channels, expected.size, expected.size, device=device)
    seconds = []
    with torch.inference_mode():
        for _ in range(_WARM_UP + _RUNS):
            began = time.perf_counter()
            model(image).cpu()  # which waits until a GPU has finished
            seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds[_WARM_UP:])
