"""Training on a GPU."""

import warnings

import numpy as np
import pytest
import torch

import medzoo
from medzoo.device import has_fast_bfloat16
from medzoo.training import Callback, Trainer
from tests.gpu.networks import QUICK, WIDTHS, small_model


def test_auto_is_the_gpu(cuda):
    assert medzoo.device.resolve_device("auto").type == "cuda"


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_training_learns_and_its_weights_load_on_a_cpu(data, tmp_path, device, optimizer):
    recipe = QUICK.with_changes(optimizer=optimizer, learning_rate=0.01, epochs=4)
    run = Trainer(small_model(data), data, recipe, output=tmp_path, device=device).fit()
    losses = [row["loss"] for row in run.history]
    assert losses[-1] < losses[0]
    assert next(run.model.parameters()).device.type == device.type
    on_gpu, on_cpu = (
        medzoo.evaluate(model, data.test, resamples=0, device=where)
        for model, where in ((run.model, device), (medzoo.create_model(run.weights), "cpu"))
    )
    assert on_gpu.auc == pytest.approx(on_cpu.auc, abs=1e-3)


class Stop(Callback):
    def on_epoch_end(self, state):
        if state.epoch == 2:
            raise KeyboardInterrupt


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(data, tmp_path, device, deterministic):
    def trainer(folder, *callbacks):
        output = tmp_path / folder
        model = small_model(data)
        return Trainer(model, data, QUICK, output=output, device=device, callbacks=callbacks)

    whole = trainer("whole").fit()
    with pytest.raises(KeyboardInterrupt):
        trainer("cut", Stop()).fit()
    resumed = trainer("cut").fit(resume=True)
    assert len(resumed.history) == 3
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_a_teacher_and_high_resolution_images_are_used_on_the_gpu(data, device):
    high_res = medzoo.Dataset.from_arrays(
        *(
            (torch.nn.functional.interpolate(split.images.float(), scale_factor=2).byte(), labels)
            for split, labels in ((s, s.labels) for s in data.splits.values())
        ),
        classes=data.info.classes,
    )
    teacher = medzoo.create_model("simple_cnn", dataset=high_res, widths=WIDTHS)
    recipe = QUICK.with_changes(distillation=0.5)
    run = Trainer(
        small_model(data), data, recipe, teacher=teacher, high_res=high_res, device=device
    ).fit()
    assert np.isfinite(run.history[-1]["loss"])
    assert next(teacher.parameters()).device.type == device.type


def test_mixed_precision_trains_as_well_as_full_precision(data, device):
    if not has_fast_bfloat16(device):
        pytest.skip("this device has no bfloat16 instructions")
    losses = [
        Trainer(small_model(data), data, QUICK.with_changes(precision=precision), device=device)
        .fit()
        .history[-1]["loss"]
        for precision in ("float32", "bfloat16")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_compiled_training_learns_what_the_eager_one_does(data, cuda):
    losses = [
        Trainer(small_model(data), data, QUICK, device=cuda, compile=compiled).fit().history
        for compiled in (False, True)
    ]
    assert losses[1][-1]["loss"] == pytest.approx(losses[0][-1]["loss"], rel=0.05)


def test_images_that_do_not_fit_are_copied_batch_by_batch(data, cuda, deterministic, monkeypatch):
    def losses():
        run = Trainer(small_model(data), data, QUICK, device=cuda).fit()
        return [row["loss"] for row in run.history]

    expected = losses()
    monkeypatch.setattr("medzoo.training.loader._fits", lambda *_: False)
    assert losses() == pytest.approx(expected, rel=1e-3)


def test_no_step_waits_for_the_gpu(data, cuda):
    """An epoch of many batches has as many synchronisations as one of few."""

    def synchronisations(repeats):
        train = data.train.subset(list(range(112)) * repeats)
        many = medzoo.Dataset(data.info, train, data.val, data.test, data.provenance)
        recipe = QUICK.with_changes(epochs=2, validate_every=2)
        trainer = Trainer(small_model(data), many, recipe, device=cuda, ood_detector=False)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                trainer.fit()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(one.message) for one in caught)

    synchronisations(1)  # kernels are compiled and tuned
    assert synchronisations(4) == synchronisations(1)
