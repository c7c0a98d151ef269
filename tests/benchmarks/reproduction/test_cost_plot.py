"""The plot of accuracy against size shows every published model, with its figures."""

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import medzoo
from benchmarks.reproduction import cost_plot
from medzoo.weights import weights_index

SVG = "{http://www.w3.org/2000/svg}"
STYLE = Path(cost_plot.__file__).parents[2] / "docs" / "extra.css"
PUBLISHED = {name: entry for name, entry in weights_index().items() if "test" in entry.metrics}


@pytest.fixture(scope="module")
def plot():
    return ElementTree.fromstring(cost_plot.cost_plot())  # raises if it is not well-formed


def points(plot):
    return [node for node in plot.iter() if "data-tip" in node.attrib]


def test_every_published_model_is_a_point_with_its_figures(plot):
    tips = {tip.splitlines()[0]: tip for tip in (node.get("data-tip") for node in points(plot))}
    assert set(PUBLISHED) <= set(tips)
    for name, entry in PUBLISHED.items():
        test = entry.metrics["test"]
        low, high = test["intervals"]["auc"]
        assert f"test AUC {test['auc']:.3f} ({low:.3f} to {high:.3f})" in tips[name]
        low, high = test["intervals"]["acc"]
        acc = f"test ACC {100 * test['acc']:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"
        assert acc in tips[name]
        assert test["title"] in tips[name]


def test_points_can_be_reached_and_read_without_a_mouse(plot):
    for point in points(plot):
        assert point.get("tabindex") == "0"
        assert point.get("aria-label") == point.get("data-tip").replace("\n", "; ")
        assert point.find("title").text == point.get("data-tip")


def test_points_are_inside_their_panels(plot):
    for mark in plot.iter("circle"):
        assert cost_plot.LEFT <= float(mark.get("cx")) <= cost_plot.RIGHT
        assert cost_plot.TOP <= float(mark.get("cy")) <= cost_plot.BOTTOM


def test_every_architecture_has_a_colour(plot):
    style = STYLE.read_text(encoding="utf-8")
    for kind in {point.get("class").split()[1] for point in points(plot)}:
        assert re.search(rf"\.cost-plot \.{kind} {{ --kind: var\(--{kind}\)", style)
        assert len(re.findall(rf"^  --{kind}: #", style, re.MULTILINE)) == 2  # light and dark


def test_panels_can_be_told_apart_by_their_data_set(plot):
    shown = [figure.get("data-filter") for figure in plot.iter("figure")]
    titles = {entry.spec.dataset.title for entry in PUBLISHED.values()}
    assert len(shown) == len(titles)
    assert set(shown) == titles


def test_figures_of_a_part_are_not_beside_published_ones(plot):
    (panel,) = [one for one in plot.iter("figure") if one.get("data-filter") == "ChestMNIST"]
    assert medzoo.dataset_info("chestmnist").multi_label
    assert not [one for one in points(panel) if cost_plot.PUBLISHED in one.get("class")]


@pytest.mark.parametrize("ends", [(0.4, 0.6), (0.1, 0.9), (0.8, 0.8001), (0.735, 0.99), (0, 1)])
def test_ticks_are_round_few_and_as_far_apart(ends):
    ticks = cost_plot.nice_ticks(*ends)
    (step,) = {round(b - a, 6) for a, b in itertools.pairwise(ticks)}
    assert 2 <= len(ticks) <= 6
    assert float(f"{step:.2g}") == step
    assert ends[0] <= ticks[0]
