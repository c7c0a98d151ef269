"""Scores of groups of images: sites, sexes, age bands, cameras, sources."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, TypeAlias, TypedDict

import numpy as np
import torch
from torch import Tensor

from medzoo.datasets import Task
from medzoo.evaluation.intervals import Interval, bootstrap_intervals, check_resampling
from medzoo.evaluation.metrics import Array, compute_metrics

SMALL_GROUP = 30
"""A group of fewer images is small: its scores say little, and worst groups leave it out."""
MISSING = "(missing)"
"""Name of the group of images whose value is not known."""
_MOST_GROUPS = 100
_LOWER_IS_BETTER = {"ece", "aurc", "e_aurc"}

Groups: TypeAlias = "Sequence[Any] | np.ndarray | Tensor | Iterable[Any]"


class GroupScores(TypedDict):
    """The scores of one group of images.

    Attributes:
        name: Value that the images have in common; ``"(missing)"`` if it is not known.
        n: Number of images.
        small: Whether they are fewer than 30.
        absent: Classes of which the group has no image; means over classes leave them out.
        scores: The overall scores of `Metrics`, by name; NaN where one is not defined.
        intervals: Their 95 % bootstrap intervals; empty without resamples.
    """

    name: str
    n: int
    small: bool
    absent: list[str]
    scores: dict[str, float]
    intervals: dict[str, Interval]


def group_names(groups: Groups, images: int) -> list[str]:
    """Return the name of each image's group.

    Args:
        groups: One value per image: a list, an array, a column of pandas. None, NaN and empty
            names are the group ``"(missing)"``.
        images: Number of images.

    Raises:
        TypeError: If it is not a sequence of values.
        ValueError: If the number of values is not that of the images, or there are more than 100
            different ones.
    """
    if isinstance(groups, str | bytes | Mapping | Set) or not isinstance(groups, Iterable):
        raise TypeError(
            f"groups is {type(groups).__name__}, expected a sequence with one value per image"
        )
    if isinstance(groups, Tensor):
        # NumPy has no bfloat16; the numbers are the same.
        tensor = groups.detach().cpu()
        groups = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    # Numbers of single precision keep their type, which says how many digits they have.
    if isinstance(groups, np.ndarray) and groups.dtype.kind != "f":
        groups = groups.tolist()
    values = list(groups)
    if len(values) != images:
        raise ValueError(f"{len(values):,} groups for {images:,} images; expected one per image")
    names = [_name(value) for value in values]
    if len(different := set(names)) > _MOST_GROUPS:
        raise ValueError(
            f"groups has {len(different):,} different values, such as {names[0]!r:.40}; give at "
            f"most {_MOST_GROUPS}, and put numbers into bands (e.g. by pandas.cut)"
        )
    return names


def score_groups(
    labels: Array,
    probabilities: Array,
    task: Task,
    classes: Sequence[str],
    names: Sequence[str],
    *,
    threshold: float | Sequence[float] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[GroupScores]:
    """Score each group of images by itself.

    Args:
        labels: As for `compute_metrics`.
        probabilities: As for `compute_metrics`.
        task: MedMNIST's name of the task.
        classes: Names of the classes.
        names: Group of each image, (N,).
        threshold: As for `compute_metrics`.
        resamples: Bootstrap resamples of the images of each group; 0 for no intervals.
        seed: Seed of the resampling.

    Returns:
        The groups, by name; the missing ones last.

    Raises:
        TypeError: If number or seed of the resamples are not whole numbers.
        ValueError: If one of them is negative.
    """
    resamples, seed = check_resampling(resamples, seed)
    truth, scores = np.asarray(labels), np.asarray(probabilities)
    members = np.array(names)
    rows: list[GroupScores] = []
    for name in sorted(set(names), key=lambda name: (name == MISSING, _sortable(name))):
        own = members == name
        metrics = compute_metrics(
            truth[own], scores[own], task, classes, threshold=threshold, warn=False
        )
        intervals: dict[str, Interval] = {}
        if resamples:
            intervals = bootstrap_intervals(
                *(truth[own], scores[own], task),
                resamples=resamples,
                seed=seed,
                threshold=threshold,
            ).overall
        rows.append(
            GroupScores(
                name=name,
                n=int(own.sum()),
                small=bool(own.sum() < SMALL_GROUP),
                absent=[row["name"] for row in metrics.per_class if not row["support"]],
                scores={
                    key: value for key, value in vars(metrics).items() if isinstance(value, float)
                },
                intervals=intervals,
            )
        )
    return rows


def worst_group(groups: Sequence[GroupScores], score: str) -> GroupScores | None:
    """Return the group with the worst value of a score, of those that are not small.

    Args:
        groups: The groups.
        score: Name of an overall score.

    Returns:
        The group; None if the score is defined for no group that is not small.

    Raises:
        ValueError: If there is no such score.
    """
    ranked = _ranked(groups, score)
    return ranked[0] if ranked else None


def largest_gap(groups: Sequence[GroupScores], score: str) -> float:
    """Return the difference between the best and the worst group, of those that are not small.

    Args:
        groups: The groups.
        score: Name of an overall score.

    Returns:
        The difference, at least 0; NaN if there are not two such groups.

    Raises:
        ValueError: If there is no such score.
    """
    ranked = _ranked(groups, score)
    if len(ranked) < 2:
        return math.nan
    return abs(ranked[-1]["scores"][score] - ranked[0]["scores"][score])


def _ranked(groups: Sequence[GroupScores], score: str) -> list[GroupScores]:
    """Return the groups that can be compared, the worst first."""
    for group in groups:
        if score not in group["scores"]:
            known = ", ".join(sorted(group["scores"]))
            raise ValueError(f"unknown score {score!r}; known: {known}")
    able = [one for one in groups if not (one["small"] or math.isnan(one["scores"][score]))]
    sign = -1 if score in _LOWER_IS_BETTER else 1
    return sorted(able, key=lambda one: sign * one["scores"][score])


def _name(value: Any) -> str:
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    text = str(int(value) if whole else value)
    return MISSING if value is None or text.lower() in ("", "nan", "nat", "<na>") else text


def _sortable(name: str) -> tuple[float, str]:
    try:
        number = float(name)
    except ValueError:
        return math.inf, name
    return (math.inf if math.isnan(number) else number), name
