"""OpenVINO runs what ONNX Runtime does, and gives the same answers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import medzoo
from medzoo.deployment import CompiledModel
from medzoo.errors import WeightsError
from medzoo.inference import predict_logits
from tests.deployment.networks import tiny_model

for package in ("onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=f"needs {package}: pip install 'medzoo[onnx]'")
pytest.importorskip("openvino", reason="needs openvino: pip install 'medzoo[openvino]'")


@pytest.fixture(scope="module")
def model():
    return tiny_model("advanced_cnn").eval()


@pytest.fixture(scope="module")
def compiled(model):
    return medzoo.compile(model, backend="openvino", threads=1)


@torch.inference_mode()
def test_logits_are_those_of_the_network_for_any_number_of_images(model, compiled):
    assert compiled.spec == model.spec
    assert repr(compiled) == "CompiledModel(advanced_cnn, float32, openvino, threads=1)"
    generator = torch.Generator().manual_seed(1)
    for count in (1, 3, 70):
        images = torch.randn(count, 3, 28, 28, generator=generator)
        torch.testing.assert_close(compiled(images), model(images), atol=1e-4, rtol=1e-4)


def test_integers_are_those_of_onnx_runtime(model, tiny):
    one, other = (
        predict_logits(
            medzoo.compile(model, precision="int8", calibration=tiny.train, backend=backend),
            tiny.test.images,
        )
        for backend in ("onnxruntime", "openvino")
    )
    exact = predict_logits(model, tiny.test.images)
    rounding = (one - exact).abs().max()
    assert 0 < (one - other).abs().max() < rounding
    assert (other - exact).abs().max() < 2 * rounding


def test_predictions_evaluations_and_threads(model, compiled, tiny):
    images = tiny.test.images
    assert medzoo.evaluate(compiled, tiny.test, resamples=0).acc == (
        medzoo.evaluate(model, tiny.test, resamples=0).acc
    )
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: medzoo.predict(compiled, one), images[:16]))
    for one, expected in zip(found, medzoo.predict(model, images[:16]), strict=True):
        assert one.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_files_of_an_export_are_opened_and_others_refused(model, tmp_path):
    path = medzoo.export(model, tmp_path / "model.onnx").path
    images = torch.randn(2, 3, 28, 28)
    one, other = (
        CompiledModel.from_file(path, backend=backend)(images)
        for backend in ("onnxruntime", "openvino")
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"cannot load .*model\.onnx"):
        CompiledModel.from_file(path, backend="openvino")
    with pytest.raises(ValueError, match="openvino"):
        medzoo.compile(model, backend="openvin")
