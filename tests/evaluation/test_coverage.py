"""Prediction sets: `calibrate` fits them, `predict` gives them, reports measure them."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import medzoo
from medzoo.evaluation import Report, evaluate, score_sets
from medzoo.inference import predict_logits, probabilities
from medzoo.inference.conformal import fit_conformal, prediction_sets
from medzoo.spec import ConformalSpec, ModelSpec
from tests.evaluation.test_evaluate import Net

NAMES = ["dermamnist", "breastmnist", "chestmnist"]


def calibrated(name, **options):
    data = medzoo.synthetic(name, n_train=4, n_val=120, n_test=60)
    model = Net(data.info).eval()
    return data, model, medzoo.calibrate(model, data.val, **options)


@pytest.mark.parametrize("name", NAMES)
def test_calibrate_sets_temperature_and_thresholds_together(name):
    data, model, found = calibrated(name, coverage=0.8)
    assert (model.temperature, model.spec.conformal) == (found.temperature, found.conformal)
    logits = predict_logits(model, data.val.images, temperature=found.temperature)
    values = probabilities(logits, data.info.task)
    assert found.conformal == fit_conformal(values, data.val, coverage=0.8)
    assert found.to_dict()["conformal"] == found.conformal.to_dict()
    assert "80 % sets (LAC), threshold 0." in str(found)


def test_without_a_coverage_there_are_no_sets():
    data, model, found = calibrated("dermamnist", coverage=None)
    assert model.spec.conformal is None
    assert "conformal" not in found.to_dict()
    assert "sets" not in str(found)
    assert evaluate(model, data.test, resamples=0).prediction_sets is None
    prediction = medzoo.predict(model, data.test.images[0])
    assert prediction.prediction_set is prediction.coverage is None
    assert "prediction_set" not in prediction.to_dict()


def test_a_refused_calibration_leaves_the_model_as_it_was():
    data, model, _ = calibrated("dermamnist")
    before = model.spec
    for options, message in (
        ({"coverage": 0.999}, "needs at least 999"),
        ({"method": "raps"}, "unknown method"),
        ({"coverage": 0}, "must be between 0 and 1"),
        ({"coverage": 0.95, "class_conditional": True}, "needs at least 19"),
    ):
        with pytest.raises(ValueError, match=message):
            medzoo.calibrate(model, data.val, **options)
    assert model.spec == before
    chest = medzoo.synthetic("chestmnist", n_val=60)
    model = Net(chest.info)
    model.spec = ModelSpec("", model.spec.input, 14)  # it no longer says that it is multi-label
    with pytest.raises(ValueError, match="does not say that it is"):
        medzoo.calibrate(model, chest.val)


@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("name", NAMES)
def test_predict_gives_the_sets_that_evaluate_measures(name, method):
    if name == "chestmnist" and method == "aps":
        pytest.skip("for single-label tasks only")
    data, model, found = calibrated(name, method=method)
    predictions = medzoo.predict(model, data.test)
    values = probabilities(predict_logits(model, data.test.images), data.info.task)
    inside = prediction_sets(found.conformal, values, multi_label=data.info.multi_label)
    for prediction, members in zip(predictions, inside.tolist(), strict=True):
        named = [n for n, within in zip(data.info.classes, members, strict=True) if within]
        assert set(prediction.prediction_set) == set(named)
        shares = [prediction.probabilities[name] for name in prediction.prediction_set]
        assert shares == sorted(shares, reverse=True)
        assert prediction.coverage == 0.9
        assert prediction.to_dict()["prediction_set"] == list(prediction.prediction_set)
    text = str(predictions[0]).splitlines()[-1]
    assert text == f"90 % set: {'; '.join(predictions[0].prediction_set) or '(none)'}"
    one = medzoo.predict(model, data.test.images[0], top_k=1)
    assert one.prediction_set == predictions[0].prediction_set  # all of it
    sizes = [len(prediction.prediction_set) for prediction in predictions]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 60 images, some label is rare
        report = evaluate(model, data.test, resamples=0)
    assert report.prediction_sets["overall"]["size"] == pytest.approx(np.mean(sizes))


def test_other_views_and_temperatures_have_no_sets():
    data, model, _ = calibrated("dermamnist")
    for options in ({"tta": "flip"}, {"temperature": 5.0}):
        assert medzoo.predict(model, data.test.images[0], **options).prediction_set is None
        assert evaluate(model, data.test, resamples=0, **options).prediction_sets is None


def test_an_answer_that_is_not_given_has_a_set_all_the_same():
    data, model, _ = calibrated("dermamnist")
    unsure = medzoo.predict(model, data.test.images[0], min_confidence=1.0)
    assert unsure.abstained
    assert unsure.prediction_set
    assert str(unsure).endswith("no answer: not as sure as asked for")


def random_case(task, seed, images=80, classes=4):
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.ones(classes), images)
    if task == "multi-label, binary-class":
        values = rng.random((images, classes))
        labels = np.where(rng.random(values.shape) < 0.1, np.nan, rng.random(values.shape) < 0.3)
    else:
        labels = rng.integers(0, classes - 1, images)  # none of the last class
    return labels, torch.from_numpy(values)


@pytest.mark.parametrize("task", ["multi-class", "multi-label, binary-class"])
def test_coverage_and_size_are_those_of_the_definition(task):
    labels, values = random_case(task, 0)
    conformal = ConformalSpec("lac", 0.9, (0.3,), 100)
    names = ["a", "b", "c", "d"]
    found = score_sets(conformal, labels, values, task, names, resamples=0)
    shares, sizes, of_class = [], [], {name: [] for name in names}
    for label, row in zip(labels, values.tolist(), strict=True):
        members = {k for k, p in enumerate(row) if p >= 0.3}
        truth = {int(label)} if task == "multi-class" else {*np.flatnonzero(label == 1)}
        if task == "multi-class":
            members.add(int(np.argmax(row)))
        sizes.append(len(members))
        if truth:
            shares.append(len(members & truth) / len(truth))
        for k in truth:
            of_class[names[k]].append((k in members, len(members)))
    assert found["overall"]["coverage"] == pytest.approx(np.mean(shares))
    assert found["overall"]["size"] == pytest.approx(np.mean(sizes))
    for row in found["per_class"]:
        if own := of_class[row["name"]]:
            assert (row["coverage"], row["size"]) == pytest.approx(tuple(np.mean(own, axis=0)))
        else:
            assert math.isnan(row["coverage"])
            assert row["coverage_interval"] is None


def test_intervals_are_those_of_resampled_images():
    labels, values = random_case("multi-class", 1, images=300)
    conformal = ConformalSpec("aps", 0.9, (0.8,), 100)
    task, names = "multi-class", list("abcd")
    found = score_sets(conformal, labels, values, task, names, resamples=200, seed=3)
    rng, drawn = np.random.default_rng(3), []
    for _ in range(200):
        rows = rng.integers(300, size=300)
        one = score_sets(conformal, labels[rows], values[rows], task, names, resamples=0)
        drawn.append(one["overall"]["coverage"])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found["overall"]["coverage_interval"] == pytest.approx((low, high))


def test_a_report_with_sets_survives_json_and_shows_them():
    data, model, _ = calibrated("breastmnist")
    report = evaluate(model, data.test, resamples=20)
    assert report.prediction_sets["target"] == 0.9
    again = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert again == report
    text = str(again)
    assert "Prediction sets (LAC), calibrated for a coverage of 90 %:" in text
    assert "  all classes  " in text
    plain = report.to_dict()["prediction_sets"]
    for change in (
        {"method": "raps"},
        {"target": 2},
        {"target": None},
        {"overall": {}},
        {"per_class": plain["per_class"][:1]},
        {"per_class": [{**plain["per_class"][0], "size": -1}] * 2},
        {"per_class": [{**plain["per_class"][0], "size": "1"}] * 2},
        {"overall": {**plain["overall"], "coverage_interval": [0.1]}},
        {"more": 1},
    ):
        values = report.to_dict() | {"prediction_sets": plain | change}
        with pytest.raises(ValueError, match="not a report: prediction_sets"):
            Report.from_dict(values)


def test_sets_stay_with_the_model_and_only_with_it(tmp_path):
    data = medzoo.synthetic("breastmnist", n_val=60)
    small = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16)).eval()
    medzoo.calibrate(small, data.val)
    sets = small.spec.conformal
    path = medzoo.save_weights(small, tmp_path / "sets.safetensors")
    assert medzoo.create_model(path).spec.conformal == sets
    assert medzoo.create_model(path, data).spec.conformal == sets
    for other in (
        medzoo.create_model(path, size=64),
        medzoo.create_model(path, in_chans=3),
        medzoo.create_model(path, dataset="retinamnist"),
        medzoo.create_model(path, num_classes=3),
        medzoo.create_model(path, features_only=True),
    ):
        assert other.spec.conformal is None

    ensemble = medzoo.Ensemble([small, small])
    assert ensemble.spec.conformal is None
    assert medzoo.calibrate(ensemble, data.val).conformal == ensemble.spec.conformal
    assert medzoo.predict(ensemble, data.test.images[0]).prediction_set

    again = medzoo.spec_of(small)
    wrapped = medzoo.predict(torch.nn.DataParallel(small), data.test.images[0])
    assert wrapped.prediction_set == medzoo.predict(small, data.test.images[0]).prediction_set
    small.pretrained_cfg = small.pretrained_cfg | {"mean": (0.1,)}
    assert small.spec.conformal is None
    known = replace(again, input=small.spec.input, conformal=None, selective=None)
    assert known == small.spec
