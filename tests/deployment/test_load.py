"""A name or a file becomes a model, in Python and on the command line."""

import hashlib
import json
import sys

import numpy as np
import onnx
import pytest
from PIL import Image

import medzoo
from medzoo.cli import main
from medzoo.deployment import CompiledModel, load_model
from medzoo.deployment.description import Description
from medzoo.errors import WeightsError
from medzoo.spec import ModelSpec
from tests.deployment.networks import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model as an .onnx and a .safetensors file, and an image."""
    folder = tmp_path_factory.mktemp("models")
    model = tiny_model("simple_cnn").eval()
    medzoo.export(model, folder / "model.onnx")
    medzoo.save_weights(model, folder / "model.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    return folder


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "path"])
def test_files_give_the_model_that_was_saved(kind, folder, tiny):
    image = folder / "image.png"
    weights, graph = (kind(folder / f"model.{suffix}") for suffix in ("safetensors", "onnx"))
    assert isinstance(load_model(graph), CompiledModel)
    expected = medzoo.predict(weights, image)
    found = medzoo.predict(graph, image)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    reports = [medzoo.evaluate(one, tiny.test, resamples=0) for one in (weights, graph)]
    assert reports[0].auc == pytest.approx(reports[1].auc)
    with pytest.raises(ValueError, match="CompiledModel has no final feature map"):
        medzoo.explain(graph, image)


def test_a_model_is_returned_as_it_is():
    model = tiny_model("simple_cnn")
    assert load_model(model) is model


def test_the_suffix_may_be_in_upper_case(folder):
    content = (folder / "model.onnx").read_bytes()
    (folder / "UPPER.ONNX").write_bytes(content)
    assert load_model(folder / "UPPER.ONNX").num_classes == 7


def test_what_cannot_be_loaded_is_named(folder, tmp_path):
    with pytest.raises(WeightsError, match=r"cannot read '.*gone\.onnx': No such file"):
        load_model(tmp_path / "gone.onnx")
    content = (folder / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=r"cannot load '.*cut\.onnx' as a model"):
        load_model(tmp_path / "cut.onnx")
    foreign = onnx.load_model_from_string(content)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(WeightsError, match=r"foreign\.onnx'.*does not say how to prepare its inp"):
        load_model(tmp_path / "foreign.onnx")
    (tmp_path / "model.pth").write_bytes(b"x")
    for name in (tmp_path / "model.pth", "gone.pt2"):
        with pytest.raises(WeightsError, match=r"expected \.safetensors .* or \.onnx"):
            load_model(name)
    with pytest.raises(TypeError, match="threads='2'"):
        CompiledModel.from_file(folder / "model.onnx", threads="2")


def test_every_flipped_bit_is_refused(folder, tmp_path):
    content = (folder / "model.onnx").read_bytes()
    entry = content.index(b"medzoo_digest")
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped.onnx"
    for place in [*rng.integers(entry - 2, size=60), *range(entry + 15, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        with pytest.raises(WeightsError, match=r"flipped\.onnx.* does not have the digest"):
            load_model(path)


def test_the_digest_is_that_of_the_file_without_it(folder, tmp_path):
    """As the onnx package sees it; files without one are loaded, those of other tools included."""
    model = onnx.load(folder / "model.onnx")
    (digest,) = (one for one in model.metadata_props if one.key == "medzoo_digest")
    onnx.save(model, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (folder / "model.onnx").read_bytes()
    model.metadata_props.remove(digest)
    assert hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest() == digest.value
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    onnx.save(model, tmp_path / "without.onnx")
    assert load_model(tmp_path / "without.onnx").num_classes == 7
    model.metadata_props.append(digest)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(WeightsError, match=r"another program changed it .*'medzoo_digest'"):
        load_model(tmp_path / "changed.onnx")


def test_without_onnx_runtime_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'medzoo\[onnx\]'"):
        medzoo.predict(folder / "model.onnx", folder / "image.png")


def test_the_command_line_takes_exported_files(folder, tiny, tmp_path, capsys):
    model = str(folder / "model.onnx")
    assert main(["predict", model, str(folder / "image.png"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    expected = medzoo.predict(model, folder / "image.png")
    assert found["probabilities"] == pytest.approx(expected.probabilities)
    arrays = {}
    for name, split in tiny.splits.items():
        arrays |= {f"{name}_images": split.images.numpy(), f"{name}_labels": split.labels.numpy()}
    np.savez(tmp_path / "own.npz", **arrays)
    assert main(["evaluate", model, "--data", str(tmp_path / "own.npz"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["auc"] == pytest.approx(medzoo.evaluate(model, tiny.test, resamples=0).auc)
    assert main(["predict", str(tmp_path / "gone.onnx"), str(folder / "image.png")]) == 1
    assert "gone.onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "name", "value", "message"),
    [
        ("output", "temperature", 2.5, "output contradicts the spec"),
        ("output", "classes", ["a", "b"], "output contradicts the spec"),
        ("preparation", "std", [1.0, 1.0, 1.0], "preparation contradicts the spec"),
        ("preparation", "colour", "gray", "preparation contradicts the spec"),
        ("input", "shape", ["N", 3, 64, 64], "input contradicts the spec"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(
    folder, tmp_path, where, name, value, message
):
    def change(description):
        description[where][name] = value

    _write_description(folder / "model.onnx", tmp_path / "changed.onnx", change)
    with pytest.raises(WeightsError, match=rf"changed\.onnx.*{message}"):
        load_model(tmp_path / "changed.onnx")


@pytest.mark.parametrize(("part", "size"), [("classes", 6), ("size", 32)])
def test_a_description_that_contradicts_the_graph_is_refused(folder, tmp_path, part, size):
    def change(description):
        spec = description["spec"]
        if part == "size":
            spec["input"]["size"] = size
        else:
            spec |= {"classes": spec["classes"][:size], "num_classes": size, "dataset": None}
        again = Description(ModelSpec.from_dict(spec)).to_dict()
        description |= {key: again[key] for key in ("input", "preparation", "output")}

    _write_description(folder / "model.onnx", tmp_path / "changed.onnx", change)
    with pytest.raises(WeightsError, match=r"changed\.onnx.*graph maps .* but its description"):
        load_model(tmp_path / "changed.onnx")


def _write_description(path, target, change):
    graph = onnx.load_model_from_string(path.read_bytes())
    values = {entry.key: entry.value for entry in graph.metadata_props}
    description = json.loads(values["medzoo"])
    change(description)
    onnx.helper.set_model_props(graph, {"medzoo": json.dumps(description)})
    onnx.save(graph, target)
