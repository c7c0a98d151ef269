import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medmnist.evaluator import Evaluator, getACC, getAUC
from sklearn import metrics as sk

from medzoo.evaluation import compute_metrics

MULTI_LABEL = "multi-label, binary-class"
TASKS = ["multi-class", "ordinal-regression", "binary-class", MULTI_LABEL]


def made_up(task, seed, images=60, classes=5, levels=None):
    """Labels in which every class occurs, and probabilities; few levels make many ties."""
    rng = np.random.default_rng(seed)
    classes = 2 if task == "binary-class" else classes
    if task == MULTI_LABEL:
        labels = rng.integers(0, 2, (images, classes))
        labels[0], labels[1] = 0, 1
        scores = rng.random((images, classes))
    else:
        labels = np.concatenate([np.arange(classes), rng.integers(0, classes, images - classes)])
        scores = rng.dirichlet(np.ones(classes), images)
    return labels, scores if levels is None else np.round(scores * levels) / levels


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(8, 80),
    classes=st.integers(2, 7),
    levels=st.sampled_from([None, 2, 10]),
)
def test_auc_and_acc_are_those_of_medmnist(task, seed, images, classes, levels):
    labels, scores = made_up(task, seed, images, classes, levels)
    ours = compute_metrics(labels, scores, task)
    assert ours.auc == pytest.approx(getAUC(labels, scores, task), abs=1e-9)
    assert ours.acc == pytest.approx(getACC(labels, scores, task), abs=1e-9)


@pytest.mark.parametrize(
    ("flag", "classes"),
    [("dermamnist", 7), ("retinamnist", 5), ("breastmnist", 2), ("chestmnist", 14)],
)
def test_auc_and_acc_are_those_of_the_evaluator(tmp_path, flag, classes):
    task = {"dermamnist": "multi-class", "retinamnist": "ordinal-regression"}.get(flag)
    task = task or ("binary-class" if flag == "breastmnist" else MULTI_LABEL)
    labels, scores = made_up(task, 3, 200, classes)
    stored = labels.astype(np.uint8).reshape(len(labels), -1)
    np.savez(tmp_path / f"{flag}.npz", test_labels=stored)
    theirs = Evaluator(flag, "test", root=tmp_path).evaluate(scores)
    ours = compute_metrics(stored, torch.from_numpy(scores), task)
    assert (ours.auc, ours.acc) == pytest.approx(tuple(theirs), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6))
def test_single_label_scores_are_those_of_scikit_learn(seed, classes):
    labels, scores = made_up("multi-class", seed, 50, classes)
    answers = scores.argmax(1)
    ours = compute_metrics(labels, scores, "multi-class")
    assert ours.exact_match == ours.acc
    assert ours.balanced_acc == pytest.approx(sk.balanced_accuracy_score(labels, answers), abs=1e-9)
    assert ours.macro_f1 == pytest.approx(sk.f1_score(labels, answers, average="macro"), abs=1e-9)
    assert ours.confusion == sk.confusion_matrix(labels, answers).tolist()
    assert ours.majority == np.bincount(labels).max() / 50
    precision = sk.precision_score(labels, answers, average=None, zero_division=0)
    assert [row["precision"] for row in ours.per_class] == pytest.approx(
        precision.tolist(), abs=1e-9
    )
    assert [row["support"] for row in ours.per_class] == np.bincount(labels).tolist()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 6))
def test_multi_label_scores_are_those_of_scikit_learn(seed, classes):
    labels, scores = made_up(MULTI_LABEL, seed, 50, classes)
    decided = scores > 0.5
    ours = compute_metrics(labels, scores, MULTI_LABEL)
    assert ours.exact_match == pytest.approx((labels == decided).all(1).mean(), abs=1e-9)
    balanced = [sk.balanced_accuracy_score(labels[:, k], decided[:, k]) for k in range(classes)]
    assert ours.balanced_acc == pytest.approx(np.mean(balanced), abs=1e-9)
    f1 = [sk.f1_score(labels[:, k], decided[:, k], zero_division=0) for k in range(classes)]
    assert ours.macro_f1 == pytest.approx(np.mean(f1), abs=1e-9)
    assert np.shape(ours.confusion) == (classes, 2, 2)
    assert ours.confusion[0] == sk.confusion_matrix(labels[:, 0], decided[:, 0]).tolist()


def naive_ece(confidence, right):
    edges, total = np.linspace(0, 1, 16), 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return total / len(confidence)


def test_calibration_error_is_guos():
    labels, scores = made_up("multi-class", 5, 300)
    expected = naive_ece(scores.max(1), scores.argmax(1) == labels)
    assert compute_metrics(labels, scores, "multi-class").ece == pytest.approx(expected)

    labels, scores = made_up(MULTI_LABEL, 5, 300)
    decided = scores > 0.5
    confidence = np.where(decided, scores, 1 - scores).ravel()
    expected = naive_ece(confidence, (decided == labels).ravel())
    assert compute_metrics(labels, scores, MULTI_LABEL).ece == pytest.approx(expected)


@pytest.mark.parametrize("task", ["multi-class", MULTI_LABEL])
def test_calibration_error_is_the_mean_gap_of_the_bins(task):
    metrics = compute_metrics(*made_up(task, 5, 300), task)
    count = sum(one["count"] for one in metrics.calibration)
    gaps = [one["count"] * abs(one["accuracy"] - one["confidence"]) for one in metrics.calibration]
    assert count == (1500 if task == MULTI_LABEL else 300)
    assert sum(gaps) / count == pytest.approx(metrics.ece)
    confidences = [one["confidence"] for one in metrics.calibration]
    assert confidences == sorted(confidences)


def test_answering_nothing_looks_good_in_acc_and_is_shown_up_by_the_rest():
    labels = np.zeros((100, 14), int)
    labels[np.arange(47), np.arange(47) % 14] = 1
    ours = compute_metrics(labels, np.full(labels.shape, 0.01), MULTI_LABEL)
    assert ours.acc > 0.96
    assert ours.exact_match == ours.majority == 0.53
    assert ours.macro_f1 == 0
    assert ours.auc == ours.balanced_acc == 0.5


def test_an_absent_class_is_nan_and_left_out_with_one_warning():
    labels, scores = made_up("multi-class", 1, 80, 4)
    keep = labels != 2
    with pytest.warns(UserWarning, match="no image has cherry") as caught:
        ours = compute_metrics(labels[keep], scores[keep], "multi-class", ["a", "b", "cherry", "d"])
    assert len(caught) == 1
    absent = ours.per_class[2]
    assert absent["support"] == 0
    assert all(np.isnan(absent[key]) for key in ("precision", "recall", "f1", "auc"))
    others = [ours.per_class[k] for k in (0, 1, 3)]
    assert ours.auc == pytest.approx(np.mean([row["auc"] for row in others]))
    assert ours.macro_f1 == pytest.approx(np.mean([row["f1"] for row in others]))
    assert ours.balanced_acc == pytest.approx(np.mean([row["recall"] for row in others]))
    assert np.shape(ours.confusion) == (4, 4)


def test_an_absent_label_is_left_out_of_the_mean_auc():
    labels, scores = made_up(MULTI_LABEL, 1, 80, 4)
    labels[:, 3], labels[:, 0] = 0, 1
    with pytest.warns(UserWarning, match="no image has 3.*every image has 0") as caught:
        ours = compute_metrics(labels, scores, MULTI_LABEL)
    assert len(caught) == 1
    assert ours.auc == pytest.approx(getAUC(labels[:, 1:3], scores[:, 1:3], MULTI_LABEL))
    assert ours.acc == pytest.approx(getACC(labels, scores, MULTI_LABEL))
    assert ours.per_class[0]["recall"] == (scores[:, 0] > 0.5).mean()


def test_a_split_of_one_class_has_no_auc_but_an_accuracy():
    with pytest.warns(UserWarning, match="every image has 1"):
        ours = compute_metrics(np.ones(3, int), np.tile([0.2, 0.8], (3, 1)), "binary-class")
    assert np.isnan(ours.auc)
    assert ours.acc == 1


@pytest.mark.parametrize("task", TASKS)
def test_perfect_predictions_score_one(task):
    labels, scores = made_up(task, 0)
    scores = labels.astype(float) if task == MULTI_LABEL else np.eye(scores.shape[1])[labels]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = compute_metrics(labels, scores, task)
    assert ours.auc == ours.acc == ours.exact_match == ours.balanced_acc == ours.macro_f1 == 1
    assert ours.ece == 0


@pytest.mark.parametrize(
    ("labels", "scores", "task", "message"),
    [
        ([0, 1], [[0.5, 0.5]] * 3, "multi-class", "labels have shape"),
        ([0, 2], [[0.5, 0.5]] * 2, "multi-class", "label 2 is not a class number from 0 to 1"),
        (["0", "1"], [[0.5, 0.5]] * 2, "multi-class", "label '0' is not a class number from 0"),
        ([0, -1], [[0.5, 0.5]] * 2, "multi-class", "label -1"),
        ([0, 1], [[2.5, -0.5]] * 2, "multi-class", "turn logits into them"),
        ([0, 1], [[np.nan, 0.5]] * 2, "multi-class", "without NaN"),
        ([0, 1], [0.5, 0.5], "binary-class", "probabilities have shape"),
        ([0, 1], [[0.2, 0.3, 0.5]] * 2, "binary-class", "two classes"),
        ([[0, 1, 2]], [[0.5, 0.5, 0.5]], MULTI_LABEL, "0 or 1"),
        ([0, 1], [[0.5, 0.5]] * 2, MULTI_LABEL, "labels have shape"),
        ([], np.zeros((0, 2)), "multi-class", "no images"),
        ([0], [[0.5, 0.5]], "multi-clas", "unknown task 'multi-clas'; did you mean 'multi-class'"),
    ],
)
def test_what_does_not_fit_is_refused(labels, scores, task, message):
    with pytest.raises(ValueError, match=message):
        compute_metrics(np.array(labels), np.array(scores), task)


def test_class_names_must_be_as_many_as_classes():
    with pytest.raises(ValueError, match="got 1 class names for probabilities of 2 classes"):
        compute_metrics(np.array([0, 1]), np.full((2, 2), 0.5), "multi-class", ["one"])


def test_tensors_with_gradients_and_of_any_precision_are_scored():
    chances = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
    labels = torch.tensor([0, 1, 1])
    expected = compute_metrics(labels.numpy(), chances.double().numpy(), "binary-class")
    for given_ in (chances.requires_grad_(), chances.detach().bfloat16(), chances.detach().half()):
        assert compute_metrics(labels, given_, "binary-class").auc == expected.auc
