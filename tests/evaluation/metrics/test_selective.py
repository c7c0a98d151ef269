"""Risk-coverage curves against their definition."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.evaluation import compute_metrics
from medzoo.evaluation.metrics.selective import weighted_aurc
from tests.evaluation.metrics.test_scores import MULTI_LABEL, made_up


def naive_aurc(confidence, loss):
    """Mean risk over coverages, for confidences without ties."""
    ordered = loss[np.argsort(-confidence)]
    return np.mean([ordered[:k].mean() for k in range(1, len(loss) + 1)])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 60))
def test_aurc_is_the_mean_risk_over_coverages(seed, images):
    rng = np.random.default_rng(seed)
    confidence, loss = rng.permutation(images) / images, rng.random(images)
    counts = np.ones((images, 1))
    assert weighted_aurc(confidence, loss, counts) == pytest.approx(
        naive_aurc(confidence, loss), abs=1e-9
    )
    assert weighted_aurc(-loss, loss, counts) == pytest.approx(naive_aurc(-loss, loss), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(
    confidence=st.lists(st.integers(1, 3), min_size=5, max_size=5),
    wrong=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_ties_are_the_mean_over_their_orders(confidence, wrong):
    confidence, loss = np.array(confidence, float), np.array(wrong, float)
    orders = [list(order) for order in permutations(range(5))]
    orders = [o for o in orders if (np.diff(confidence[o]) <= 0).all()]
    risks = [naive_aurc(-np.arange(5.0), loss[order]) for order in orders]
    assert weighted_aurc(confidence, loss, np.ones((5, 1))) == pytest.approx(np.mean(risks))


def test_images_that_are_drawn_twice_are_two_images():
    rng = np.random.default_rng(0)
    confidence, loss = rng.random(30).round(1), (rng.random(30) < 0.3).astype(float)
    drawn = rng.integers(30, size=(4, 30))
    counts = np.stack([np.bincount(row, minlength=30) for row in drawn], axis=1).astype(float)
    each = [weighted_aurc(confidence[row], loss[row], np.ones((30, 1)))[0] for row in drawn]
    assert weighted_aurc(confidence, loss, counts) == pytest.approx(each)


def test_the_report_scores_the_most_probable_class():
    labels, scores = made_up("multi-class", 3, 250)
    ours = compute_metrics(labels, scores, "multi-class")
    confidence, loss = scores.max(1), (scores.argmax(1) != labels).astype(float)
    assert ours.aurc == pytest.approx(naive_aurc(confidence, loss), abs=1e-9)
    assert ours.e_aurc == pytest.approx(ours.aurc - naive_aurc(-loss, loss), abs=1e-9)
    curve = ours.risk_coverage
    assert len(curve) == 100
    assert curve[-1]["coverage"] == 1
    assert curve[-1]["risk"] == pytest.approx(1 - ours.acc)
    for point in curve:
        answered = confidence >= point["confidence"]
        assert answered.mean() == point["coverage"]
        assert loss[answered].mean() == pytest.approx(point["risk"])


def test_an_answer_of_several_labels_is_as_sure_as_its_decisions_are_on_average():
    labels, scores = made_up(MULTI_LABEL, 3, 80)
    ours = compute_metrics(labels, scores, MULTI_LABEL)
    confidence = np.maximum(scores, 1 - scores).mean(1)
    loss = ((scores > 0.5) != labels).mean(1)
    assert ours.aurc == pytest.approx(naive_aurc(confidence, loss))
    assert ours.risk_coverage[-1]["risk"] == pytest.approx(1 - ours.acc)


def test_a_model_that_knows_its_errors_has_no_excess():
    labels = np.array([0, 1, 0, 1])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    assert compute_metrics(labels, scores, "binary-class").e_aurc > 0.05
    scores[2] = 0.45, 0.55
    assert compute_metrics(labels, scores, "binary-class").e_aurc == 0
