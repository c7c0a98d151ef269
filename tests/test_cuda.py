"""What has to hold on a GPU, too; skipped where there is none."""

import numpy as np
import pytest
import torch

import medzoo
from medzoo.inference import predict_logits
from medzoo.training import Recipe, Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

WIDTHS = (8, 16, 32)
QUICK = Recipe(
    epochs=3,
    batch_size=16,
    ema_decay=0.9,
    augmentation=medzoo.Augmentation(horizontal_flip=0.5, rotation=20, mixup=0.2),
)


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("dermamnist", n_train=112, n_val=56, n_test=56)


def model_for(data):
    torch.manual_seed(0)
    return medzoo.create_model("simple_cnn", dataset=data, widths=WIDTHS)


def test_auto_is_the_gpu():
    assert medzoo.device.resolve_device("auto").type == "cuda"


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_training_learns_and_its_weights_load_on_a_cpu(data, tmp_path, optimizer):
    recipe = QUICK.with_changes(optimizer=optimizer, learning_rate=0.01, epochs=4)
    run = Trainer(model_for(data), data, recipe, output=tmp_path).fit()
    losses = [row["loss"] for row in run.history]
    assert losses[-1] < losses[0]
    assert next(run.model.parameters()).is_cuda
    on_gpu, on_cpu = (
        medzoo.evaluate(model, data.test, resamples=0, device=device)
        for model, device in ((run.model, "cuda"), (medzoo.create_model(run.weights), "cpu"))
    )
    assert on_gpu.auc == pytest.approx(on_cpu.auc, abs=5e-3)


def test_a_resumed_run_goes_on_where_it_stopped(data, tmp_path):
    whole = Trainer(model_for(data), data, QUICK, output=tmp_path / "whole").fit()

    class Stop(medzoo.training.Callback):
        def on_epoch_end(self, state):
            if state.epoch == 2:
                raise KeyboardInterrupt

    cut = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        Trainer(model_for(data), data, QUICK, output=cut, callbacks=[Stop()]).fit()
    resumed = Trainer(model_for(data), data, QUICK, output=cut).fit(resume=True)
    assert len(resumed.history) == 3
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, atol=1e-3, rtol=1e-2)


def test_a_teacher_and_high_resolution_images_are_used_on_the_gpu(data):
    high_res = medzoo.Dataset.from_arrays(
        *(
            (torch.nn.functional.interpolate(split.images.float(), scale_factor=2).byte(), labels)
            for split, labels in ((s, s.labels) for s in data.splits.values())
        ),
        classes=data.info.classes,
    )
    teacher = medzoo.create_model("simple_cnn", dataset=high_res, widths=WIDTHS)
    recipe = QUICK.with_changes(distillation=0.5)
    run = Trainer(model_for(data), data, recipe, teacher=teacher, high_res=high_res).fit()
    assert np.isfinite(run.history[-1]["loss"])
    assert next(teacher.parameters()).is_cuda


@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_logits_are_those_of_the_cpu(data, tta):
    model = model_for(data)
    found, expected = (
        predict_logits(model, data.test.images, device=device, tta=tta)
        for device in ("cuda", "cpu")
    )
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)
    assert next(model.parameters()).device.type == "cpu"


def test_bfloat16_is_close(data):
    model = model_for(data)
    found, expected = (
        predict_logits(model, data.test.images, device="cuda", precision=precision)
        for precision in ("bfloat16", "float32")
    )
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0.1)


def test_ensembles_predictions_and_temperatures_work_on_the_gpu(data):
    ensemble = medzoo.Ensemble([model_for(data), model_for(data)])
    images = data.test.images[:4]
    on_gpu, on_cpu = (medzoo.predict(ensemble, images, device=device) for device in ("cuda", "cpu"))
    for one, other in zip(on_gpu, on_cpu, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-3)
    assert medzoo.fit_temperature(ensemble, data.val, device="cuda") == pytest.approx(
        medzoo.fit_temperature(ensemble, data.val, device="cpu"), rel=0.05
    )


def test_images_on_the_gpu_are_not_copied_back(data):
    logits = predict_logits(model_for(data), data.test.images.cuda(), device="cuda")
    assert logits.device.type == "cpu"
    assert logits.shape == (56, 7)
