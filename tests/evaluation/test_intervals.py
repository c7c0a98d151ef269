import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.evaluation import bootstrap_intervals, compute_metrics, intervals
from medzoo.evaluation.intervals import resampled_scores
from medzoo.evaluation.metrics import score_predictions
from tests.evaluation.metrics.test_scores import MULTI_LABEL, TASKS, made_up


@pytest.mark.filterwarnings("ignore:no image has", "ignore:every image has")
@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(5, 30), levels=st.sampled_from([None, 4]))
def test_a_resample_scores_as_the_drawn_images_do(task, seed, images, levels):
    labels, scores = made_up(task, seed, images, levels=levels)
    drawn = np.random.default_rng(seed).integers(images, size=(3, images))
    counts = np.stack([np.bincount(row, minlength=images) for row in drawn], axis=1).astype(float)
    resampled = resampled_scores(score_predictions(labels, scores, task), counts)
    for k, row in enumerate(drawn):
        expected = compute_metrics(labels[row], scores[row], task)
        for name, values in resampled.by_class.items():
            found = [one[name] for one in expected.per_class]
            if (task, name) == ("binary-class", "auc"):
                found[0] = found[1]
            assert values[:, k] == pytest.approx(found, abs=1e-12, nan_ok=True), name
        for name, values in resampled.overall.items():
            assert values[k] == pytest.approx(getattr(expected, name), abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("task", TASKS)
def test_intervals_hold_the_scores_and_depend_on_the_seed_alone(task, monkeypatch):
    labels, scores = made_up(task, 2, 200)
    first = bootstrap_intervals(labels, scores, task, resamples=200, seed=1).overall
    monkeypatch.setattr(intervals, "_CHUNK_ELEMENTS", 7 * len(labels))
    again = bootstrap_intervals(labels, scores, task, resamples=200, seed=1).overall
    assert again.keys() == first.keys()
    for name, bounds in first.items():  # sums of other chunks may differ in their last bit
        assert again[name] == pytest.approx(bounds, rel=1e-12), name
    assert bootstrap_intervals(labels, scores, task, resamples=200, seed=2).overall != first
    point = compute_metrics(labels, scores, task)
    for name in ("auc", "acc", "exact_match", "balanced_acc", "macro_f1"):
        low, high = first[name]
        assert 0 <= low <= getattr(point, name) <= high <= 1


def test_the_interval_of_an_accuracy_is_as_wide_as_the_binomial():
    labels, scores = made_up("multi-class", 4, 500, 3)
    acc = compute_metrics(labels, scores, "multi-class").acc
    low, high = bootstrap_intervals(labels, scores, "multi-class").overall["acc"]
    expected = 1.96 * np.sqrt(acc * (1 - acc) / 500)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.1)
    narrow = bootstrap_intervals(labels, scores, "multi-class", confidence=0.5).overall["acc"]
    assert narrow[1] - narrow[0] < (high - low) / 2


def test_resamples_without_a_rare_class_do_not_spoil_the_interval():
    labels, scores = made_up(MULTI_LABEL, 0, 50, 3)
    labels[:, 2] = 0
    labels[7, 2] = 1
    found = bootstrap_intervals(labels, scores, MULTI_LABEL, resamples=100).overall
    assert np.isfinite(list(found.values())).all()


def test_a_score_that_no_resample_has_is_nan():
    labels, scores = np.zeros(4, int), np.tile([0.7, 0.3], (4, 1))
    found = bootstrap_intervals(labels, scores, "binary-class", resamples=10).overall
    assert np.isnan(found["auc"]).all()
    assert found["acc"] == (1, 1)


@pytest.mark.parametrize("task", TASKS)
def test_each_class_has_an_interval_of_its_auc(task):
    labels, scores = made_up(task, 2, 200)
    found = bootstrap_intervals(labels, scores, task, resamples=200).auc
    classes = compute_metrics(labels, scores, task).per_class
    assert len(found) == len(classes)
    for (low, high), row in zip(found, classes, strict=True):
        assert low < row["auc"] < high


@pytest.mark.parametrize("task", TASKS)
def test_each_score_of_each_class_has_an_interval(task):
    labels, scores = made_up(task, 2, 200)
    found = bootstrap_intervals(labels, scores, task, resamples=200)
    classes = compute_metrics(labels, scores, task).per_class
    assert {"name", "support", "auc", *found.by_class} == {*classes[0]}
    for name, bounds in found.by_class.items():
        for (low, high), row in zip(bounds, classes, strict=True):
            assert low <= row[name] <= high, name


@pytest.mark.parametrize("bad", [{"resamples": 0}, {"confidence": 1.0}, {"confidence": 95}])
def test_bad_settings_are_refused(bad):
    labels, scores = made_up("multi-class", 0)
    with pytest.raises(ValueError, match=next(iter(bad))):
        bootstrap_intervals(labels, scores, "multi-class", **bad)
