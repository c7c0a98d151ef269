"""Kappa, Matthews correlation, and each class's scores at any threshold, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from medzoo.evaluation import compute_metrics
from tests.evaluation.metrics.test_scores import MULTI_LABEL, TASKS, made_up


def decisions(labels, scores, task, threshold=0.5):
    """Truth and decisions of each class against all others."""
    if task == MULTI_LABEL:
        return labels.T, (scores > threshold).T
    answers = scores.argmax(1) if task != "binary-class" else (scores[:, 1] > threshold).astype(int)
    classes = np.arange(scores.shape[1])[:, None]
    return labels == classes, answers == classes


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(8, 60),
    levels=st.sampled_from([None, 2, 10]),
    threshold=st.sampled_from([None, 0.05, 0.3, 0.9]),
)
def test_scores_of_each_class_are_those_of_scikit_learn(task, seed, images, levels, threshold):
    labels, scores = made_up(task, seed, images, 4, levels)
    if task not in ("binary-class", MULTI_LABEL):
        threshold = None
    ours = compute_metrics(labels, scores, task, threshold=threshold)
    truth, decided = decisions(labels, scores, task, threshold or 0.5)
    for k, row in enumerate(ours.per_class):
        yes, called = truth[k].astype(int), decided[k].astype(int)
        expected = {
            "recall": sk.recall_score(yes, called),
            "specificity": sk.recall_score(1 - yes, 1 - called),
            "precision": sk.precision_score(yes, called, zero_division=0),
            "npv": sk.precision_score(1 - yes, 1 - called, zero_division=0),
            "average_precision": sk.average_precision_score(yes, scores[:, k]),
        }
        found = {name: row[name] for name in expected}
        assert found == pytest.approx(expected, abs=1e-9)
    areas = [row["average_precision"] for row in ours.per_class]
    mean = areas[1] if task == "binary-class" else np.mean(areas)
    assert ours.average_precision == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(8, 60))
def test_kappa_and_matthews_are_those_of_scikit_learn(task, seed, images):
    labels, scores = made_up(task, seed, images, 4)
    ours = compute_metrics(labels, scores, task)
    truth, decided = decisions(labels, scores, task)
    if task == MULTI_LABEL:
        pairs = list(zip(truth, decided, strict=True))
    else:
        pairs = [(labels, decided.argmax(0))]
    weights = "quadratic" if task == "ordinal-regression" else None
    known = {"labels": None if task == MULTI_LABEL else np.arange(scores.shape[1])}
    kappa = [sk.cohen_kappa_score(*pair, weights=weights, **known) for pair in pairs]
    assert ours.kappa == pytest.approx(np.mean(kappa), abs=1e-9)
    mcc = [sk.matthews_corrcoef(*pair) for pair in pairs]
    assert ours.mcc == pytest.approx(np.mean(mcc), abs=1e-9)


@pytest.mark.filterwarnings("ignore:every image has", "ignore:no image has")
def test_agreement_with_one_class_is_not_defined_and_one_answer_is_chance():
    scores = np.tile([0.2, 0.8], (4, 1))
    alone = compute_metrics(np.ones(4, int), scores, "binary-class")
    assert np.isnan([alone.kappa, alone.mcc, alone.per_class[1]["specificity"]]).all()
    assert alone.per_class[0]["specificity"] == 1  # nothing was mistaken for the absent class
    always = compute_metrics(np.array([0, 1, 1, 0]), scores, "binary-class")
    assert always.kappa == always.mcc == 0
    assert always.per_class[1]["npv"] == 0


def test_labels_may_have_a_threshold_each():
    labels, scores = made_up(MULTI_LABEL, 0, 50, 3)
    ours = compute_metrics(labels, scores, MULTI_LABEL, threshold=[0.2, 0.5, 0.8])
    called = scores > [0.2, 0.5, 0.8]
    assert ours.acc == (called == labels).mean()
    for k, row in enumerate(ours.per_class):
        assert row["recall"] == sk.recall_score(labels[:, k], called[:, k])


@pytest.mark.parametrize(
    ("task", "threshold", "error", "message"),
    [
        ("multi-class", 0.5, ValueError, "decides for the most probable class"),
        ("ordinal-regression", 0.5, ValueError, "decides for the most probable class"),
        ("binary-class", [0.2, 0.3], ValueError, "must be one number"),
        (MULTI_LABEL, [0.2, 0.3], ValueError, "must be one number, or 5"),
        (MULTI_LABEL, [[0.2] * 5], ValueError, "must be one number, or 5"),
        ("binary-class", 0.0, ValueError, "between 0 and 1"),
        ("binary-class", float("nan"), ValueError, "between 0 and 1"),
        ("binary-class", "0.5", TypeError, "must be a number"),
        ("binary-class", True, TypeError, "must be a number"),
        (MULTI_LABEL, {"a": 0.5}, TypeError, "or one per label"),
    ],
)
def test_thresholds_that_do_not_fit_are_refused(task, threshold, error, message):
    labels, scores = made_up(task, 0)
    with pytest.raises(error, match=message):
        compute_metrics(labels, scores, task, threshold=threshold)
