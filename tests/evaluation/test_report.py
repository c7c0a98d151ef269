import dataclasses
import json
import math

import pytest

from medzoo.evaluation import Report, bootstrap_intervals, compute_metrics
from tests.evaluation.metrics.test_scores import MULTI_LABEL, made_up


def report(task="multi-class", absent=None, threshold=None):
    labels, scores = made_up(task, 0, 90, 3)
    if absent is not None:
        labels[:, absent] = 0
    names = ["actinic keratoses and intraepithelial carcinoma", "nevi", "hernia"]
    names = names[: scores.shape[1]]
    intervals = bootstrap_intervals(labels, scores, task, resamples=50, threshold=threshold)
    return Report(
        **vars(compute_metrics(labels, scores, task, names, threshold=threshold)),
        dataset="dermamnist",
        title="DermaMNIST (rebuilt)",
        split="test",
        task=task,
        n=len(labels),
        provenance={
            "file": "dermamnist.npz",
            "md5": "0" * 32,
            "official": False,
            "note": "rebuilt",
        },
        intervals=intervals.overall,
        auc_intervals=intervals.auc,
        class_intervals=intervals.by_class,
        resamples=50,
        seed=0,
        threshold=threshold,
    )


def through_json(values):
    return json.loads(json.dumps(values, allow_nan=False))


@pytest.mark.parametrize("task", ["multi-class", MULTI_LABEL])
def test_a_report_survives_json(task):
    before = report(task)
    assert Report.from_dict(through_json(before.to_dict())) == before


@pytest.mark.filterwarnings("ignore:no image has")
def test_nan_becomes_null_and_nan_again():
    before = report(MULTI_LABEL, absent=2)
    values = through_json(before.to_dict())
    assert values["per_class"][2]["auc"] is None
    after = Report.from_dict(values)
    assert math.isnan(after.per_class[2]["auc"])
    assert after.to_dict() == before.to_dict()


def test_a_report_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        report().auc = 1.0


def test_reports_of_earlier_versions_are_read_and_shown_without_what_they_lack():
    values = through_json(report().to_dict())
    later = ("average_precision", "kappa", "mcc", "aurc", "e_aurc")
    for name in (*later, "tta", "temperature", "class_intervals", "threshold", "risk_coverage"):
        del values[name]
    for name in later:
        del values["intervals"][name]
    for row in values["per_class"]:
        del row["specificity"], row["npv"], row["average_precision"]
    after = Report.from_dict(values)
    assert (after.tta, after.temperature, after.threshold) == ("none", 1.0, None)
    assert math.isnan(after.kappa)
    assert math.isnan(after.per_class[0]["npv"])
    assert Report.from_dict(through_json(after.to_dict())).to_dict() == after.to_dict()
    for missing in ("kappa", "AURC", "specificity", "NPV"):
        assert missing not in str(after)
        assert missing in str(report())


def test_a_binary_report_shows_the_operating_point():
    before = report("binary-class", threshold=0.3)
    assert Report.from_dict(through_json(before.to_dict())) == before
    text, row = str(before), before.per_class[1]
    low, high = before.class_intervals["recall"][1]
    assert f"sensitivity  {row['recall']:.3f}  [{low:.3f}, {high:.3f}]" in text
    assert f"NPV          {row['npv']:.3f}  [" in text
    assert "nevi was decided for above the probability 0.3." in text


def test_thresholds_of_labels_are_shown():
    before = report(MULTI_LABEL, threshold=[0.2, 0.5, 0.8])
    assert Report.from_dict(through_json(before.to_dict())) == before
    assert "above the probability: actinic" in str(before)
    assert "nevi 0.5, hernia 0.8." in str(before)
    assert "right decisions." in str(before)


def test_views_and_temperature_survive_json_and_are_told_only_if_there_are_any():
    before = dataclasses.replace(report(), tta="flip", temperature=1.234)
    assert Report.from_dict(through_json(before.to_dict())) == before
    text, plain = str(before), str(report())
    assert "means over the views of each image (flip)" in text
    assert "divided by the temperature 1.23." in text
    assert "views" not in plain
    assert "temperature" not in plain


def test_what_is_no_report_is_refused():
    values = report().to_dict()
    del values["ece"]
    with pytest.raises(ValueError, match=r"missing \['ece'\], unknown \['more'\]"):
        Report.from_dict({**values, "more": 1})


def test_the_text_says_what_was_measured_on_what():
    text = str(report())
    assert text.startswith("DermaMNIST (rebuilt), test split: 90 images, 3 classes (multi-class)")
    low, high = report().intervals["auc"]
    assert f"AUC          {report().auc:.3f}  [{low:.3f}, {high:.3f}]" in text
    assert "50 resamples of the images, seed 0" in text
    assert "exact match" not in text  # it is the accuracy once more
    assert "intraepithelial carcinoma" in text


@pytest.mark.filterwarnings("ignore:no image has")
def test_multi_label_scores_come_in_the_order_that_misleads_least():
    text = str(report(MULTI_LABEL, absent=2))
    places = [text.index(f"  {name} ") for name in ("AUC", "ACC", "exact match", "macro F1")]
    assert places == sorted(places)
    assert "Always giving the most frequent answer: exact match" in text
    assert "-: not defined for this split" in text
    assert "nan" not in text


def test_columns_line_up():
    rows = str(report()).splitlines()[-3:]
    assert len({len(row) for row in rows}) == 1


def test_without_resamples_there_is_no_word_of_intervals():
    text = str(dataclasses.replace(report(), intervals={}, resamples=0))
    assert "[" not in text
    assert "bootstrap" not in text


DAMAGES = {
    "n": [-1, 1.5, True, "9", 10**400, None],
    "seed": ["x", [], 2**70],
    "acc": ["0.5", 2, -1, 10**400, float("nan"), True],
    "title": [None, 5, ["a"]],
    "split": ["\x1b[2J", "Test", None],
    "task": ["other", None, [], {}],
    "tta": ["mirror", []],
    "temperature": [0, -1, "1", 10**400, float("nan"), None],
    "provenance": [None, [], {}, {"file": "a", "md5": 5, "official": True}],
    "intervals": [[], {"auc": 5}, {"auc": [0.1]}, {"auc": [0, 10**400]}],
    "class_intervals": [[], {"recall": [[0, 1]]}, {"recall": 5}, {"recall": [[0, 2]] * 3}],
    "threshold": ["0.5", 2, [0.5], [0.5, "a", 0.5]],
    "kappa": ["a", -1.1, True],
    "risk_coverage": [None, [5], [{"coverage": 2, "risk": 0, "confidence": 1}]],
    "per_class": [None, [], [{}], [[]], "abc", [{"name": "a"}]],
    "confusion": [None, [], [[1]], [[1, 2], [3]], 5, [["a"] * 3] * 3, [[10**400] * 3] * 3],
    "calibration": [None, [5], [{"confidence": 2, "accuracy": 0, "count": 1}]],
}


@pytest.mark.parametrize("field", DAMAGES)
def test_a_value_that_cannot_be_one_of_a_report_is_named(field):
    values = through_json(report().to_dict())
    for value in DAMAGES[field]:
        with pytest.raises(ValueError, match=f"not a report: {field}=.* must be "):
            Report.from_dict({**values, field: value})
    with pytest.raises(TypeError, match=r"\[\] is a list"):
        Report.from_dict([])


def test_names_are_printed_on_one_line_each():
    values = report().to_dict()
    values["per_class"][1]["name"] = "a\x1b[2J\nhernia  1.000"
    lines = str(Report.from_dict(values | {"title": "a\rb"})).splitlines()
    assert lines[0].startswith(r"a\rb, test split")
    assert lines[-2].startswith(r"  a\x1b[2J\nhernia  1.000 ")
    assert len({len(line) for line in lines[-3:]}) == 1
