"""Checking the plain values of a report that comes from a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, get_args

from medzoo.datasets import TASKS
from medzoo.datasets.info import SPLIT_NAMES
from medzoo.evaluation.metrics import is_multi_label
from medzoo.inference.tta import TTA
from medzoo.spec import ConformalMethod

_ROUNDING = 1e-6
_LARGEST = 2**53


def check_report_values(values: Mapping[str, Any]) -> None:
    """Make sure that values are those of a report, so that it can be printed and plotted.

    Args:
        values: What `Report.to_dict` gave, after a trip through JSON; no field is unknown, and
            those without a default are all there.

    Raises:
        ValueError: If a value cannot be one of a report.
    """
    for name, value in values.items():
        fits, expected = _FIELDS.get(name, (_is_score, "a number from 0 to 1, or null"))
        if not fits(value):
            raise _not_a_report(name, value, expected)
    classes = len(values["per_class"])
    shape = [classes, 2, 2] if is_multi_label(values["task"]) else [classes, classes]
    if len(values.get("auc_intervals", [])) not in (0, classes):
        raise _not_a_report("auc_intervals", values["auc_intervals"], f"{classes} pairs, or none")
    for bounds in values.get("class_intervals", {}).values():
        if len(bounds) != classes:
            raise _not_a_report("class_intervals", bounds, f"{classes} pairs for each score")
    sets = values.get("prediction_sets")
    if sets is not None and len(sets["per_class"]) != classes:
        raise _not_a_report("prediction_sets", sets, f"coverage and size of {classes} classes")
    threshold = values.get("threshold")
    if isinstance(threshold, list) and len(threshold) != classes:
        raise _not_a_report("threshold", threshold, f"one number, or {classes}")
    if _shape(values["confusion"], len(shape)) != shape:
        expected = f"{' x '.join(map(str, shape))} counts, for {classes} classes"
        raise _not_a_report("confusion", values["confusion"], expected)


def _not_a_report(name: str, value: object, expected: str) -> ValueError:
    return ValueError(
        f"not a report: {name}={value!r:.80} must be {expected}; give what Report.to_dict() "
        "returned"
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _is_score(value: object) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return -_ROUNDING <= value <= 1 + _ROUNDING
    return value is None


def _is_agreement(value: object) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return -1 - _ROUNDING <= value <= 1 + _ROUNDING
    return value is None


def _is_interval(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_agreement, value))


def _are_intervals(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_interval, value))


def _are_named_intervals(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_interval, value.values()))


def _is_size(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and 0 <= value <= _LARGEST)  # type: ignore[operator]


def _is_size_interval(value: object) -> bool:
    return value is None or (
        isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_size, value))
    )


def _are_sets(value: object) -> bool:
    return value is None or (
        isinstance(value, dict)
        and value.keys() == {"method", "target", "overall", "per_class"}
        and value["method"] in get_args(ConformalMethod)
        and _is_score(value["target"])
        and value["target"] is not None
        and _are_set_coverages([value["overall"]])
        and _are_set_coverages(value["per_class"])
    )


def _is_threshold(value: object) -> bool:
    return all(map(_is_score, value)) if isinstance(value, list) else _is_score(value)


def _are_rows(
    kinds: Mapping[str, Callable[[object], bool]], later: Collection[str] = ()
) -> Callable[[object], bool]:
    """Return whether a value is a list of objects with these fields; old ones lack the later."""

    def fits(value: object) -> bool:
        return isinstance(value, list) and all(
            isinstance(row, dict)
            and kinds.keys() - later <= row.keys() <= kinds.keys()
            and all(kinds[name](row[name]) for name in row)
            for row in value
        )

    return fits


def _is_provenance(value: object) -> bool:
    return (
        isinstance(value, dict)
        and {"file", "md5", "official"} <= value.keys() <= {"file", "md5", "official", "note"}
        and isinstance(value["official"], bool)
        and all(v is None or isinstance(v, str) for k, v in value.items() if k != "official")
    )


def _is_model(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"architecture", "name", "sha256", "recipe"}
        and isinstance(value.get("recipe", {}), dict)
        and all(isinstance(text, str) for name, text in value.items() if name != "recipe")
    )


def _shape(counts: Any, depth: int) -> list[int]:
    """Return the shape of nested lists of counts; empty if they have none of that depth."""
    if not isinstance(counts, Sequence) or isinstance(counts, str):
        return []
    if depth == 1:
        return [len(counts)] if all(map(_is_count, counts)) else []
    inner = [_shape(one, depth - 1) for one in counts]
    return [len(inner), *inner[0]] if inner and inner.count(inner[0]) == len(inner) else []


_are_groups = _are_rows(
    {
        "name": _is_text,
        "n": _is_count,
        "small": lambda value: isinstance(value, bool),
        "absent": lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "scores": lambda value: (
            isinstance(value, dict)
            and value.keys() >= {"auc", "acc", "balanced_acc"}
            and all(map(_is_agreement, value.values()))
        ),
        "intervals": _are_named_intervals,
    }
)
_are_set_coverages = _are_rows(
    {
        "name": _is_text,
        "coverage": _is_score,
        "size": _is_size,
        "coverage_interval": lambda value: value is None or _is_interval(value),
        "size_interval": _is_size_interval,
    }
)
_LATER = ("specificity", "npv", "average_precision")
_scores = dict.fromkeys(("precision", "recall", "f1", "auc", *_LATER), _is_score)
_are_classes = _are_rows({"name": _is_text, **_scores, "support": _is_count}, _LATER)
_text, _count = (_is_text, "text"), (_is_count, f"a whole number from 0 to {_LARGEST}")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("dataset", "title"), _text),
    **dict.fromkeys(("n", "resamples", "seed"), _count),
    "split": (lambda value: value in SPLIT_NAMES, f"one of {', '.join(SPLIT_NAMES)}"),
    "task": (lambda value: value in TASKS, f"one of {', '.join(TASKS)}"),
    "tta": (lambda value: value in get_args(TTA), f"one of {', '.join(get_args(TTA))}"),
    "temperature": (
        lambda value: isinstance(value, int | float) and 0 < value <= _LARGEST,
        "a number above 0",
    ),
    "provenance": (_is_provenance, "an object with file, md5, official and note"),
    "model": (_is_model, "an object with architecture, name, sha256 and recipe"),
    "intervals": (_are_named_intervals, "an object of pairs of numbers"),
    "groups": (_are_groups, "a list of objects with name, n, small, absent, scores, intervals"),
    "prediction_sets": (_are_sets, "an object with method, target, overall, per_class, or null"),
    "auc_intervals": (_are_intervals, "a list of pairs of numbers"),
    "class_intervals": (
        lambda value: isinstance(value, dict) and all(map(_are_intervals, value.values())),
        "an object of lists of pairs of numbers",
    ),
    "threshold": (_is_threshold, "a number from 0 to 1, a list of them, or null"),
    **dict.fromkeys(("kappa", "mcc"), (_is_agreement, "a number from -1 to 1, or null")),
    "risk_coverage": (
        _are_rows({"coverage": _is_score, "risk": _is_score, "confidence": _is_score}),
        "a list of objects with coverage, risk and confidence",
    ),
    "per_class": (
        lambda value: _are_classes(value) and bool(value),
        "a list of objects with name, precision, recall, f1, auc and support",
    ),
    "calibration": (
        _are_rows({"confidence": _is_score, "accuracy": _is_score, "count": _is_count}),
        "a list of objects with confidence, accuracy and count",
    ),
    "confusion": (lambda value: isinstance(value, list), "a list"),
}
