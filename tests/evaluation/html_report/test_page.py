"""A report as a page: whole, harmless, with the figures of the report and nothing else."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

import medzoo
from medzoo import Dataset, synthetic
from medzoo.errors import WriteError
from medzoo.evaluation import Report, compute_metrics, evaluate
from medzoo.evaluation.figures.figure import encoded_figure
from medzoo.evaluation.figures.report import precision_recall_figure, roc_figure
from medzoo.evaluation.html_report import report_page
from medzoo.evaluation.html_report.errors import confident_errors, error_section
from medzoo.evaluation.html_report.provenance import provenance_section
from medzoo.evaluation.html_report.robustness import robustness_section
from medzoo.evaluation.html_report.sections import group_section, set_section
from medzoo.evaluation.metrics import score_predictions
from medzoo.evaluation.report_text import class_columns, overall_rows, score_text
from medzoo.html import card
from medzoo.spec import ModelSpec
from tests.evaluation.metrics.test_scores import MULTI_LABEL, made_up
from tests.evaluation.test_report import report, through_json
from tests.html.parsed import check_harmless
from tests.html.test_render import HOSTILE

PROVENANCE = "Provenance and how this was made"
TASKS = ["multi-class", "binary-class", "ordinal-regression", MULTI_LABEL]


def with_predictions(task, classes=3):
    labels, scores = made_up(task, 0, 90, classes)
    return replace(report(task), predictions=score_predictions(labels, scores, task))


def split_of(predictions, task, channels=1):
    """A split of noise with the labels that were scored."""
    multi_label = task == MULTI_LABEL
    truth = predictions.truth.astype(np.float32) if multi_label else predictions.truth.argmax(1)
    shape = (len(truth), channels, 28, 28)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    names = [str(k) for k in range(predictions.truth.shape[1])]
    return Dataset.from_arrays(test=(images, truth), task=task, classes=names).test


@pytest.mark.parametrize("task", ["binary-class", MULTI_LABEL])
def test_it_shows_the_figures_of_the_report(task, tmp_path):
    measured = with_predictions(task)
    images = split_of(measured.predictions, task)
    path = measured.to_html(tmp_path / "new" / "report.html", images=images)
    page = check_harmless(path.read_text("utf-8"))
    cells = page.text_of("td")
    for _, value, bounds in overall_rows(measured):
        assert score_text(value, bounds) in cells
    for row in measured.per_class:
        assert row["name"] in page.text_of("th")
        assert f"{row['support']:,}" in cells
        for name in set(class_columns(measured)) - {"recall", "auc"}:
            assert f"{row[name]:.3f}" in cells
    assert measured.provenance["md5"] in cells
    titles = page.text_of("h2")
    assert "ROC and precision-recall curves" in titles
    assert "Most confident errors" in titles
    assert "Groups" not in titles
    assert len(page.all("img")) == 6 + 12


def test_prediction_sets_are_shown_for_all_images_and_each_class():
    bounds = {"coverage_interval": (0.871, 0.934), "size_interval": (1.111, 1.222)}
    overall = {"name": "all", "n": 90, "coverage": 0.903, "size": 1.161, **bounds}
    per_class = [overall | {"name": name, "coverage": 0.812} for name in ("a", "b", "c")]
    sets = {"method": "lac", "target": 0.9, "overall": overall, "per_class": per_class}
    measured = with_predictions("multi-class")
    assert set_section(measured) is None
    (table,) = set_section(replace(measured, prediction_sets=sets)).tables
    assert [row[0] for row in table.rows] == ["all", "a", "b", "c"]
    assert table.rows[0][1:] == ("0.903  [0.871, 0.934]", "1.161  [1.111, 1.222]")
    assert "90 %" in table.caption


def test_errors_on_damaged_images_are_shown_if_they_are_of_the_same_images():
    data = synthetic("breastmnist", n_test=16)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    measured = evaluate(model, data.test, resamples=0)
    own = medzoo.evaluate_robustness(model, data.test, like="breastmnist", resamples=20)
    assert robustness_section(measured, None) is None
    for damaged in (own, replace(own, be=1.25, rbe=2.5)):  # only MedMNIST's own images have a BE
        overall, each = robustness_section(measured, damaged).tables
        assert ("damaged", score_text(damaged.error, damaged.intervals["error"])) in overall.rows
        assert [row[0] for row in overall.rows][3:] == (["BE", "rBE"] if damaged is not own else [])
        for shown, row in zip(each.rows, damaged.corruptions, strict=True):
            assert shown[:2] == (row["name"], row["family"])
            assert shown[2:8] == tuple(f"{value:.3f}" for value in (*row["errors"], row["error"]))
    with pytest.raises(ValueError, match="measured with split='val'"):
        report_page(measured, robustness=replace(own, split="val"))
    with pytest.raises(ValueError, match="same model, images and options"):
        report_page(measured, robustness=replace(own, clean=own.clean + 0.1))
    with pytest.raises(TypeError, match="robustness is a dict"):
        report_page(measured, robustness=own.to_dict())


def test_the_same_figure_gives_the_same_file():
    first, again = (
        encoded_figure(roc_figure(with_predictions("multi-class")), "svg") for _ in "ab"
    )
    assert first == again


def test_a_report_from_a_file_has_no_curves_and_errors_and_needs_none(tmp_path):
    measured = with_predictions("multi-class")
    read = Report.from_dict(through_json(measured.to_dict()))
    old = replace(read, calibration=[], risk_coverage=[])
    page = check_harmless(old.to_html(tmp_path / "report.html").read_text("utf-8"))
    assert page.text_of("h2") == ["Scores", "Classes", "Confusion", PROVENANCE]
    with pytest.raises(ValueError, match="holds scores but no predictions"):
        read.to_html(tmp_path / "new.html", images=split_of(measured.predictions, "multi-class"))
    assert not (tmp_path / "new.html").exists()


@pytest.mark.parametrize("text", HOSTILE)
def test_names_do_nothing(text):
    measured = with_predictions(MULTI_LABEL)
    values = measured.to_dict()
    for number, row in enumerate(values["per_class"]):
        row["name"] = f"{text}{number}"
    values |= {"title": text, "dataset": text}
    values["provenance"] |= {"file": text, "note": text}
    values["model"] = {"architecture": text, "name": text, "recipe": {text: text}}
    hostile = Report.from_dict(values)
    check_harmless(hostile._repr_html_())
    if text == HOSTILE[0]:  # the plots take a second
        check_harmless(report_page(replace(hostile, predictions=measured.predictions), None, None))


@pytest.mark.parametrize("task", TASKS)
def test_curves_are_those_of_scikit_learn(task):
    measured = with_predictions(task)
    data = measured.predictions
    columns = range(data.truth.shape[1])[data.auc_classes]
    roc = roc_figure(measured).axes[0].lines[1:]  # the first is the diagonal
    areas = precision_recall_figure(measured).axes[0].lines
    assert len(roc) == len(areas) == len(columns)
    for k, line, area in zip(columns, roc, areas, strict=True):
        truth, scores = data.truth[:, k], data.scores[:, k]
        false, true, _ = roc_curve(truth, scores)
        np.testing.assert_allclose(line.get_xydata(), np.stack([false, true], 1))
        assert auc(*line.get_xydata().T) == pytest.approx(measured.per_class[k]["auc"])
        precision, recall, _ = precision_recall_curve(truth, scores)
        np.testing.assert_allclose(area.get_xydata(), np.stack([recall, precision], 1))
        x, y = area.get_xydata().T
        assert area.get_drawstyle() == "steps-post"
        assert -np.sum(np.diff(x) * y[:-1]) == pytest.approx(average_precision_score(truth, scores))


@pytest.mark.filterwarnings("ignore:no image has")
def test_unknown_labels_and_absent_classes_have_no_part_in_curves():
    labels, scores = made_up(MULTI_LABEL, 0, 90, 3)
    labels = labels.astype(float)
    labels[:40, 0] = np.nan
    labels[:, 1] = 0
    values = compute_metrics(labels, scores, MULTI_LABEL, ["a", "b", "c"])
    measured = replace(
        report(MULTI_LABEL),
        **vars(values),
        predictions=score_predictions(labels, scores, MULTI_LABEL),
    )
    first, second = roc_figure(measured).axes[0].lines[1:]
    false, true, _ = roc_curve(labels[40:, 0], scores[40:, 0])
    np.testing.assert_allclose(first.get_xydata(), np.stack([false, true], 1))
    assert "c (AUC" in second.get_label()


def test_many_classes_have_as_many_curves_as_can_be_told_apart():
    labels, scores = made_up("multi-class", 0, 900, 60)
    metrics = compute_metrics(labels, scores, "multi-class")
    measured = replace(
        report(), **vars(metrics), predictions=score_predictions(labels, scores, "multi-class")
    )
    lines = roc_figure(measured).axes[0].lines[1:]
    styles = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(lines) == len(styles) == 24
    lowest = sorted(row["auc"] for row in metrics.per_class)[:24]
    shown = sorted(float(re.search(r"AUC ([\d.]+)", line.get_label())[1]) for line in lines)
    np.testing.assert_allclose(shown, np.round(lowest, 3), atol=1e-3)
    assert encoded_figure(roc_figure(measured), "png")


@pytest.mark.parametrize("task", TASKS)
def test_errors_are_the_wrong_decisions_with_the_highest_probabilities(task):
    data = with_predictions(task).predictions
    names = [f"class {k}" for k in range(data.truth.shape[1])]
    found = confident_errors(data, names, 10_000)
    expected = []
    for row, (truth, scores) in enumerate(zip(data.truth, data.scores, strict=True)):
        if task == MULTI_LABEL:
            wrong = [k for k in range(len(truth)) if truth[k] != (scores[k] > 0.5)]
            expected += [(row, names[k], max(scores[k], 1 - scores[k])) for k in wrong]
        elif not truth[scores.argmax()]:
            expected.append((row, names[scores.argmax()], scores.max()))
    assert sorted((e.position, e.label, e.confidence) for e in found) == sorted(expected)
    confidences = [error.confidence for error in found]
    assert confidences == sorted(confidences, reverse=True)
    assert confident_errors(data, names, 3) == found[:3]


def test_heat_maps_are_those_of_the_images_and_the_decided_class():
    measured = with_predictions("multi-class")
    images = split_of(measured.predictions, "multi-class", channels=3)
    asked = []

    def explain(image, target):
        asked.append((image, target))
        return SimpleNamespace(overlay=Image.new("RGB", (28, 28)))

    page = check_harmless(card("errors", [error_section(measured, images, explain)]))
    errors = confident_errors(
        measured.predictions, [row["name"] for row in measured.per_class], len(asked)
    )
    assert [target for _, target in asked] == [error.label for error in errors]
    for (image, _), error in zip(asked, errors, strict=True):
        assert torch.equal(image, images.images[error.position])
        assert f"data.test[{error.position}]" in page.text_of("span")
    assert len(page.all("img")) == 2 * len(asked)


def test_other_images_than_those_that_were_scored_are_refused(tmp_path):
    measured = with_predictions("multi-class")
    images = split_of(measured.predictions, "multi-class")
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match="are not those that were scored"):
        measured.to_html(path, images=images.head(30))
    with pytest.raises(ValueError, match="are not those that were scored"):
        measured.to_html(path, images=images.subset(list(range(89, -1, -1))))
    with pytest.raises(ValueError, match="give the test split that was evaluated"):
        measured.to_html(path, images=replace(images, name="val"))
    with pytest.raises(TypeError, match="images is a Tensor; give the split"):
        measured.to_html(path, images=images.images)
    with pytest.raises(ValueError, match="explain= needs images="):
        measured.to_html(path, explain=lambda image, target: None)
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="cannot write the report"):
        measured.to_html(tmp_path / "folder")
    assert not path.exists()


def test_a_perfect_model_has_no_errors_to_show():
    data = synthetic("breastmnist", n_test=20)
    labels = data.test.labels

    def oracle(batch):
        return torch.nn.functional.one_hot(labels[: len(batch)], 2).float() * 9

    spec = ModelSpec.for_data(data)
    measured = evaluate(oracle, data.test, spec=spec, resamples=0, device="cpu")
    assert error_section(measured, data.test, None).text == ["There is no error."]


def test_the_call_on_the_page_makes_the_same_report_again():
    data = synthetic("breastmnist", n_test=24)
    options = {"threshold": 0.3, "tta": "flip", "resamples": 20, "seed": 5}
    groups = ["a", "b"] * 12
    name = "simple_cnn.breastmnist"
    measured = evaluate(name, data.test, groups=groups, **options)
    page = check_harmless(card("made", [provenance_section(measured)]))
    (call,) = page.text_of("code")
    names = {"medzoo": SimpleNamespace(evaluate=evaluate), "data": data, "groups": groups}
    assert eval(call, names) == measured
    assert group_section(measured).tables[0].rows[1][:2] == ("b *", "12")
    assert "seed of the training" in page.text_of("th")
    assert measured.model["sha256"] in page.text_of("td")
