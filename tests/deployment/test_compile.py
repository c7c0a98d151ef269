"""Models compiled for ONNX Runtime: they agree, are kept, and refuse what does not fit."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import medzoo
from medzoo.deployment import CompiledModel, Description
from medzoo.deployment.cache import cache_path
from medzoo.deployment.quantise import better_in_float32
from medzoo.inference import predict_logits
from tests.deployment.networks import tiny_model

for package in ("onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=f"needs {package}: pip install 'medzoo[onnx]'")
onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'medzoo[onnx]'")
compiling = importlib.import_module("medzoo.deployment.compile")
DIGEST = 64


@pytest.fixture(scope="module")
def model():
    model = tiny_model("advanced_cnn").eval()
    sets = medzoo.ConformalSpec("aps", 0.9, (0.6,), 100)
    model.spec = replace(model.spec, conformal=sets)
    return model


@pytest.fixture(scope="module")
def compiled(model):
    return medzoo.compile(model)


@pytest.fixture(scope="module")
def quantised(model, tiny, compiled):
    return medzoo.compile(model, precision="int8", calibration=tiny.train)


@pytest.fixture(scope="module")
def content(model, compiled):
    """The ONNX file that the cache holds behind `compiled`."""
    return cache_path(model, Description.of(model)).read_bytes()[DIGEST:]


def never(*_):
    pytest.fail("the model was made again, though the cache has it")


def logits_of(model, count=5, size=28):
    images = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return model(images)


def test_a_compiled_model_computes_the_same_for_any_number_of_images(model, compiled):
    for count in (1, 2, 5):
        torch.testing.assert_close(
            logits_of(compiled, count), logits_of(model, count), atol=1e-4, rtol=0
        )


def test_a_compiled_model_says_what_the_model_says(model, compiled, quantised):
    for one, precision in ((compiled, "float32"), (quantised, "int8")):
        assert one.architecture == "advanced_cnn"
        assert one.dataset == model.dataset
        assert one.num_classes == 7
        assert one.precision == precision
        assert one.spec == model.spec == medzoo.spec_of(one)
        assert precision in repr(one)


def test_it_is_evaluated_and_predicts_like_a_module(model, compiled, tiny):
    ours, theirs = (medzoo.evaluate(m, tiny.test, resamples=0) for m in (compiled, model))
    assert ours.acc == theirs.acc
    assert ours.auc == pytest.approx(theirs.auc)
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    ours, theirs = (medzoo.predict(m, image) for m in (compiled, model))
    assert ours.label == theirs.label
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)


def test_int8_stays_close_and_computes_in_integers(model, quantised, tiny):
    expected = predict_logits(model, tiny.test.images)
    found = predict_logits(quantised, tiny.test.images)
    assert 0 < (found - expected).abs().mean() < 0.1 * expected.std()
    assert medzoo.predict(quantised, tiny.test.images[0]).label in model.dataset.classes


def test_gates_classifier_and_lone_batch_norms_stay_in_float32(model, content):
    nodes = {node.name: node for node in onnx.load_model_from_string(content).graph.node}
    kinds = [nodes[name].op_type for name in better_in_float32(content)]
    convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    gates = sum(name.endswith(("fc1", "fc2")) for name, _ in model.named_modules())
    assert kinds.count("Conv") == gates > 0
    assert kinds.count("Conv") < convolutions
    assert kinds.count("Gemm") == 1
    assert "BatchNormalization" in kinds


def test_the_second_call_takes_it_from_the_cache(model, compiled, quantised, tiny, monkeypatch):
    monkeypatch.setattr(compiling, "export_onnx", never)
    monkeypatch.setattr(compiling, "quantise", never)
    assert torch.equal(logits_of(medzoo.compile(model)), logits_of(compiled))
    again = medzoo.compile(model, precision="int8", calibration=tiny.train)
    assert torch.equal(logits_of(again), logits_of(quantised))


@pytest.mark.parametrize("damage", [b"", b"x" * 200, None], ids=["empty", "garbage", "cut"])
def test_a_damaged_file_in_the_cache_is_made_again(model, compiled, content, damage, monkeypatch):
    slot = cache_path(model, Description.of(model))
    whole = slot.read_bytes()
    slot.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    calls = []
    monkeypatch.setattr(compiling, "export_onnx", lambda model, **_: calls.append(model) or content)
    assert torch.equal(logits_of(medzoo.compile(model)), logits_of(compiled))
    assert calls == [model]
    assert slot.read_bytes() == whole


def test_whatever_changes_the_result_changes_its_place_in_the_cache(model, tiny, monkeypatch):
    def place(images=None):
        return cache_path(model, Description.of(model), images)

    places = [place(), place(tiny.train.images), place(tiny.test.images)]
    assert place() == places[0]
    with monkeypatch.context() as patch:
        patch.setattr("medzoo.deployment.cache._version", lambda package: "0")
        places.append(place())
    with monkeypatch.context() as patch:
        other = replace(model.spec, input=replace(model.spec.input, std=(1.0, 1.0, 1.0)))
        patch.setattr(model, "spec", other)
        places.append(place())
    with torch.no_grad():
        weight = next(model.parameters())
        before = weight.clone()
        weight += 1
        places.append(place())
        weight.copy_(before)
    assert len(set(places)) == len(places)


def test_layers_of_ones_own_are_not_cached(model):
    class Own(nn.Module):
        pass

    whole = nn.Sequential(model, Own())
    assert cache_path(whole, Description.of(model)) is None


def test_a_cache_that_cannot_be_written_does_no_harm(
    model, compiled, content, monkeypatch, tmp_path
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(compiling, "export_onnx", lambda model, **_: content)
    assert torch.equal(logits_of(medzoo.compile(model)), logits_of(compiled))


def test_a_graph_that_computes_something_else_is_refused(content, monkeypatch):
    monkeypatch.setattr(compiling, "export_onnx", lambda model, **_: content)
    other = tiny_model("advanced_cnn").eval()
    nn.init.ones_(other.get_classifier().bias)
    with pytest.raises(ValueError, match=r"advanced_cnn does not compute what the model does"):
        medzoo.compile(other, cache=False)


def test_what_is_in_a_wrapper_is_compiled_and_what_acts_beside_it_is_refused(model, compiled):
    assert torch.equal(logits_of(medzoo.compile(nn.DataParallel(model))), logits_of(compiled))
    halved = nn.Sequential(model, nn.Tanh())
    for one in (halved, nn.DataParallel(halved)):
        with pytest.raises(ValueError, match=r"a model and also Tanh.*give spec="):
            medzoo.compile(one)
    found = logits_of(medzoo.compile(halved, spec=model.spec, cache=False))
    torch.testing.assert_close(found, logits_of(halved), atol=1e-4, rtol=0)


def test_threads(model, compiled):
    assert compiled.threads == torch.get_num_threads()
    assert medzoo.compile(model, threads=3).threads == 3
    for threads in (0, -1):
        with pytest.raises(ValueError, match=r"threads=.* must be a whole number of at least 1"):
            medzoo.compile(model, threads=threads)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, r"give calibration=data\.train"),
        (torch.zeros(4, 3, 28, 28), r"calibration is torch\.float32 \(4, 3, 28, 28\)"),
        (torch.zeros(3, 28, 28, dtype=torch.uint8), r"expected a split"),
        (torch.zeros(0, 3, 28, 28, dtype=torch.uint8), r"no images; give a few hundred"),
        (torch.zeros(4, 5, 28, 28, dtype=torch.uint8), r"cannot convert 5-channel images"),
    ],
)
def test_calibration_that_does_not_fit_is_refused(model, calibration, message):
    with pytest.raises(ValueError, match=message):
        medzoo.compile(model, precision="int8", calibration=calibration)


def test_arguments_of_a_wrong_type_are_refused(model, compiled):
    images = np.zeros((4, 3, 28, 28), np.uint8)
    with pytest.raises(TypeError, match=r"calibration is ndarray, expected a split"):
        medzoo.compile(model, precision="int8", calibration=images)
    with pytest.raises(TypeError, match=r"cannot compile or export a CompiledModel"):
        medzoo.compile(compiled)
    # Without modules in it, its code would not be part of the name in the cache.
    with pytest.raises(TypeError, match=r"cannot compile or export a function"):
        medzoo.compile(lambda images: images.mean((2, 3)), spec=model.spec)
    for threads in (1.5, True):
        with pytest.raises(TypeError, match=r"threads=.* must be a whole number of at least 1"):
            medzoo.compile(model, threads=threads)


def test_other_bad_arguments_are_refused(model, tiny):
    with pytest.raises(ValueError, match=r"calibration is for precision='int8'"):
        medzoo.compile(model, calibration=tiny.train)
    with pytest.raises(ValueError, match=r"unknown precision 'int9'.*int8"):
        medzoo.compile(model, precision="int9", calibration=tiny.train)
    with pytest.raises(ValueError, match=r"is torch\.float64.*give model\.float\(\)"):
        medzoo.compile(tiny_model("simple_cnn").double())
    with pytest.raises(ValueError, match=r"is on meta.*give model\.cpu\(\)"):
        medzoo.compile(tiny_model("simple_cnn").to("meta"))
    with pytest.raises(ValueError, match=r"no classifier"):
        medzoo.compile(medzoo.create_model("simple_cnn", num_classes=0))


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 1, 28, 28), (3, 28, 28), (0, 3, 28, 28)])
def test_images_of_another_shape_are_refused(compiled, shape):
    with pytest.raises(ValueError, match=r"compiled for images \(N, 3, 28, 28\)"):
        compiled(torch.zeros(shape))


def test_a_file_of_someone_else_is_refused(content):
    foreign = onnx.load_model_from_string(content)
    del foreign.metadata_props[:]
    with pytest.raises(ValueError, match="does not say how to prepare its input"):
        CompiledModel(foreign.SerializeToString())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named_with_its_cure(missing, monkeypatch):
    extra = importlib.import_module("medzoo.lazy")

    def without(module):
        if module.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return importlib.import_module(module)

    monkeypatch.setattr(extra, "import_module", without)
    with pytest.raises(ImportError, match=rf"package {missing} .*pip install 'medzoo\[onnx\]'"):
        medzoo.compile(tiny_model("simple_cnn"), cache=False)
