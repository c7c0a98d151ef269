"""Conformal thresholds: those of MAPIE and of the definitions, and sets that keep the promise."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import medzoo
from medzoo.datasets import Provenance, Split, dataset_info
from medzoo.inference.conformal import (
    conformal_for,
    fit_conformal,
    images_needed,
    named_sets,
    prediction_sets,
)
from medzoo.inference.options import Settings
from medzoo.spec import ConformalSpec, ModelSpec

seeds = st.integers(0, 2**32 - 1)
coverages = st.sampled_from([0.5, 0.57, 0.8, 0.9, 0.95])
SINGLE, MULTI = "dermamnist", "chestmnist"


def made_up(name, seed, images, spread=2.0, unknown=0.0):
    """Random probabilities, and labels that are drawn from them."""
    info = dataset_info(name)
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, spread, (images, info.num_classes)))
    if info.multi_label:
        values = (logits - 2).sigmoid()
        labels = torch.from_numpy((rng.random(values.shape) < values.numpy()).astype(np.float32))
        labels[torch.from_numpy(rng.random(values.shape) < unknown)] = math.nan
    else:
        values = logits.softmax(dim=1)
        labels = torch.tensor([rng.choice(len(row), p=row / row.sum()) for row in values.numpy()])
    empty = torch.zeros(images, info.channels, 2, 2, dtype=torch.uint8)
    return values, Split(empty, labels, info, "val", Provenance(None, None, False, "made up"))


@pytest.mark.parametrize(("images", "coverage"), [(60, 0.5), (199, 0.8), (100, 0.9), (137, 0.95)])
def test_lac_has_mapies_sets(images, coverage):
    classification = pytest.importorskip("mapie.classification")
    values, split = made_up(SINGLE, 1, images)

    class Replay:
        """A fitted classifier of scikit-learn, whose features are the probabilities."""

        classes_ = np.arange(7)

        def __sklearn_is_fitted__(self):
            return True

        def fit(self, features, labels):
            return self

        def predict_proba(self, features):
            return np.asarray(features)

        def predict(self, features):
            return np.asarray(features).argmax(axis=1)

    mapie = classification.SplitConformalClassifier(
        Replay(), confidence_level=coverage, conformity_score="lac", prefit=True
    ).conformalize(values.numpy(), split.labels.numpy())
    new, _ = made_up(SINGLE, 2, 50)
    _, theirs = mapie.predict_set(new.numpy())
    ours = prediction_sets(
        fit_conformal(values, split, coverage=coverage), new, multi_label=True
    ).numpy()  # MAPIE's sets may be empty
    assert np.array_equal(ours, theirs[:, :, 0])


def scores_of_labels(values, split, method):
    """How strange each image's label is, by the definitions, one image after the other."""
    found = []
    for row, label in zip(values.tolist(), split.labels.tolist(), strict=True):
        larger = [p for p in row if p > row[label]]
        found.append(1 - row[label] if method == "lac" else math.fsum(larger))
    return np.array(found)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(19, 120), coverages, st.sampled_from(["lac", "aps"]))
def test_the_threshold_is_the_exact_quantile_of_the_definition(seed, images, coverage, method):
    values, split = made_up(SINGLE, seed, images)
    fitted = fit_conformal(values, split, coverage=coverage, method=method)
    rank = math.ceil(round(coverage * (images + 1), 9))
    expected = np.sort(scores_of_labels(values, split, method))[rank - 1]
    threshold = fitted.thresholds[0]
    assert (1 - threshold if method == "lac" else threshold) == pytest.approx(expected, abs=1e-12)
    assert fitted.images == images
    inside = prediction_sets(fitted, values, multi_label=False)
    assert int(inside[torch.arange(images), split.labels].sum()) >= rank


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_of_images_that_are_left_out_in_turn_as_many_are_covered_as_promised(method):
    # If all of 40 images are equally likely to be the new one, its coverage is exactly 36 / 40.
    values, split = made_up(SINGLE, 0, 40)
    covered = 0
    for new in range(40):
        rows = torch.arange(40) != new
        rest = replace(split, images=split.images[rows], labels=split.labels[rows])
        fitted = fit_conformal(values[rows], rest, method=method)
        inside = prediction_sets(fitted, values[new : new + 1], multi_label=True)
        covered += int(inside[0, split.labels[new]])
    assert covered == 36


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(60, 200), coverages, st.sampled_from([0.0, 0.2]))
def test_multi_label_sets_control_the_risk(seed, images, coverage, unknown):
    values, split = made_up(MULTI, seed, images, unknown=unknown)
    labels = split.labels.numpy() == 1
    labelled = labels.any(axis=1)
    n = labelled.sum()

    def bound(threshold):  # of conformal risk control: (n R + 1) / (n + 1)
        missed = labels & (values.numpy() < threshold)
        return (float((missed.sum(1)[labelled] / labels.sum(1)[labelled]).sum()) + 1) / (n + 1)

    fitted = fit_conformal(values, split, coverage=coverage)
    threshold = fitted.thresholds[0]
    assert fitted.images == n
    assert bound(threshold) <= 1 - coverage + 1e-9
    assert bound(np.nextafter(threshold, 1)) > 1 - coverage - 1e-9  # a higher one misses too many


@settings(max_examples=15, deadline=None)
@given(seeds, st.sampled_from([SINGLE, MULTI]))
def test_each_class_can_have_its_own_threshold(seed, name):
    values, split = made_up(name, seed, 600, spread=1.0)
    fitted = fit_conformal(values, split, coverage=0.8, class_conditional=True)
    one_hot = torch.nn.functional.one_hot(split.labels, 7) if name == SINGLE else split.labels
    truth = one_hot == 1
    inside = prediction_sets(fitted, values, multi_label=True)
    for k, threshold in enumerate(fitted.thresholds):
        own = values[truth[:, k], k].sort(descending=True).values
        assert threshold == own[math.ceil(round(0.8 * (len(own) + 1), 9)) - 1]
        assert inside[truth[:, k], k].double().mean() >= 0.8


def test_equal_probabilities_are_in_together():
    values, split = made_up(SINGLE, 0, 20)
    values = torch.full_like(values, 1 / 7)
    assert prediction_sets(fit_conformal(values, split), values, multi_label=False).all()


def test_a_set_is_never_empty_unless_there_are_several_labels():
    certain = ConformalSpec("lac", 0.9, (0.95,), 100)
    values = torch.tensor([[0.5, 0.3, 0.2], [0.01, 0.97, 0.02]], dtype=torch.float64)
    single = prediction_sets(certain, values, multi_label=False)
    assert single.tolist() == [[True, False, False], [False, True, False]]
    assert not prediction_sets(certain, values, multi_label=True)[0].any()
    spec = ModelSpec.for_data(dataset_info("octmnist"))
    many = ConformalSpec("aps", 0.9, (0.7,), 100)
    values = torch.tensor([[0.1, 0.3, 0.05, 0.55]], dtype=torch.float64)
    names = spec.class_names
    assert named_sets(many, values, spec) == [(names[3], names[1])]


def test_they_hold_for_the_views_and_temperature_that_they_were_fitted_to():
    sets = ConformalSpec("lac", 0.9, (0.5,), 100)
    spec = replace(ModelSpec.for_data(dataset_info(SINGLE)), temperature=2.0, conformal=sets)
    assert conformal_for(spec, Settings()) is sets
    assert conformal_for(spec, Settings(temperature=2.0)) is sets
    assert conformal_for(spec, Settings(temperature=1.0)) is None
    assert conformal_for(spec, Settings(tta="flip")) is None


def test_few_images_are_refused_with_what_would_help():
    assert [images_needed(c) for c in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]
    values, split = made_up(SINGLE, 0, 18)
    fit_conformal(values, split)
    with pytest.raises(ValueError, match=r"has 18 images, .*needs at least 19.*coverage=None"):
        fit_conformal(values, split, coverage=0.95)
    with pytest.raises(ValueError, match=r"images of '.*needs at least 9.*class_conditional=False"):
        fit_conformal(values, split, class_conditional=True)
    values, split = made_up(MULTI, 0, 50)
    nothing = replace(split, labels=torch.zeros_like(split.labels))
    with pytest.raises(ValueError, match="has 0 images with a label"):
        fit_conformal(values, nothing)
    with pytest.raises(ValueError, match="'aps' is for single-label tasks"):
        fit_conformal(values, split, method="aps")
    with pytest.raises(ValueError, match="coverage=90 must be between 0 and 1"):
        fit_conformal(values, split, coverage=90)


def test_they_are_not_given_for_another_spec_and_not_fitted_by_one():
    data = medzoo.synthetic("breastmnist", n_train=8, n_val=40, n_test=4)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16))
    medzoo.calibrate(model, data.val)
    image, spec = data.test.images[0], model.spec
    assert medzoo.predict(model, image, spec=spec).coverage == 0.9
    other = replace(spec, input=replace(spec.input, mean=(0.1,)))
    for changed in (other, replace(spec, temperature=9.0)):
        assert medzoo.predict(model, image, spec=changed).prediction_set is None
        assert medzoo.evaluate(model, data.test, spec=changed, resamples=0).prediction_sets is None
    with pytest.raises(ValueError, match=r"set model\.spec first"):
        medzoo.calibrate(model, data.val, spec=other)
    model.spec = replace(spec, temperature=9.0)
    assert model.spec.conformal is None
