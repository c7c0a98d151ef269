"""Evaluation and prediction on a GPU, compared with a CPU."""

import pytest
import torch

import medzoo
from medzoo.inference import predict_logits
from tests.gpu.networks import small_model

PUBLISHED = "advanced_cnn.dermamnist"

pytestmark = pytest.mark.usefixtures("full_precision")


@pytest.fixture(scope="module")
def many():
    return medzoo.synthetic("dermamnist", n_train=56, n_val=56, n_test=448)


def test_reports_are_those_of_the_cpu(many, device):
    model = medzoo.create_model(PUBLISHED, pretrained=True)
    found, expected = (
        medzoo.evaluate(model, many.test, resamples=0, device=where) for where in (device, "cpu")
    )
    assert found.acc == expected.acc
    assert found.auc == pytest.approx(expected.auc, abs=1e-3)
    assert found.ece == pytest.approx(expected.ece, abs=1e-3)


@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_probabilities_are_those_of_the_cpu(many, device, tta):
    model = medzoo.create_model(PUBLISHED, pretrained=True)
    images = many.test.images[:64]
    found, expected = (
        predict_logits(model, images, device=where, tta=tta).softmax(1) for where in (device, "cpu")
    )
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    assert next(model.parameters()).device.type == "cpu"


def test_bfloat16_is_close(data, device):
    model = medzoo.create_model(PUBLISHED, pretrained=True)
    found, expected = (
        predict_logits(model, data.test.images, device=device, precision=precision).softmax(1)
        for precision in ("bfloat16", "float32")
    )
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    assert not torch.equal(found, expected)


def test_a_compiled_network_gives_the_same_logits(data, cuda):
    model = medzoo.create_model(PUBLISHED, pretrained=True)
    expected = predict_logits(model, data.test.images, device=cuda)
    found = predict_logits(torch.compile(model), data.test.images, device=cuda)
    torch.testing.assert_close(found, expected, atol=1e-2, rtol=1e-3)


def test_ensembles_predictions_and_temperatures_work_on_the_gpu(data, device):
    ensemble = medzoo.Ensemble([PUBLISHED, medzoo.create_model(PUBLISHED, pretrained=True)])
    images = data.test.images[:4]
    on_gpu, on_cpu = (medzoo.predict(ensemble, images, device=where) for where in (device, "cpu"))
    for one, other in zip(on_gpu, on_cpu, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-3)
    assert medzoo.fit_temperature(ensemble, data.val, device=device) == pytest.approx(
        medzoo.fit_temperature(ensemble, data.val, device="cpu"), rel=0.05
    )


def test_images_may_be_on_the_gpu(data, device):
    model = medzoo.create_model(PUBLISHED, pretrained=True)
    images = data.test.images
    found, expected = (
        predict_logits(model, where, device=device) for where in (images.to(device), images)
    )
    assert found.device.type == "cpu"
    assert torch.equal(found, expected)


def test_memory_does_not_grow_with_the_number_of_images(many, cuda):
    model = small_model(many)

    def peak(count):
        images = many.test.images[:32].repeat(count // 32, 1, 1, 1)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        predict_logits(model, images, device=cuda, batch_size=32)
        return torch.cuda.max_memory_allocated() - before

    peak(64)  # kernels are tuned
    assert peak(3200) - peak(320) < 2**20
    assert torch.cuda.memory_allocated() < 2**30
