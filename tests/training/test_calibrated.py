"""Trained models are calibrated: on the validation split, and the weights file says so."""

from dataclasses import replace

import pytest
import torch

from medzoo import create_model, evaluate, finetune, fit_temperature, synthetic, train
from medzoo.datasets import Dataset
from medzoo.evaluation import calibrate
from medzoo.training import Trainer
from medzoo.weights import read_config
from tests.training.quick import QUICK, small

RECIPE = QUICK.with_changes(epochs=4, learning_rate=0.02)


@pytest.mark.parametrize("name", ["dermamnist", "breastmnist", "chestmnist", "retinamnist"])
def test_the_temperature_of_the_weights_that_are_kept_is_fitted(name, tmp_path):
    data = synthetic(name, n_train=96, n_val=48, n_test=8)
    run = Trainer(small(data), data, RECIPE, output=tmp_path, name="run").fit()
    found = run.calibration
    assert run.model.temperature == found.temperature == fit_temperature(run.model, data.val)
    assert found.temperature != 1.0
    assert found.nll <= found.nll_before
    assert (run.val_auc, run.val_acc) == (found.auc, found.acc)

    before = evaluate(run.model, data.val, resamples=0, temperature=1.0)
    after = evaluate(create_model(run.weights), data.val, resamples=0)
    assert after.temperature == found.temperature
    assert (before.ece, after.ece) == pytest.approx((found.ece_before, found.ece))
    assert (after.auc, after.acc) == pytest.approx((run.val_auc, run.val_acc))

    training = read_config(run.weights).training
    assert training["calibration"] == found.to_dict()
    assert (training["val_auc"], training["val_acc"]) == (run.val_auc, run.val_acc)


def test_train_and_finetune_calibrate():
    data = synthetic("breastmnist", n_train=96, n_val=48, n_test=8)
    run = train("simple_cnn", data, RECIPE.with_changes(model_args={"widths": (4, 8, 16)}))
    assert run.model.temperature == fit_temperature(run.model, data.val) != 1.0
    # A temperature that the model comes with does not count.
    again = finetune(run.model, data, RECIPE.with_changes(seed=1))
    assert again.model.temperature == fit_temperature(again.model, data.val)
    assert again.model.temperature == again.calibration.temperature


def easy(images):
    """Two classes that any network tells apart: dark and bright images."""
    labels = torch.arange(images) % 2
    pixels = (labels * 200 + 20).to(torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    return pixels.contiguous(), labels


def test_a_small_set_without_mistakes_is_calibrated_too():
    data = Dataset.from_arrays(easy(64), easy(6), easy(60), classes=["dark", "bright"])
    recipe = QUICK.with_changes(epochs=8, validate_every=8, learning_rate=0.02, label_smoothing=0.6)
    run = Trainer(small(data), data, recipe).fit()
    assert run.val_acc == 1.0
    raw = evaluate(run.model, data.test, resamples=0, temperature=1.0)
    report = evaluate(run.model, data.test, resamples=0)
    assert raw.acc == 1.0
    assert raw.ece > 0.2  # right, but unsure
    assert report.ece == pytest.approx(1 / 8, abs=0.02)  # as sure as 6 right answers allow


def test_calibrate_sets_the_temperature_and_says_what_changed(tiny):
    model = Trainer(small(tiny), tiny, RECIPE).fit().model
    fitted, model.temperature = model.temperature, 9.0
    found = calibrate(model, tiny.val)
    assert model.temperature == found.temperature == fitted
    assert found.nll < found.nll_before
    before, after = (
        evaluate(model, tiny.val, resamples=0, temperature=t).ece for t in (9.0, fitted)
    )
    assert (found.ece_before, found.ece) == pytest.approx((before, after))
    assert f"temperature {fitted:.3g}: ECE {found.ece_before:.3f} -> {found.ece:.3f}" in str(found)
    with pytest.raises(TypeError, match="has no temperature to set"):
        calibrate(torch.nn.DataParallel(model), tiny.val)
    with pytest.raises(ValueError, match="is empty"):
        calibrate(model, replace(tiny.val, images=tiny.val.images[:0], labels=tiny.val.labels[:0]))
