"""How figures are written in tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay rows out as a Markdown table.

    Args:
        header: Titles of the columns.
        rows: As many cells each.
    """
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def percent(value: float | None) -> str:
    """Format a share as a percentage; None as a dash.

    Args:
        value: In [0, 1].
    """
    return "-" if value is None else f"{100 * value:.2f} %"


def percent_interval(interval: Sequence[float]) -> str:
    """Format an interval of shares as percentages.

    Args:
        interval: Lower and upper bound, in [0, 1].
    """
    low, high = interval
    return f"({100 * low:.1f} to {100 * high:.1f})"


def millions(count: int) -> str:
    """Format a number of parameters.

    Args:
        count: The number.
    """
    return f"{count / 1e6:.2f} M"


def seed_summary(stats: Mapping[str, Any]) -> str:
    """Format mean and standard deviation of ACC and AUC over seeds.

    Args:
        stats: As `benchmarks.reproduction.record.seed_stats` returns them.
    """
    acc, auc, count = stats["acc"], stats["auc"], len(stats["seeds"])
    if acc["sd"] is None:
        return "one seed"
    return (
        f"ACC {100 * acc['mean']:.2f} ± {100 * acc['sd']:.2f}, "
        f"AUC {auc['mean']:.3f} ± {auc['sd']:.3f} over {count} seeds"
    )


def interval_text(interval: Sequence[float], metric: str) -> str:
    """Format an interval of an accuracy as percentages, of another score as it is.

    Args:
        interval: Lower and upper bound, in [0, 1].
        metric: Name of the score.
    """
    low, high = interval
    if metric == "auc":
        return f"{low:.3f} to {high:.3f}"
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def mean_and_range(values: Sequence[float], digits: int, unit: str = "") -> str:
    """Format the mean of some values, with the smallest and the largest.

    Args:
        values: At least one.
        digits: Decimal places.
        unit: Appended to the mean.
    """
    return f"{mean(values):.{digits}f}{unit} ({min(values):.{digits}f} to {max(values):.{digits}f})"
