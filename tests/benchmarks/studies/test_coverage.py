"""The coverage of published prediction sets: what is measured, and when it is marked as too low."""

from dataclasses import replace

import numpy as np
import pytest

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.published import coverage
from benchmarks.studies.study import NamedTrial
from medzoo.inference import probabilities, split_logits
from medzoo.inference.conformal import fit_conformal


def test_a_model_is_calibrated_on_validation_and_measured_on_test(monkeypatch):
    data = medzoo.synthetic("breastmnist", n_train=4, n_val=40, n_test=30)
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: data)
    name = "simple_cnn.breastmnist"
    record = coverage.run(NamedTrial(name), Source())
    assert (record["title"], record["images"]) == (data.test.title, 30)
    kinds = [(sets["method"], sets["target"]) for sets in record["sets"]]
    assert kinds == [("lac", 0.9), ("lac", 0.95), ("aps", 0.9), ("aps", 0.95)]
    model = medzoo.create_model(name, pretrained=True)
    values = probabilities(split_logits(model, data.val), data.info.task)
    sets = fit_conformal(values, data.val, method="aps", coverage=0.95)
    model.spec = replace(model.spec, conformal=sets)
    report = medzoo.evaluate(model, data.test)
    assert report.prediction_sets["overall"] == record["sets"][3]["overall"]
    assert record["sets"][0]["fitted_to"] == 40


def made_up(value, interval, images=1000, fitted_to=500, multi_label=False):
    sets = {
        "method": "lac",
        "target": 0.9,
        "fitted_to": fitted_to,
        "overall": {"coverage": value, "coverage_interval": interval},
    }
    return {"images": images, "multi_label": multi_label, "sets": [sets]}, sets


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (made_up(0.91, (0.89, 0.93)), ""),
        (made_up(0.88, (0.86, 0.90)), ""),
        (made_up(0.89, (0.87, 0.899)), " †"),
        (made_up(0.80, (0.78, 0.82)), " ††"),
        (made_up(0.84, (0.80, 0.88), fitted_to=30), " †"),  # 30 images can mislead by that much
        (made_up(0.80, (0.78, 0.82), multi_label=True), " †"),
    ],
)
def test_a_coverage_below_the_one_asked_for_is_marked(case, expected):
    assert coverage.mark(*case) == expected


def test_chance_is_that_of_both_splits():
    # As often as not, 30 images give thresholds that cover less than 90 % of all others.
    rng = np.random.default_rng(0)
    scores = np.sort(rng.random((20_000, 30)), axis=1)[:, 27]  # of rank ceil(0.9 * 31)
    drawn = rng.binomial(200, scores) / 200
    _, sets = made_up(0.9, (0.8, 1.0), fitted_to=30)
    least = coverage.least_expected(sets, 200)
    assert least == pytest.approx(np.quantile(drawn, 0.025), abs=0.0101)


def test_the_table_and_the_picture_have_every_model():
    names = sorted(coverage.RECORDS.read())
    assert names == sorted(trial.key for trial in coverage.trials())
    table = coverage.table(0.9)
    assert all(f"`{name}`" in table for name in names)
    labels = [text.get_text() for text in coverage.plot().axes[0].get_yticklabels()]
    assert labels == names
