"""Unknown labels of multi-label sets: every score counts the known ones alone."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

import medzoo
from medzoo.evaluation import Report, bootstrap_intervals, compute_metrics, knn_probe, linear_probe
from medzoo.evaluation.intervals import resampled_scores
from medzoo.evaluation.metrics import score_predictions
from medzoo.evaluation.plots import plot_confusion, plot_per_class, plot_reliability
from medzoo.inference import fit_temperature
from tests.evaluation.metrics.test_scores import MULTI_LABEL, made_up, naive_ece
from tests.inference.test_calibration import Replay
from tests.inference.test_calibration import made_up as made_up_split

SCORES = (
    *("auc", "average_precision", "acc", "exact_match", "balanced_acc", "macro_f1"),
    *("kappa", "mcc", "ece", "aurc", "e_aurc"),
)


def with_unknown(seed, images=60, classes=4, share=0.3, levels=None):
    """Labels of which some are NaN, and probabilities; every label has known ones of both kinds."""
    labels, scores = made_up(MULTI_LABEL, seed, images, classes, levels)
    hidden = np.random.default_rng(seed + 1).random(labels.shape) < share
    hidden[:2] = False  # one image has every label, one has none
    return np.where(hidden, np.nan, labels), scores


def known_of(labels, scores, k):
    known = ~np.isnan(labels[:, k])
    return labels[known, k], scores[known, k]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), levels=st.sampled_from([None, 4]))
def test_scores_of_a_label_are_those_of_the_images_where_it_is_known(seed, levels):
    labels, scores = with_unknown(seed, levels=levels)
    ours = compute_metrics(labels, scores, MULTI_LABEL)
    pairs = [known_of(labels, scores, k) for k in range(4)]
    decided = [(truth, score > 0.5) for truth, score in pairs]
    auc = [sk.roc_auc_score(truth, score) for truth, score in pairs]
    f1 = [sk.f1_score(*pair, zero_division=0) for pair in decided]
    assert [row["auc"] for row in ours.per_class] == pytest.approx(auc)
    assert [row["f1"] for row in ours.per_class] == pytest.approx(f1)
    for name, score in (("kappa", sk.cohen_kappa_score), ("mcc", sk.matthews_corrcoef)):
        assert getattr(ours, name) == pytest.approx(np.mean([score(*pair) for pair in decided]))
    areas = [sk.average_precision_score(*pair) for pair in pairs]
    assert ours.average_precision == pytest.approx(np.mean(areas))
    assert [row["support"] for row in ours.per_class] == [int(t.sum()) for t, _ in pairs]
    assert ours.auc == pytest.approx(np.mean(auc))
    assert ours.acc == pytest.approx(np.mean([(t == d).mean() for t, d in decided]))
    balanced = [sk.balanced_accuracy_score(*pair) for pair in decided]
    assert ours.balanced_acc == pytest.approx(np.mean(balanced))
    assert ours.confusion == [sk.confusion_matrix(*pair).tolist() for pair in decided]
    confidence = np.concatenate([np.maximum(score, 1 - score) for _, score in pairs])
    right = np.concatenate([t == d for t, d in decided])
    assert ours.ece == pytest.approx(naive_ece(confidence, right))
    assert sum(one["count"] for one in ours.calibration) == len(right)
    complete = ~np.isnan(labels).any(axis=1)
    exact = (labels == (scores > 0.5))[complete].all(axis=1).mean()
    assert ours.exact_match == pytest.approx(exact)
    _, answers = np.unique(labels[complete], axis=0, return_counts=True)
    assert ours.majority == pytest.approx(answers.max() / complete.sum())


def test_minus_one_and_nan_are_the_same():
    labels, scores = with_unknown(3)
    marked = np.nan_to_num(labels, nan=-1).astype(np.int8)
    assert compute_metrics(marked, scores, MULTI_LABEL) == compute_metrics(
        torch.from_numpy(labels), scores, MULTI_LABEL
    )


def test_what_a_model_says_of_unknown_labels_does_not_matter():
    labels, scores = with_unknown(5)
    other = np.where(np.isnan(labels), 1 - scores, scores)
    expected = compute_metrics(labels, scores, MULTI_LABEL)
    assert compute_metrics(labels, other, MULTI_LABEL) == expected
    intervals = [
        bootstrap_intervals(labels, s, MULTI_LABEL, resamples=20).overall for s in (scores, other)
    ]
    assert intervals[0] == intervals[1]


@pytest.mark.parametrize("value", [-2, 2, 0.5, np.inf])
def test_other_marks_are_refused(value):
    labels, scores = with_unknown(0)
    labels[0, 0] = value
    with pytest.raises(ValueError, match="0 or 1, or NaN or -1 if unknown"):
        compute_metrics(labels, scores, MULTI_LABEL)


@pytest.mark.parametrize("task", ["multi-class", "ordinal-regression", "binary-class"])
def test_an_unknown_class_cannot_be_scored(task):
    labels, scores = made_up(task, 0)
    labels[7] = -1
    with pytest.raises(ValueError, match=r"label -1 .* leave out images whose class is unknown"):
        compute_metrics(labels, scores, task)


def test_without_a_wholly_known_image_there_is_no_exact_match():
    labels, scores = with_unknown(0)
    labels[np.arange(len(labels)), np.arange(len(labels)) % 4] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = compute_metrics(labels, scores, MULTI_LABEL)
        intervals = bootstrap_intervals(labels, scores, MULTI_LABEL, resamples=10).overall
    assert np.isnan([ours.exact_match, ours.majority, *intervals["exact_match"]]).all()
    assert not np.isnan([ours.auc, *intervals["auc"]]).any()


def test_a_label_that_is_never_known_is_left_out_of_the_means():
    labels, scores = with_unknown(0)
    labels[:, 2] = np.nan
    with pytest.warns(UserWarning, match="no image has 2: scores are NaN there; overall"):
        ours = compute_metrics(labels, scores, MULTI_LABEL)
    rest = compute_metrics(labels[:, [0, 1, 3]], scores[:, [0, 1, 3]], MULTI_LABEL)
    for name in ("auc", "acc", "balanced_acc", "macro_f1", "ece"):
        assert getattr(ours, name) == pytest.approx(getattr(rest, name)), name


def test_with_no_known_label_at_all_every_score_is_nan():
    labels, scores = np.full((5, 3), np.nan), np.full((5, 3), 0.25)
    with pytest.warns(UserWarning, match="no image has 0, 1, 2"):
        ours = compute_metrics(labels, scores, MULTI_LABEL)
    assert np.isnan([getattr(ours, name) for name in SCORES]).all()
    intervals = bootstrap_intervals(labels, scores, MULTI_LABEL, resamples=5).overall
    assert np.isnan(list(intervals.values())).all()


@pytest.mark.filterwarnings("ignore:no image has", "ignore:every image has")
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), images=st.integers(4, 30))
def test_a_resample_scores_as_the_drawn_images_do(seed, images):
    labels, scores = with_unknown(seed, images, levels=4)
    drawn = np.random.default_rng(seed).integers(images, size=(3, images))
    counts = np.stack([np.bincount(row, minlength=images) for row in drawn], axis=1).astype(float)
    data = score_predictions(labels, scores, MULTI_LABEL)
    resampled = resampled_scores(data, counts).overall
    assert set(resampled) == set(SCORES)
    for k, row in enumerate(drawn):
        expected = compute_metrics(labels[row], scores[row], MULTI_LABEL)
        for name, values in resampled.items():
            assert values[k] == pytest.approx(getattr(expected, name), abs=1e-12, nan_ok=True), name


def data_with_unknown(share=0.3):
    """A synthetic ChestMNIST of 3 labels, some of them unknown."""
    rng = np.random.default_rng(0)
    pairs = []
    for images in (60, 40, 40):
        labels = rng.integers(0, 2, (images, 3))
        pixels = np.zeros((images, 16, 16), np.uint8)
        for k in range(3):  # a bright stripe for each label
            pixels[:, 5 * k : 5 * k + 5] = 80 + 100 * labels[:, k, None, None]
        labels[rng.random(labels.shape) < share] = -1
        pairs.append((pixels + rng.integers(0, 20, pixels.shape, dtype=np.uint8), labels))
    return medzoo.Dataset.from_arrays(
        *pairs, name="stripes", classes=["mass", "effusion", "nodule"]
    )


def test_a_report_says_how_many_labels_are_unknown(tmp_path):
    data = data_with_unknown()
    model = medzoo.create_model("simple_cnn", dataset=data)
    report = medzoo.evaluate(model, data.test, resamples=20, device="cpu")
    unknown = int(data.test.labels.isnan().sum())
    assert f"{unknown} labels ({unknown / 120:.1%}) are unknown and left out" in str(report)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    for plot in (plot_confusion, plot_per_class, plot_reliability):
        assert plot(report, tmp_path / f"{plot.__name__}.png").stat().st_size > 1000


def test_a_report_of_known_labels_does_not_mention_unknown_ones():
    data = data_with_unknown(0.0)
    model = medzoo.create_model("simple_cnn", dataset=data)
    assert "unknown" not in str(medzoo.evaluate(model, data.test, resamples=0, device="cpu"))


def test_a_report_without_exact_match_survives_json():
    data = data_with_unknown()
    labels = data.test.labels.clone()
    labels[range(40), [number % 3 for number in range(40)]] = torch.nan
    split = medzoo.datasets.Split(data.test.images, labels, data.info, "test", data.provenance)
    model = medzoo.create_model("simple_cnn", dataset=data)
    report = medzoo.evaluate(model, split, resamples=0, device="cpu")
    again = Report.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False)))
    assert np.isnan([again.exact_match, again.majority]).all()
    assert str(again) == str(report)


def test_the_temperature_is_fitted_to_known_labels():
    logits, split = made_up_split("chestmnist", 0, images=3000, truth=2.0)
    hidden = torch.from_numpy(np.random.default_rng(1).random(split.labels.shape) < 0.4)
    split.labels[:, :7] = 1 - split.labels[:, :7]  # wrong on purpose, and then unknown
    split.labels[:, :7] = torch.nan
    split.labels[hidden] = torch.nan
    assert fit_temperature(Replay(logits, split), split, device="cpu") == pytest.approx(2, rel=0.08)


def test_without_a_known_label_no_temperature_fits():
    logits, split = made_up_split("chestmnist", 0, images=20)
    split.labels[:] = torch.nan
    with pytest.warns(UserWarning, match="no temperature fits"):
        assert fit_temperature(Replay(logits, split), split, device="cpu") == 1.0


@pytest.mark.parametrize("probe", [linear_probe, knn_probe])
def test_a_probe_learns_from_known_labels(probe):
    torch.manual_seed(0)
    data = data_with_unknown()
    backbone = medzoo.create_model("simple_cnn", dataset=data)
    setting = {"strengths": [1.0]} if probe is linear_probe else {"neighbours": [3]}
    result = probe(backbone, data, resamples=0, device="cpu", **setting)
    assert result.test.auc > 0.9
    assert min(row["auc"] for row in result.test.per_class) > 0.85


def test_a_probe_of_known_labels_is_the_same_as_one_probe_per_label():
    torch.manual_seed(0)
    data, known = data_with_unknown(0.0), data_with_unknown(0.0)
    known.train.labels[0, 1] = torch.nan
    backbone = medzoo.create_model("simple_cnn", dataset=data)
    one, other = (
        linear_probe(backbone, sets, strengths=[1.0], resamples=0, device="cpu").test
        for sets in (data, known)
    )
    # The labels that are wholly known are fitted to the same images.
    for k in (0, 2):
        assert one.per_class[k] == other.per_class[k]


def test_a_probe_needs_a_known_label_of_each_kind():
    data = data_with_unknown()
    data.train.labels[:] = torch.where(data.train.labels == 1, torch.nan, data.train.labels)
    backbone = medzoo.create_model("simple_cnn", dataset=data)
    with pytest.raises(ValueError, match="all of one class"):
        linear_probe(backbone, data, resamples=0, device="cpu")


def test_a_probe_cannot_learn_a_label_that_is_never_known():
    data = data_with_unknown()
    data.train.labels[:, 1] = torch.nan
    backbone = medzoo.create_model("simple_cnn", dataset=data)
    with pytest.raises(ValueError, match=r"no training image .* has a known label 'effusion'"):
        linear_probe(backbone, data, resamples=0, device="cpu")
