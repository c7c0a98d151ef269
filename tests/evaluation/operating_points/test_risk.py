"""Bounds of the risk hold all at once, and a calibrated model answers only where they are low."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import medzoo
from medzoo.evaluation.operating_points.risk import fit_selective
from medzoo.inference import probabilities
from medzoo.spec import ModelSpec, SelectiveSpec
from tests.inference.test_calibration import made_up

BOUNDS = SelectiveSpec((0.0, 0.6, 0.9), (0.3, 0.1, 0.2), 0.95, 400)


def bounded(name, seed, images, levels=0):
    """Bounds of a made-up model, with its probabilities and its split."""
    logits, split = made_up(name, seed, images)
    if levels:  # few different confidences
        logits = np.round(logits * levels) / levels
    shares = probabilities(torch.from_numpy(logits), split.info.task)
    return fit_selective(shares, split), shares.numpy(), split


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["dermamnist", "retinamnist", "breastmnist"]),
    st.integers(0, 999),
    st.integers(1, 90),
    st.sampled_from([0, 1]),
)
def test_each_bound_is_that_of_clopper_and_pearson_at_a_twentieth(name, seed, images, levels):
    risks, shares, split = bounded(name, seed, images, levels)
    confidence, labels = shares.max(axis=1), split.labels.numpy()
    wrong = shares.argmax(axis=1) != labels
    assert risks.confidences[0] == 0 < len(risks.confidences) <= 20
    assert risks.images == images
    for above, bound in zip(risks.confidences, risks.bounds, strict=True):
        answered = confidence > above
        interval = binomtest(int(wrong[answered].sum()), int(answered.sum()), 0.5, "less")
        expected = interval.proportion_ci(1 - 0.05 / 20, method="exact").high
        assert bound == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("levels", [5, 500])
def test_all_bounds_hold_at_once_as_often_as_they_say(levels):
    """An exact risk is known for made-up answers: right with a chance that is their confidence."""
    rng = np.random.default_rng(0)
    template = made_up("breastmnist", 0, 100)[1]
    population = 0.5 + (np.arange(levels) + 0.5) / (2 * levels)
    broken, tries = 0, 200
    for _ in range(tries):
        sure = rng.choice(population, 100)
        labels = torch.from_numpy((rng.random(100) > sure).astype(np.int64))
        shares = torch.from_numpy(np.stack([sure, 1 - sure], axis=1))
        risks = fit_selective(shares, dataclasses.replace(template, labels=labels))
        real = [1 - population[population > above].mean() for above in risks.confidences]
        broken += any(one > bound for one, bound in zip(real, risks.bounds, strict=True))
    assert broken <= 0.05 * tries


def test_labels_that_nobody_knows_are_decided_about_all_the_same():
    risks, shares, split = bounded("chestmnist", 0, 60)
    labels = split.labels.clone()
    labels[:, 3] = math.nan
    labels[7] = math.nan  # nothing is known of this image
    partly = fit_selective(torch.from_numpy(shares), dataclasses.replace(split, labels=labels))
    assert partly.images == 59
    sure = np.sort(np.delete(np.maximum(shares, 1 - shares).mean(axis=1), 7))
    assert set(partly.confidences) <= {0.0, *sure}
    assert all(0 < bound <= 1 for bound in (*risks.bounds, *partly.bounds))
    labels[:] = math.nan
    assert (
        fit_selective(torch.from_numpy(shares), dataclasses.replace(split, labels=labels)) is None
    )


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("dermamnist", n_train=30, n_val=120, n_test=40)


@pytest.fixture(scope="module")
def model(data):
    torch.manual_seed(0)
    net = medzoo.train("simple_cnn", data, {"epochs": 2, "augmentation": {}}).model
    medzoo.calibrate(net, data.val)
    return net


def test_what_is_answered_keeps_the_risk(model, data):
    plain = medzoo.predict(model, data.test)
    risks = model.spec.selective
    assert [one.risk for one in plain] == [risks.risk(one.probability) for one in plain]
    assert not any(one.abstained for one in plain)
    limit = float(np.median([one.risk for one in plain]))
    some = medzoo.predict(model, data.test, abstain_above=limit)
    assert [one.abstained for one in some] == [one.risk > limit for one in plain]
    assert all(one.labels == () for one in some if one.abstained)
    least = min(
        above
        for above, bound in zip(risks.confidences, risks.bounds, strict=True)
        if bound <= limit
    )
    assert [one.abstained for one in some] == [one.probability <= least for one in plain]
    assert some[0].to_dict()["risk"] == plain[0].risk


def test_bounds_are_kept_in_files_and_dropped_with_what_they_hold_for(model, data, tmp_path):
    again = medzoo.create_model(medzoo.save_weights(model, tmp_path / "model.safetensors"))
    assert again.spec == model.spec
    assert again.spec.selective is not None
    exported = medzoo.export(model, tmp_path / "model.onnx").model
    assert exported.spec.selective == model.spec.selective
    assert medzoo.predict(exported, data.test.images[0]).risk is not None
    small = medzoo.create_model(tmp_path / "model.safetensors", size=32)
    assert small.spec.selective is None
    with pytest.warns(UserWarning, match="prediction sets and risks were calibrated"):
        again.temperature = 3.0
    assert again.spec.selective is None
    assert medzoo.Ensemble([model, model]).spec.selective is None
    for options in ({"tta": "flip"}, {"temperature": 2.0}):
        assert medzoo.predict(model, data.test.images[0], **options).risk is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"abstain_above": 0}, "between 0 and 1"),
        ({"abstain_above": 1.0}, "between 0 and 1"),
        ({"abstain_above": math.nan}, "between 0 and 1"),
        ({"abstain_above": "0.1"}, "must be a number"),
        ({"abstain_above": True}, "must be a number"),
        ({"abstain_above": 1e-6}, "120 images .* show no lower risk than"),
        ({"abstain_above": 0.9, "tta": "flip"}, "as it was calibrated"),
        ({"abstain_above": 0.9, "temperature": 2.0}, "as it was calibrated"),
    ],
)
def test_what_cannot_be_kept_is_an_error(model, data, options, error):
    with pytest.raises((TypeError, ValueError), match=error):
        medzoo.predict(model, data.test.images[0], **options)


def test_models_that_do_not_know_their_risks_say_how_they_can(data):
    with pytest.raises(ValueError, match=r"call medzoo.calibrate\(model, data.val\) first"):
        medzoo.predict("simple_cnn.dermamnist", data.test.images[0], abstain_above=0.1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"confidences": [0.0, 0.6]}, "expected one bound"),
        ({"confidences": [0.0, 0.9, 0.6]}, "must start at 0 and rise"),
        ({"confidences": [0.1, 0.6, 0.9]}, "must start at 0 and rise"),
        ({"confidences": []}, "expected 1 to"),
        ({"bounds": [0.3, 0.1, 1.2]}, "from 0 to 1"),
        ({"bounds": [0.3, 0.1, math.nan]}, "finite"),
        ({"bounds": ["0.3", 0.1, 0.2]}, "finite"),
        ({"confidence_level": 1}, "confidence_level=1"),
        ({"confidence_level": None}, "finite"),
        ({"images": 0}, "images=0"),
        ({"more": 1}, "unknown"),
    ],
)
def test_what_is_no_bound_is_refused(change, error):
    values = json.loads(json.dumps(BOUNDS.to_dict()))
    assert SelectiveSpec.from_dict(values) == BOUNDS
    with pytest.raises((TypeError, ValueError), match=error):
        SelectiveSpec.from_dict(values | change)
    spec = ModelSpec.for_data(medzoo.dataset_info("breastmnist"))
    with pytest.raises((TypeError, ValueError), match=error):
        ModelSpec.from_dict(spec.to_dict() | {"selective": values | change})


def test_the_risk_of_an_answer_is_the_lowest_bound_below_its_confidence():
    assert [BOUNDS.risk(value) for value in (0.0, 0.5, 0.6, 0.7, 0.95)] == [1, 0.3, 0.3, 0.1, 0.1]
