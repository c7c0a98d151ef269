"""Comparing two or more models on the same images of a split."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.datasets import Split
from medzoo.deployment import load_model
from medzoo.escape import for_display
from medzoo.evaluation.comparison.significance import bootstrap_p, delong, holm, mcnemar
from medzoo.evaluation.intervals import Interval, check_resampling, percentiles, resample
from medzoo.evaluation.metrics import ScoredPredictions, compute_metrics, score_predictions
from medzoo.evaluation.report_text import SCORE_LABELS, digits
from medzoo.inference import Model, SplitOptions, probabilities, split_logits
from medzoo.inference.options import check_options

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Difference:
    """By how much one model's score exceeds another's on the same images.

    Attributes:
        score: Name of the score.
        first: Name of the first model.
        second: Name of the second model.
        difference: Score of the first minus that of the second.
        interval: 95 % paired bootstrap interval of the difference.
        p_value: Probability of a difference at least as large if the models were equal; NaN where
            it is not defined.
        p_adjusted: The same by Holm's correction for all pairs of models with this score.
        test: ``"mcnemar"``, ``"delong"`` or ``"bootstrap"``.
    """

    score: str
    first: str
    second: str
    difference: float
    interval: Interval
    p_value: float
    p_adjusted: float
    test: str


@dataclass(frozen=True)
class Comparison:
    """Scores of several models on the same images, and which differences are more than chance.

    Attributes:
        title: Name of the data set, with its provenance.
        split: ``"train"``, ``"val"`` or ``"test"``.
        n: Number of images.
        scores: Overall scores of each model, by the model's name.
        differences: Each pair of models, score by score.
        resamples: Number of bootstrap resamples of the images, the same for all models.
        seed: Seed of the resampling.
    """

    title: str
    split: str
    n: int
    scores: dict[str, dict[str, float]]
    differences: list[Difference]
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain JSON values; NaN becomes None."""
        values = asdict(self)
        for row in values["differences"]:
            row["interval"] = list(map(_plain, row["interval"]))
            row.update({name: _plain(row[name]) for name in ("difference", "p_value")})
            row["p_adjusted"] = _plain(row["p_adjusted"])
        for scores in values["scores"].values():
            scores.update({name: _plain(value) for name, value in scores.items()})
        return values

    def __str__(self) -> str:
        """A table of the scores, and one of the differences."""
        names = list(map(for_display, self.scores))
        width = max(len("model"), *map(len, names))
        chosen = list(dict.fromkeys(row.score for row in self.differences))
        titles = "  ".join(f"{SCORE_LABELS[score]:>12}" for score in chosen)
        lines = [
            f"{for_display(self.title)}, {self.split} split: {self.n:,} images",
            "",
            f"  {'model':<{width}}  {titles}",
        ]
        for name, scores in zip(names, self.scores.values(), strict=True):
            cells = "  ".join(f"{digits(scores[score]):>12}" for score in chosen)
            lines.append(f"  {name:<{width}}  {cells}")
        pairs = [f"{for_display(d.first)} - {for_display(d.second)}" for d in self.differences]
        wide = max(map(len, pairs))
        several = len(self.scores) > 2
        heading = "p (Holm)" if several else "p"
        lines += ["", f"  {'score':<12}  {'difference':<{wide}}  {'':<26}{heading:<9} test"]
        for pair, row in zip(pairs, self.differences, strict=True):
            low, high = row.interval
            value = f"{_signed(row.difference)}  [{_signed(low)}, {_signed(high)}]"
            p = "-" if math.isnan(row.p_adjusted) else f"{row.p_adjusted:.4f}"
            label = SCORE_LABELS[row.score]
            lines.append(f"  {label:<12}  {pair:<{wide}}  {value:<26}{p:<9} {row.test}")
        lines += [
            "",
            f"In brackets: 95 % paired bootstrap intervals, {self.resamples:,} resamples of the "
            f"images, seed {self.seed}.",
        ]
        if several:
            lines.append("p-values are adjusted for all pairs with the same score (Holm).")
        return "\n".join(lines)


def compare(
    models: Sequence[Model | str | os.PathLike[str]] | Mapping[str, Any],
    split: Split,
    *,
    scores: Sequence[str] = ("auc", "acc"),
    resamples: int = 1000,
    seed: int = 0,
    **options: Unpack[SplitOptions],
) -> Comparison:
    """Compare models on the same images: how large are the differences, and are they chance?

    Since all models see the same images, differences are more certain than two separate intervals
    suggest. Accuracy is tested by McNemar's exact test (exact match, for multi-label tasks), the
    AUC of binary tasks by DeLong's test, every other score by the paired bootstrap, whose p-value
    is never below 2 / (resamples + 1). The tests say nothing about other training runs.

    Args:
        models: Two or more models, each as for `medzoo.evaluate`; or a mapping from names to them.
        split: Labelled images that none of the models was trained on or chosen by.
        scores: Names of overall scores, such as ``"balanced_acc"``.
        resamples: Bootstrap resamples of the images, the same for all models; at least 1.
        seed: Seed of the resampling.
        **options: As for `medzoo.evaluate`, for all models.

    Returns:
        The scores of each model, and the differences of each pair. With more than two models,
        p-values are adjusted for the number of pairs.

    Raises:
        TypeError: If `models` is one model, a model does not say what it is, `scores` are not
            names, or `resamples` or `seed` is not a whole number.
        ValueError: If there are fewer than two models, a score does not exist, a number is too
            small, or a model or option does not fit the split.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("breastmnist")
        >>> models = {name: medzoo.create_model("simple_cnn", dataset=data) for name in "ab"}
        >>> medzoo.compare(models, data.test).differences[0].test
        'delong'
    """
    check_options(compare, options)
    named, chosen = _named(models), _checked_scores(scores)
    resamples, seed = check_resampling(resamples, seed, 1)
    info = split.info if isinstance(split, Split) else None
    predictions: dict[str, ScoredPredictions] = {}
    measured: dict[str, dict[str, float]] = {}
    for name, model in named.items():
        logits = split_logits(load_model(model), split, **options)
        assert info is not None  # `split_logits` has made sure
        chances = probabilities(logits, info.task)
        predictions[name] = score_predictions(split.labels, chances, info.task)
        metrics = compute_metrics(split.labels, chances, info.task, info.classes, warn=not measured)
        measured[name] = {score: getattr(metrics, score) for score in SCORE_LABELS}
    drawn = {name: resample(data, resamples, seed).overall for name, data in predictions.items()}
    differences = []
    for score in chosen:
        rows = []
        for first, second in combinations(named, 2):
            resampled = drawn[first][score] - drawn[second][score]
            p_value, test = _test(predictions[first], predictions[second], score)
            if test == "bootstrap":
                p_value = bootstrap_p(resampled)
            difference = measured[first][score] - measured[second][score]
            rows.append((first, second, difference, percentiles(resampled, 0.95), p_value, test))
        adjusted = holm([row[4] for row in rows])
        differences += [
            Difference(score, *row[:5], p_adjusted=p, test=row[5])
            for row, p in zip(rows, adjusted, strict=True)
        ]
    return Comparison(split.title, split.name, len(split), measured, differences, resamples, seed)


def _named(models: object) -> dict[str, Any]:
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
    elif isinstance(models, str) or not isinstance(models, Sequence):
        raise TypeError(
            f"models is {type(models).__name__}; give a list of two or more models, or a mapping "
            "from names to models"
        )
    else:
        named = {}
        for number, model in enumerate(models, 1):
            given = isinstance(model, str | os.PathLike)
            name = os.fspath(model) if given else f"model {number}"
            named[f"{name} ({number})" if name in named else name] = model
    if len(named) < len(models):
        raise ValueError(
            f"two of the {len(models)} models have the same name; give a mapping from different "
            "names to models"
        )
    if len(named) < 2:
        raise ValueError(f"there is {len(named)} model to compare; give two or more")
    return named


def _checked_scores(scores: object) -> list[str]:
    is_several = isinstance(scores, Iterable) and not isinstance(scores, str | bytes)
    chosen: list[str] = list(scores) if is_several else []  # type: ignore[call-overload]
    if not chosen or not all(isinstance(score, str) for score in chosen):
        raise TypeError(f"scores={scores!r:.80} must be a list of names, e.g. ['auc']")
    for score in chosen:
        if score not in SCORE_LABELS:
            raise ValueError(f"unknown score {score!r}; known: {', '.join(SCORE_LABELS)}")
    return chosen


def _test(first: ScoredPredictions, second: ScoredPredictions, score: str) -> tuple[float, str]:
    """Return p-value and name of the test made for a score; NaN if it is the bootstrap."""
    if score == "exact_match" or (score == "acc" and not first.multi_label):
        complete = np.all(first.known, axis=1)
        if not complete.any():
            return math.nan, "mcnemar"
        right = [np.all(one.right[complete], axis=1) for one in (first, second)]
        return mcnemar(*right), "mcnemar"
    if score == "auc" and first.task == "binary-class":
        return delong(first.truth[:, 1], first.scores[:, 1], second.scores[:, 1]), "delong"
    return math.nan, "bootstrap"


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _signed(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.3f}"
