"""Accuracy against the number of parameters, as SVG inside a page: one panel per data set.

The figures are those of the index of published weights, and of ``reported.toml`` for networks of
others. A page script shows what a point is; without it, the point's title does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import medzoo
from benchmarks.reporting.format import millions
from benchmarks.reporting.paths import REPORTED
from benchmarks.reporting.toml_file import read_toml
from medzoo.datasets.info import split_tag
from medzoo.weights import weights_index

WIDTH, HEIGHT = 300, 210
LEFT, RIGHT, TOP, BOTTOM = 40, 290, 12, 172
PARAMETERS = (0.8e6, 40e6)
"""Ends of the horizontal axis, which is logarithmic."""
TICKS = (1, 2, 5, 10, 20)
APART = 12
"""Points of equally large networks are moved apart, to at least this distance."""
PUBLISHED = "published"


@dataclass(frozen=True)
class Point:
    """One network on one data set.

    Attributes:
        kind: Name of the architecture, or `PUBLISHED` for a network of others.
        parameters: Their number.
        score: In [0, 1]: accuracy, or AUC where an image has any number of labels.
        interval: 95 % interval of the score; None for a published figure, which has none.
        larger: Whether the network sees images of more than 28 x 28 pixels.
        tip: What a reader is shown, in several lines.
    """

    kind: str
    parameters: int
    score: float
    interval: tuple[float, float] | None
    larger: bool
    tip: str


def cost_plot() -> str:
    """Return the panels of all data sets, and what their colours mean."""
    panels = {name: _points(name) for name in medzoo.list_datasets()}
    kinds = list(dict.fromkeys(point.kind for points in panels.values() for point in points))
    kinds.sort(key=lambda kind: kind == PUBLISHED)
    legend = "".join(f'<li class="{kind}">{_kind_title(kind)}</li>' for kind in kinds)
    figures = "\n".join(_figure(name, points) for name, points in panels.items() if points)
    return (
        '<div class="cost-plot" data-filter="Data set">\n'
        f'<ul class="legend">{legend}</ul>\n<div class="panels">\n{figures}\n</div>\n</div>'
    )


def _kind_title(kind: str) -> str:
    return "networks of others, as published" if kind == PUBLISHED else kind


def _points(dataset: str) -> list[Point]:
    """Return the networks of a data set, the smallest first."""
    info = medzoo.dataset_info(dataset)
    metric = "auc" if info.multi_label else "acc"
    points = []
    for entry in weights_index().values():
        test = entry.metrics.get("test")
        if not test or entry.dataset != dataset:
            continue
        size = split_tag(entry.tag)[1]
        scores = [
            f"test {name.upper()} {_score(test[name], name)}"
            f" ({_score(low, name)} to {_score(high, name)})"
            for name in ("acc", "auc")
            for low, high in [test["intervals"][name]]
        ]
        head = [entry.name, test["title"], f"{millions(entry.parameters)} parameters, {size} px"]
        low, high = test["intervals"][metric]
        tip = "\n".join([*head, *scores])
        points.append(
            Point(entry.architecture, entry.parameters, test[metric], (low, high), size > 28, tip)
        )
    # Figures of a part of a multi-label set cannot be compared with published ones.
    for one in read_toml(REPORTED)["reference"] if points and not info.multi_label else ():
        if "parameters" in one and dataset in one:
            tip = (
                f"{one['name']}\n{millions(one['parameters'])} parameters\n"
                f"test ACC {_score(one[dataset]['acc'], 'acc')}, as published"
            )
            larger = "(28" not in one["name"]
            acc = one[dataset]["acc"]
            points.append(Point(PUBLISHED, one["parameters"], acc, None, larger, tip))
    return sorted(points, key=lambda point: (point.parameters, point.tip))


def _score(value: float, metric: str) -> str:
    return f"{100 * value:.1f} %" if metric == "acc" else f"{value:.3f}"


def _figure(dataset: str, points: Sequence[Point]) -> str:
    """Return one panel."""
    info = medzoo.dataset_info(dataset)
    metric = "auc" if info.multi_label else "acc"
    title = f"{info.title}, test {metric.upper()}"
    bounds = [bound for point in points for bound in (point.score, *(point.interval or ()))]
    ticks = nice_ticks(min(bounds), max(bounds))
    step = ticks[1] - ticks[0]
    bottom, top = min(*bounds, ticks[0]) - 0.2 * step, max(*bounds, ticks[-1]) + 0.2 * step

    def height_of(score: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (score - bottom) / (top - bottom)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{escape(title)}">']
    for tick in ticks:
        y = height_of(tick)
        name = f"{100 * tick:g} %" if metric == "acc" else f"{tick:g}"
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>')
        parts.append(f'<text class="y" x="{LEFT - 5}" y="{y + 4:.1f}">{name}</text>')
    for count in TICKS:
        x = _place(1e6 * count)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>')
        parts.append(f'<text class="x" x="{x:.1f}" y="{BOTTOM + 15}">{count} M</text>')
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text class="x" x="{middle}" y="{BOTTOM + 32}">parameters</text>')
    parts += [_mark(point, x, height_of) for point, x in zip(points, _apart(points), strict=True)]
    svg = "".join([*parts, "</svg>"])
    caption = f"<figcaption>{escape(info.title)} <small>test {metric.upper()}</small></figcaption>"
    return f'<figure data-filter="{escape(info.title)}">{caption}{svg}</figure>'


def nice_ticks(low: float, high: float) -> list[float]:
    """Return two to five round values in a range, the same distance apart.

    Args:
        low: The smallest value to show.
        high: The largest, above `low`.
    """
    exponent = math.floor(math.log10(high - low))
    for factor in (0.2, 0.25, 0.5, 1, 2, 2.5):
        step = factor * 10**exponent
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first <= 4:
            return [round(number * step, 6) for number in range(first, max(last, first + 1) + 1)]
    raise AssertionError("at least one of the steps gives five values or fewer")


def _place(parameters: float) -> float:
    """Return where a number of parameters is on the horizontal axis."""
    low, high = map(math.log, PARAMETERS)
    return LEFT + (RIGHT - LEFT) * (math.log(parameters) - low) / (high - low)


def _apart(points: Iterable[Point]) -> list[float]:
    """Return the horizontal places of points in ascending order, no two too close."""
    places: list[float] = []
    for point in points:
        place = _place(point.parameters)
        places.append(max(place, places[-1] + APART) if places else place)
    return places


def _mark(point: Point, x: float, height_of: Callable[[float], float]) -> str:
    """Return a point with its interval, and a larger invisible spot that is easy to hit."""
    y = height_of(point.score)
    whisker = ""
    if point.interval:
        low, high = map(height_of, point.interval)
        whisker = f'<path class="whisker" d="M{x:.1f} {low:.1f}V{high:.1f}"/>'
    larger = " larger" if point.larger else ""
    shape = f'<circle class="dot{larger}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    if point.kind == PUBLISHED:
        shape = f'<rect class="dot{larger}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    tip = escape(point.tip).replace("\n", "&#10;")
    return (
        f'<g class="point {point.kind}" tabindex="0" role="img" data-tip="{tip}" '
        f'aria-label="{tip.replace("&#10;", "; ")}"><title>{tip}</title>{whisker}{shape}'
        f'<circle class="hit" cx="{x:.1f}" cy="{y:.1f}" r="9"/></g>'
    )
