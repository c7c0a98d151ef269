"""Thresholds are chosen on one split, and reported on another."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

import medzoo
from medzoo.evaluation.operating_points.threshold import _best
from tests.evaluation.test_evaluate import Net


@pytest.fixture(scope="module")
def binary():
    return medzoo.synthetic("breastmnist", n_train=4, n_val=60, n_test=80, seed=2)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(2, 40),
    levels=st.sampled_from([4, 10, 10**6]),
    kind=st.sampled_from(["youden", "sensitivity", "specificity"]),
)
def test_no_threshold_of_the_roc_curve_is_better(seed, images, levels, kind):
    rng = np.random.default_rng(seed)
    truth = rng.random(images) < 0.4
    truth[:2] = True, False
    scores = rng.integers(1, levels, images) / levels  # never 0 or 1
    least = 0.8 if kind != "youden" else None
    threshold, sensitivity, specificity = _best(
        truth,
        scores,
        least if kind == "sensitivity" else None,
        least if kind == "specificity" else None,
    )
    assert 0 < threshold < 1
    assert sensitivity == (scores[truth] > threshold).mean()
    assert specificity == (scores[~truth] <= threshold).mean()
    missed, found, _ = roc_curve(truth, scores, drop_intermediate=False)
    spared = 1 - missed
    if kind == "youden":
        assert sensitivity + specificity == pytest.approx((found + spared).max(), abs=1e-9)
    elif kind == "sensitivity":
        assert sensitivity >= least
        assert specificity == pytest.approx(spared[found >= least].max(), abs=1e-9)
    else:
        assert specificity >= least
        assert sensitivity == pytest.approx(found[spared >= least - 1e-12].max(), abs=1e-9)


def test_a_threshold_is_used_by_evaluate_and_predict(binary):
    model = Net(binary.info)
    point = medzoo.choose_threshold(model, binary.val, min_sensitivity=0.9)
    assert point.sensitivity[0] >= 0.9
    assert point.labels == binary.info.classes[1:]
    assert "sensitivity of at least 0.9, chosen on" in str(point)
    assert json.loads(json.dumps(point.to_dict()))["threshold"] == point.threshold
    report = medzoo.evaluate(model, binary.test, threshold=point, resamples=20)
    assert report.threshold == point.threshold
    predictions = medzoo.predict(model, binary.test, threshold=point)
    assert all(one.labels == (one.label,) for one in predictions)
    right = [
        one.label == binary.info.classes[int(label)]
        for one, label in zip(predictions, binary.test.labels, strict=True)
    ]
    assert report.acc == np.mean(right)
    low, high = report.class_intervals["recall"][1]
    assert low <= report.per_class[1]["recall"] <= high
    assert report.auc == medzoo.evaluate(model, binary.test, resamples=0).auc


def test_a_threshold_is_not_reported_on_the_images_that_chose_it(binary):
    model = Net(binary.info)
    point = medzoo.choose_threshold(model, binary.val)
    with pytest.raises(ValueError, match="was chosen on this val split"):
        medzoo.evaluate(model, binary.val, threshold=point)


def test_a_predicted_class_below_one_half_comes_first(binary):
    model = Net(binary.info)
    with torch.no_grad():
        model.head.bias[:] = torch.tensor([2.0, -2.0])
    first = medzoo.predict(model, binary.test.images[0], threshold=1e-6, top_k=1)
    assert first.labels == (first.label,) == binary.info.classes[1:]
    assert first.probability < 0.5
    assert len(first.probabilities) == 1


def test_each_label_gets_its_own_and_those_without_images_keep_one_half():
    data = medzoo.synthetic("chestmnist", n_train=4, n_val=80, n_test=60, seed=2)
    data.val.labels[:, 3] = 0
    model = Net(data.info)
    with pytest.warns(UserWarning, match="no image with or no image without"):
        point = medzoo.choose_threshold(model, data.val)
    assert len(point.threshold) == 14
    assert point.threshold[3] == 0.5
    assert point.to_dict()["sensitivity"][3] is None
    report = medzoo.evaluate(model, data.test, threshold=point, resamples=0)
    assert report.threshold == list(point.threshold)
    predictions = medzoo.predict(model, data.test, threshold=point)
    names = data.info.classes
    decided = np.array([[name in one.labels for name in names] for one in predictions])
    assert report.acc == pytest.approx((decided == data.test.labels.numpy()).mean())


def test_what_has_no_threshold_is_refused(binary):
    data = medzoo.synthetic("dermamnist", n_train=4, n_val=9, n_test=9)
    with pytest.raises(ValueError, match="decides for the most probable class"):
        medzoo.choose_threshold(Net(data.info), data.val)
    with pytest.raises(ValueError, match="decides for the most probable class"):
        medzoo.evaluate(Net(data.info), data.test, threshold=0.5)
    model = Net(binary.info)
    for value in (0, 1.1, "0.9", np.array([0.5, 0.9])):
        kind = ValueError if isinstance(value, int | float) else TypeError
        with pytest.raises(kind, match=r"min_sensitivity=.* must be a number above 0"):
            medzoo.choose_threshold(model, binary.val, min_sensitivity=value)
    with pytest.raises(ValueError, match="not both"):
        medzoo.choose_threshold(model, binary.val, min_sensitivity=0.9, min_specificity=0.9)
    with pytest.raises(ValueError, match=r"no threshold reaches 0\.9, at most 0\.500"):
        _best(np.array([True, True, False]), np.array([0.0, 0.5, 0.0]), 0.9, None)
