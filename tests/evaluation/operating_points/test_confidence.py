"""A model that answers only when it is sure keeps its promise."""

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

import medzoo
from medzoo.evaluation.operating_points.confidence import _guaranteed, risk_bound
from tests.inference.test_calibration import Replay, made_up


@pytest.mark.parametrize(("errors", "answered"), [(0, 59), (3, 100), (40, 100), (99, 100)])
def test_the_bound_is_that_of_clopper_and_pearson(errors, answered):
    test = binomtest(errors, answered).proportion_ci(0.9, method="exact")
    assert risk_bound(errors, answered, 0.05) == pytest.approx(test.high, abs=1e-9)
    bentkus = risk_bound(errors - 0.5 if errors else 0.0, answered, 0.05, whole=False)
    assert math.e * binom.cdf(errors, answered, bentkus) == pytest.approx(0.05)
    assert bentkus > test.high


def test_a_model_that_is_always_wrong_has_no_bound():
    assert risk_bound(5, 5, 0.05) == 1
    confidence = np.linspace(0.5, 0.9, 50)
    assert _guaranteed(confidence, np.ones(50), 0.3, 0.05, whole=True) is None


@pytest.mark.parametrize("levels", [4, 10**6])
def test_the_promise_is_kept_at_least_as_often_as_it_says(levels):
    rng = np.random.default_rng(0)

    def draw(images):
        confidence = 0.5 + rng.integers(0, levels, images) / (2 * levels)
        return confidence, (rng.random(images) > confidence).astype(float)

    new_confidence, new_loss = draw(20_000)
    broken = promised = 0
    for _ in range(200):
        found = _guaranteed(*draw(300), 0.25, 0.1, whole=True)
        if found is None:
            continue
        least, bound = found
        assert bound <= 0.25
        promised += 1
        broken += new_loss[new_confidence >= least].mean() > 0.25
    assert promised > 100
    assert broken <= 200 * 0.1


@pytest.fixture(scope="module")
def sure():
    """A split of two classes, and a model that is right the more often, the surer it is."""
    logits, split = made_up("breastmnist", 0, 600)
    return split, Replay(logits, split)


def test_predict_abstains_below_the_confidence(sure):
    split, model = sure
    point = medzoo.choose_confidence(model, split, max_risk=0.6)
    assert 0 < point.coverage <= 1
    assert point.risk <= point.bound <= 0.6
    assert "answers from a confidence of" in str(point)
    assert point.to_dict()["n"] == 600


def test_abstaining_has_no_labels():
    data = medzoo.synthetic("dermamnist", n_train=4, n_val=4, n_test=20)
    model = medzoo.create_model("simple_cnn", dataset=data)
    plain = medzoo.predict(model, data.test)
    middle = float(np.median([one.probability for one in plain]))
    some = medzoo.predict(model, data.test, min_confidence=middle)
    for before, after in zip(plain, some, strict=True):
        assert after.probabilities == before.probabilities
        assert after.abstained == (before.probability < middle)
        assert after.labels == (() if after.abstained else before.labels)
        assert ("abstained" in after.to_dict()) == after.abstained
    for value in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="min_confidence="):
            medzoo.predict(model, data.test, min_confidence=value)
    for value in ("0.5", np.array([0.1, 0.2]), [0.5]):
        with pytest.raises(TypeError, match=r"min_confidence=.* must be a number from 0 to 1"):
            medzoo.predict(model, data.test, min_confidence=value)


def test_the_confidence_in_several_labels_is_the_mean_of_the_decisions():
    data = medzoo.synthetic("chestmnist", n_train=4, n_val=80, n_test=20)
    model = medzoo.create_model("simple_cnn", dataset=data)
    plain = medzoo.predict(model, data.test)
    sure = [np.mean([max(p, 1 - p) for p in one.probabilities.values()]) for one in plain]
    middle = float(np.median(sure))
    some = medzoo.predict(model, data.test, min_confidence=middle)
    assert [one.abstained for one in some] == [value < middle for value in sure]
    assert medzoo.choose_confidence(model, data.val, max_risk=0.9).coverage == 1


def test_what_cannot_be_promised_is_an_error(sure):
    split, model = sure
    with pytest.raises(ValueError, match="no confidence keeps the risk on the val split"):
        medzoo.choose_confidence(model, split, max_risk=0.001)
    for wrong in ({"max_risk": 0}, {"max_risk": 0.1, "confidence_level": 1}):
        with pytest.raises(ValueError, match="must be a number between 0 and 1"):
            medzoo.choose_confidence(model, split, **wrong)
