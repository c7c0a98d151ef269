"""Exported files: they compute what the model does, and a failed export leaves no file."""

import importlib
import json
import os
import re
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import medzoo
from medzoo.cli import main
from medzoo.deployment import CompiledModel, Description
from medzoo.inference import predict_logits
from tests.deployment.networks import TINY, tiny_model

exporting = importlib.import_module("medzoo.deployment.export")
quantising = importlib.import_module("medzoo.deployment.quantise")
COUNTS = (1, 3, 17)
NAMES = [*TINY, "timm/test_resnet"]


@pytest.fixture(scope="module")
def images():
    """Real images where there are any; made-up ones otherwise."""
    root = os.environ.get("MEDZOO_DATA", "")
    if Path(root, "retinamnist.npz").is_file():
        return medzoo.load_dataset("retinamnist", root=root, download=False).val.images
    return medzoo.synthetic("retinamnist", n_train=8, n_val=64, n_test=8).val.images


@pytest.fixture(scope="module")
def written(images, tmp_path_factory):
    """A function from a name to a model and the .onnx file made of it, once."""

    @cache
    def write(name):
        model = tiny_model(name, "retinamnist").eval()
        sets = medzoo.ConformalSpec("lac", 0.9, (0.3, 0.2, 0.2, 0.2, 0.1), 120)
        model.spec = replace(model.spec, conformal=sets)
        path = tmp_path_factory.mktemp("export") / "new folder" / "model.onnx"
        return model, medzoo.export(model, path, images=images)

    return write


@pytest.fixture(scope="module")
def model(written):
    return written("simple_cnn")[0]


@pytest.fixture(scope="module")
def exported(written):
    return written("simple_cnn")[1]


def metadata_of(path):
    return onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map["medzoo"]


def versions(path):
    return [one.version for one in onnx.load(path).opset_import if not one.domain]


def agree_on(images, model, run):
    """Logits of 1, 3 and 17 images are the model's."""
    for count in COUNTS:
        found, expected = (predict_logits(m, images[:count], device="cpu") for m in (run, model))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_can_be_exported_as_onnx(name, written, images):
    model, exported = written(name)
    assert exported.difference < 1e-4
    assert exported.bytes == exported.path.stat().st_size
    agree_on(images, model, CompiledModel(exported.path.read_bytes()))


@pytest.mark.parametrize("name", ["efficientnet", "timm/test_resnet"])
def test_a_model_can_be_exported_as_a_program(name, images, tmp_path):
    model = tiny_model(name, "retinamnist")
    exported = medzoo.export(model, str(tmp_path / "model.pt2"), images=images)
    assert all(module.training for module in model.modules())
    assert exported.opset is None
    assert exported.bytes == exported.path.stat().st_size
    extra = {"medzoo.json": ""}
    module = torch.export.load(exported.path, extra_files=extra).module()
    assert Description.from_json(extra["medzoo.json"]) == Description.of(model)

    def run(batch):
        return module(batch)

    run.spec = model.spec
    agree_on(images, model, run)
    assert not re.search(rb"\w\.py\b", exported.path.read_bytes()), "names files of this machine"


def test_an_ensemble_with_temperatures_and_sizes_can_be_exported(tmp_path, images):
    members = [tiny_model("simple_cnn", "retinamnist", size=size) for size in (28, 32)]
    members[1].temperature = 2.0
    ensemble = medzoo.Ensemble(members)
    exported = medzoo.export(ensemble, tmp_path / "model.onnx", images=images, opset=21)
    assert versions(exported.path) == [21] == [exported.opset]
    for one in (exported, medzoo.export(ensemble, tmp_path / "model.pt2", images=images)):
        assert one.difference < 1e-4
    agree_on(images, ensemble, exported.model)


def test_the_onnx_file_is_valid_and_says_only_what_it_should(exported):
    onnx.checker.check_model(exported.path, full_check=True)
    assert versions(exported.path) == [18] == [exported.opset]
    assert not re.search(rb"\w\.py\b", exported.path.read_bytes()), "names files of this machine"


def test_metadata_tell_all_that_a_stranger_needs(model, exported):
    text = metadata_of(exported.path)
    description = Description.of(model)
    assert Description.from_json(text) == description
    values = json.loads(text)
    assert values["input"] == {"name": "images", "dtype": "float32", "shape": ["N", 3, 28, 28]}
    assert values["output"]["classes"] == list(model.dataset.classes)
    assert values["output"]["activation"] == "softmax"
    assert values["spec"]["dataset"]["licence"] == model.dataset.licence
    assert values["spec"]["conformal"]["thresholds"] == [0.3, 0.2, 0.2, 0.2, 0.1]
    assert "probability is at least its threshold" in values["output"]["prediction_set"]
    given = values["preparation"]
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    prepared = (pixels * given["scale"] - given["mean"]) / given["std"]
    expected = medzoo.create_transform(model)(pixels).permute(1, 2, 0)
    np.testing.assert_allclose(prepared, expected, atol=1e-5)


def test_labels_gray_images_and_temperature_are_described():
    model = tiny_model("simple_cnn", "chestmnist")
    model.temperature = 1.5
    values = Description.of(model).to_dict()
    assert values["preparation"]["colour"] == "gray"
    assert values["output"]["activation"] == "sigmoid"
    assert values["output"]["temperature"] == 1.5


def test_classes_without_names_are_numbered_as_predict_does():
    model = tiny_model("simple_cnn")
    model.reset_classifier(3)
    description = Description.of(model)
    assert description.to_dict()["output"]["classes"] == ["0", "1", "2"]
    assert description.spec.classes == ()
    assert Description.from_json(json.dumps(description.to_dict())) == description


def test_an_opset_that_the_exporter_falls_back_from_is_refused(
    model, exported, tmp_path, monkeypatch
):
    fallback = SimpleNamespace(model_proto=onnx.load(exported.path))
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: fallback)
    with pytest.raises(ValueError, match=r"opset=99 is unknown.*wrote 18 instead; give opset=18"):
        medzoo.export(model, tmp_path / "model.onnx", opset=99)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("model.pth", {}, r"cannot infer the format of '.*model\.pth'; name it \*\.onnx"),
        ("model", {}, r"name it \*\.onnx for ONNX, or \*\.pt2 for"),
        ("model.onnx", {"opset": 17}, r"opset=17 must be a whole number, at least 18"),
        ("model.onnx", {"opset": 0}, r"opset=0 must be"),
        ("model.onnx", {"opset": True}, r"opset=True must be"),
        ("model.onnx", {"precision": "int4"}, r"unknown precision 'int4'"),
        ("model.onnx", {"precision": "int8"}, r"needs images.*give images=data\.train"),
        ("model.onnx", {"images": torch.zeros(2, 3, 28, 28)}, r"images is torch\.float32"),
        ("model.pt2", {"opset": 18}, r"opset=18 is for ONNX, and '.*model\.pt2' is not"),
        ("model.pt2", {"precision": "int8"}, r"precision='int8' is for ONNX"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(model, tmp_path, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        medzoo.export(model, tmp_path / name, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("before", [None, b"an older file"])
@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_a_file_that_computes_something_else_is_not_written(
    model, exported, tmp_path, monkeypatch, name, before
):
    other = tiny_model("simple_cnn", "retinamnist").eval()
    torch.nn.init.constant_(other.get_classifier().bias, 3.0)
    content = exported.path.read_bytes()
    monkeypatch.setattr(exporting, "export_onnx", lambda model, **_: content)
    write = exporting.export_program
    monkeypatch.setattr(exporting, "export_program", lambda _: write(model))
    if before:
        (tmp_path / name).write_bytes(before)
    with pytest.raises(ValueError, match=r"simple_cnn does not compute what the model does"):
        medzoo.export(other, tmp_path / name)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({name: before} if before else {})


def test_not_a_number_is_no_agreement(model, exported, tmp_path, monkeypatch):
    broken = tiny_model("simple_cnn", "retinamnist").eval()
    torch.nn.init.constant_(broken.get_classifier().bias, torch.nan)
    monkeypatch.setattr(exporting, "export_onnx", lambda *_, **__: exported.path.read_bytes())
    with pytest.raises(ValueError, match=r"logits differ by nan"):
        medzoo.export(broken, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_int8_keeps_the_accuracy_of_trained_weights(data_root, tmp_path):
    if "simple_cnn.dermamnist" not in medzoo.list_models(pretrained=True):
        pytest.skip("needs published weights, and none are in this installation")
    model = medzoo.create_model("simple_cnn.dermamnist", pretrained=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = medzoo.load_dataset("dermamnist", root=data_root, download=False)
    images = data.train.images[::50]
    with pytest.warns(UserWarning, match="which images are unfamiliar"):
        exported = medzoo.export(model, tmp_path / "model.onnx", precision="int8", images=images)
    assert 1e-4 < exported.difference < 1
    assert exported.bytes < 0.3 * 4 * sum(p.numel() for p in model.parameters())
    some = replace(data.val, images=data.val.images[::4], labels=data.val.labels[::4])
    before, after = (medzoo.evaluate(m, some, resamples=0) for m in (model, exported.model))
    print(f"validation ACC {before.acc:.4f}, in 8-bit integers {after.acc:.4f}")
    assert before.acc > 0.7
    assert after.acc == pytest.approx(before.acc, abs=0.02)
    assert after.auc == pytest.approx(before.auc, abs=0.01)


@pytest.fixture(scope="module")
def own():
    return medzoo.synthetic("retinamnist", n_train=40, n_val=20, n_test=5)


@pytest.fixture
def command(model, own, tmp_path):
    """``medzoo export`` of a weights file, and a data set's file to go with it."""
    arrays = {}
    for name, split in own.splits.items():
        arrays[f"{name}_images"] = split.images.permute(0, 2, 3, 1).numpy()
        arrays[f"{name}_labels"] = split.labels.numpy().astype(np.uint8)[:, None]
    np.savez(tmp_path / "own.npz", **arrays)
    weights = medzoo.save_weights(model, tmp_path / "weights.safetensors")
    return ["export", str(weights), "--dataset", str(tmp_path / "own.npz")]


def test_the_command_scores_model_and_file_on_the_validation_split(
    command, model, own, tmp_path, capsys
):
    out = tmp_path / "model.pt2"
    assert main([*command, str(out), "--check"]) == 0
    printed = capsys.readouterr().out
    acc = medzoo.evaluate(model, own.val, resamples=0).acc
    assert printed.count(f"ACC {acc:.4f}") == 2
    assert "model.pt2: float32, torch.export" in printed
    assert out.is_file()


def test_the_command_calibrates_on_the_training_split(
    command, exported, own, tmp_path, capsys, monkeypatch
):
    seen = []
    quantise = exporting.quantise

    def spied(content, description, images, **arguments):
        seen.append(images)
        return quantise(content, description, images, **arguments)

    monkeypatch.setattr(exporting, "quantise", spied)
    monkeypatch.setattr(quantising, "needs_reduced_range", lambda: False)
    content = exported.path.read_bytes()  # of the same model, as it is checked to be
    monkeypatch.setattr(exporting, "export_onnx", lambda model, **_: content)
    out = tmp_path / "model.onnx"
    assert main([*command, str(out), "--int8", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert torch.equal(seen[0], own.train.images)
    tensors = [onnx.numpy_helper.to_array(one) for one in onnx.load(out).graph.initializer]
    weights = [one for one in tensors if one.dtype == np.int8 and one.ndim == 4]
    assert weights
    assert all(np.abs(one.astype(int)).max() <= 64 for one in weights), "more than 7 bits"
    compiled = CompiledModel(out.read_bytes())
    assert (values["precision"], compiled.precision) == ("int8", "int8")
    assert values["file"]["val_acc"] == medzoo.evaluate(compiled, own.val, resamples=0).acc
    assert values["model"].keys() == values["file"].keys()


def test_the_command_explains_a_wrong_suffix(command, tmp_path, capsys):
    assert main([*command[:2], str(tmp_path / "model.h5")]) == 1
    assert "model.h5 must end in .onnx or .pt2" in capsys.readouterr().err


def test_the_description_of_a_result_is_json(exported):
    values = exported.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert replace(exported, model=None) == exported
