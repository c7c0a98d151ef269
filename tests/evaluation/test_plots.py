import os
import subprocess
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from medzoo.evaluation import (
    plot_comparison,
    plot_confusion,
    plot_history,
    plot_per_class,
    plot_reliability,
    plot_report,
    plot_risk_coverage,
    plots,
)
from medzoo.evaluation.figures import report as report_figures
from tests.evaluation.metrics.test_scores import MULTI_LABEL
from tests.evaluation.test_report import report

HISTORY = [
    {"epoch": 1, "loss": 1.0, "val_loss": None, "val_auc": None, "val_acc": None},
    {"epoch": 2, "loss": 0.5, "val_loss": 0.6, "val_auc": 0.8, "val_acc": 0.7},
]
ROWS = [
    {
        "label": "DermaMNIST (rebuilt)",
        "reported": 0.7377,
        "measured": 0.75,
        "interval": (0.73, 0.77),
    },
    {"label": "OCTMNIST", "reported": 0.716, "measured": None, "interval": None},
    {"label": "BreastMNIST", "reported": None, "measured": 0.86},
]


def colors(path):
    """Share of the pixels that have each colour of the palette."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    palette = {"blue": (0, 114, 178), "orange": (230, 159, 0), "gray": (140, 140, 140)}
    return {name: (pixels == color).all(1).mean() for name, color in palette.items()}


@pytest.mark.parametrize(
    ("draw", "content"),
    [
        (plot_history, HISTORY),
        (plot_history, HISTORY[:1]),
        (plot_confusion, report()),
        (plot_confusion, report(MULTI_LABEL)),
        (plot_per_class, report()),
        (plot_reliability, report()),
        (plot_reliability, report(MULTI_LABEL)),
        (plot_comparison, ROWS),
    ],
)
def test_a_plot_is_one_png_and_nothing_else(tmp_path, draw, content):
    backend = matplotlib.rcParams._get_backend_or_none()
    path = draw(content, tmp_path / "new folder" / "plot.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
        assert len(image.convert("RGB").getcolors(10**7)) > 10
    assert [child.name for child in path.parent.iterdir()] == ["plot.png"]
    assert matplotlib.rcParams._get_backend_or_none() == backend


def test_bars_are_as_long_as_their_figures(tmp_path):
    row = {"label": "x", "reported": 0.8, "measured": 0.4}
    share = colors(plot_comparison([row], tmp_path / "plot.png"))
    without = colors(plot_comparison([{**row, "measured": None}], tmp_path / "plot.png"))
    assert share["gray"] / share["blue"] == pytest.approx(2, rel=0.15)
    assert without["blue"] < share["blue"] / 3


def test_epochs_without_validation_leave_out_its_curve(tmp_path):
    assert colors(plot_history(HISTORY, tmp_path / "plot.png"))["orange"] > 0
    assert colors(plot_history(HISTORY[:1], tmp_path / "plot.png"))["orange"] == 0


def test_a_run_validated_once_has_no_empty_axes_for_its_scores(tmp_path):
    once = [{"epoch": epoch, "loss": 1 / epoch} for epoch in range(1, 11)]
    once[-1] |= {"val_loss": 0.2, "val_auc": 0.9, "val_acc": 0.8}
    often = [*once[:4], {**once[4], **once[-1], "epoch": 5}, *once[5:]]
    widths = []
    for history in (once, often):
        with Image.open(plot_history(history, tmp_path / "plot.png")) as image:
            widths.append(image.width)
    assert widths[1] == 2 * widths[0]
    assert colors(plot_history(once, tmp_path / "plot.png"))["orange"] > 0


@pytest.mark.filterwarnings("ignore:no image has")
def test_a_class_without_images_can_be_drawn(tmp_path):
    lacking = report(MULTI_LABEL, absent=2)
    plot_confusion(lacking, tmp_path / "confusion.png")
    plot_per_class(lacking, tmp_path / "classes.png")


def test_a_model_that_is_too_sure_has_gaps(tmp_path):
    honest = replace(report(), calibration=[{"confidence": 0.6, "accuracy": 0.6, "count": 9}])
    boastful = replace(honest, calibration=[{"confidence": 0.9, "accuracy": 0.1, "count": 9}])
    shares = [colors(plot_reliability(r, tmp_path / "r.png"))["orange"] for r in (honest, boastful)]
    assert shares[1] > 3 * shares[0]


def test_what_cannot_be_drawn_is_refused_and_leaves_no_file(tmp_path):
    path = tmp_path / "plot.png"
    with pytest.raises(ValueError, match="no epochs"):
        plot_history([], path)
    with pytest.raises(ValueError, match="no rows"):
        plot_comparison([], path)
    with pytest.raises(ValueError, match="no calibration bins"):
        plot_reliability(replace(report(), calibration=[]), path)
    with pytest.raises(ValueError, match=r"73.77 is not a share in \[0, 1\]"):
        plot_comparison([{"label": "x", "reported": 73.77}], path)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = plot_history(HISTORY, tmp_path / "plot.png")
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write the plot to .*disk full"):
        plot_history(HISTORY, path)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["plot.png"]


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "medzoo\[plots\]"'):
        plot_history(HISTORY, tmp_path / "plot.png")


def test_importing_evaluation_imports_no_plotting_and_no_scikit_learn():
    code = (
        "import sys, medzoo.evaluation;"
        "print([name for name in ('matplotlib', 'sklearn', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("task", "usetex"), [("multi-class", True), (MULTI_LABEL, False)])
def test_names_are_no_formulas(tmp_path, task, usetex):
    values = report(task).to_dict()
    names = ("$\\frac{$", "\x1b[31m\ud800_%", "x" * 999)
    for row, name in zip(values["per_class"], names, strict=True):
        row["name"] = name
    hostile = type(report()).from_dict(values | {"title": "$\\input{a}$ \x00"})
    with matplotlib.rc_context({"text.usetex": usetex}):
        for path in plot_report(hostile, tmp_path):
            with Image.open(path) as image:
                assert max(image.size) < 3000
        plot_comparison([{"label": "$\\frac{$", "measured": 0.5}], tmp_path / "comparison.png")
        plot_history(HISTORY, tmp_path / "history.png", title="$\\frac{$")


def test_a_thousand_classes_do_not_take_gigabytes(tmp_path, monkeypatch):
    few = report()
    many = replace(few, per_class=few.per_class * 400, confusion=np.eye(1200, dtype=int).tolist())
    sizes = []
    monkeypatch.setattr(
        plots, "save_figure", lambda figure, path: sizes.append(figure.get_size_inches())
    )
    monkeypatch.setattr(report_figures, "_draw_matrix", lambda axes, *_: axes.imshow([[0]]))
    plots.plot_confusion(many, tmp_path / "a.png")
    assert np.max(sizes) <= 60


def test_a_risk_coverage_curve_needs_its_points(tmp_path):
    with Image.open(plot_risk_coverage(report(MULTI_LABEL), tmp_path / "curve.png")) as image:
        assert min(image.size) > 400
    with pytest.raises(ValueError, match="no risk-coverage curve; evaluate"):
        plot_risk_coverage(replace(report(), risk_coverage=[]), tmp_path / "none.png")


def test_plots_of_an_old_report_lack_its_curve(tmp_path):
    paths = plot_report(replace(report(), risk_coverage=[]), tmp_path)
    assert [path.name for path in paths] == ["confusion.png", "per_class.png", "reliability.png"]


def test_plots_of_a_report_without_bins_lack_what_they_would_show(tmp_path):
    paths = plot_report(replace(report(), calibration=[], risk_coverage=[]), tmp_path)
    assert [path.name for path in paths] == ["confusion.png", "per_class.png"]
