"""`export_web`: what it writes, and what it refuses. Models in browsers are in test_demo.py."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import medzoo
from medzoo.cli import main
from medzoo.errors import WeightsError, WriteError
from medzoo.transforms import prepare_batch
from medzoo.web import Sample, export, export_web, page_files
from medzoo.web.folder import check_folder, write_folder
from medzoo.web.graph import half_weights
from medzoo.web.network import WebNetwork, check_image, web_network
from medzoo.web.runtime import NEEDED, pinned_version, runtime_files
from tests.deployment.networks import tiny_model


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """A folder that looks like onnxruntime-web."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in NEEDED["wasm"] + NEEDED["webgpu"]:
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def network():
    """A model that was not really exported, since that takes seconds."""
    return WebNetwork("models/tiny.0.onnx", b"a graph", "float16", 1e-6, (7, 7), [0.5, -0.5])


@pytest.fixture
def spared(monkeypatch, network):
    monkeypatch.setattr(export, "web_network", lambda name, model: network)


@pytest.fixture
def model():
    return tiny_model("simple_cnn", "pneumoniamnist")


# What is written


def test_a_page_is_written_as_a_whole(tmp_path, runtime, spared, model, network):
    folder = tmp_path / "new" / "page"
    sample = Sample("one.png", b"picture", "A drawing", "tiny", "Drawn", pixelated=True)
    exported = export_web({"tiny": model}, folder, samples=[sample], runtime=runtime)
    about = json.loads((folder / "models.json").read_text())
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present == {*about["files"], "models.json"}
    assert exported.bytes == sum((folder / name).stat().st_size for name in present)
    (described,) = about["models"]
    assert described["name"] == "tiny"
    assert described["input"] == model.spec.input.to_dict()
    assert described["precision"] == "float16"
    assert (folder / described["file"]).read_bytes() == network.content
    assert described["bytes"] == len(network.content)
    assert about["samples"][0]["file"] == "samples/one.png"
    assert (folder / "samples" / "one.png").read_bytes() == b"picture"
    assert set(about["runtime"]) == {"wasm"}
    assert about["notice"] == "For research and teaching; not for clinical use."
    assert [path.name for path in folder.parent.iterdir()] == ["page"]


def test_the_page_loads_nothing_from_elsewhere(tmp_path, runtime, spared, model):
    export_web({"tiny": model}, tmp_path / "page", runtime=runtime, webgpu=True)
    index = (tmp_path / "page" / "index.html").read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', index)
    assert policy.startswith("default-src 'self'; script-src 'self' 'wasm-unsafe-eval'")
    assert "http" not in policy
    assert index.index("Content-Security-Policy") < index.index("<script")
    for path in (tmp_path / "page").rglob("*.js"):
        for module in re.findall(r'^(?:import|export) .*from "([^"]*)"', path.read_text(), re.M):
            assert (path.parent / module).is_file(), f"{path.name} imports {module}"
    assert not list((tmp_path / "page").glob("*_backend.js"))


def test_the_service_worker_has_the_version_of_the_content(tmp_path, runtime, spared, model):
    versions = []
    for name in ("one", "same", "other"):
        sample = Sample("a.png", name[:1].encode() if name != "same" else b"o", "t", "tiny", "c")
        export_web({"tiny": model}, tmp_path / name, samples=[sample], runtime=runtime)
        worker = (tmp_path / name / "sw.js").read_text()
        versions.append(re.search(r'^const VERSION = "(\w{16})";', worker, re.M)[1])
        offline = json.loads(re.search(r"^const FILES = (.*);", worker, re.M)[1])
        assert all((tmp_path / name / file).is_file() for file in offline)
        assert {"index.html", "models.json", "samples/a.png", "backend.js"} <= set(offline)
    assert versions[0] == versions[1]  # "one" and "same" have equal content; "other" begins alike

    changed = Sample("a.png", b"changed", "t", "tiny", "c")
    export_web({"tiny": model}, tmp_path / "changed", samples=[changed], runtime=runtime)
    assert versions[0] not in (tmp_path / "changed" / "sw.js").read_text()


def test_the_servers_page_has_no_code_for_browsers():
    names = set(page_files())
    assert not {"png.js", "decode.js", "sw.js"} & names


# Models


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["pneumoniamnist", "bloodmnist"])
def test_files_give_what_the_model_gives(dataset):
    model = tiny_model("simple_cnn", dataset)
    written = web_network("a model/with: odd name", model)
    assert re.fullmatch(r"models/a_model_with__odd_name\.[0-9a-f]{12}\.onnx", written.file)
    assert written.map_size == (14, 14)
    session = onnxruntime.InferenceSession(written.content)
    images = torch.randn(3, *model.spec.input.shape)
    ones = np.ones((1, 1, 14, 14), np.float32)
    (logits,) = session.run(None, {"images": images.numpy(), "scale": ones})
    with torch.no_grad():
        expected = model.eval()(images).numpy()
    np.testing.assert_allclose(logits, expected, atol=0.01)
    nothing = np.zeros((5, 1, 14, 14), np.float32)
    (logits,) = session.run(None, {"images": images[:1].numpy(), "scale": nothing})
    bias = model.head.fc.bias.detach().numpy()
    np.testing.assert_allclose(logits, np.tile(bias, (5, 1)), atol=1e-6)


@pytest.mark.slow
def test_weights_that_are_float16_lose_nothing():
    model = medzoo.create_model("simple_cnn.pneumoniamnist", pretrained=True)
    written = web_network("model", model)
    assert len(written.content) < 2.3e6
    assert written.difference < 1e-5
    (said,) = medzoo.predict(model, check_image()[None])
    assert written.ood_score == pytest.approx(said.ood_score, rel=1e-5)


@pytest.mark.slow
def test_scales_of_a_map_do_not_change_how_unfamiliar_an_image_is():
    model = medzoo.create_model("advanced_cnn.bloodmnist", pretrained=True)
    written = web_network("model", model)  # whose map is followed by layers that are scored, too
    session = onnxruntime.InferenceSession(written.content)
    images = prepare_batch(check_image()[None], model.spec.input).numpy()
    scale = np.random.default_rng(0).uniform(0, 2, (5, 1, *written.map_size)).astype(np.float32)
    scale[0] = 1
    logits, scores = session.run(None, {"images": images, "scale": scale})
    assert logits.shape == (5, 8)
    assert np.ptp(logits, axis=0).min() > 0.01
    assert scores == pytest.approx([written.ood_score], rel=1e-5)


def graph_of(weights):
    """An ONNX file that multiplies by weights."""
    tensor = onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, length])
        for name, length in zip(("images", "logits"), weights.shape, strict=True)
    ]
    node = onnx.helper.make_node("MatMul", ["images", "weights"], ["logits"])
    graph = onnx.helper.make_graph([node], "graph", values[:1], values[1:], [tensor])
    opsets = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return model.SerializeToString()


def test_weights_that_float16_cannot_hold_stay_float32():
    weights = np.full((16, 8), 1e6)
    assert half_weights(graph_of(weights), {}) is None


def test_factors_of_a_normalisation_are_kept_beside_float16_weights():
    generator = np.random.default_rng(0)
    original = generator.standard_normal((16, 8)).astype(np.float16).astype(np.float32)
    weights = original * generator.uniform(0.1, 9, (16, 1)).astype(np.float32)
    images = generator.standard_normal((1, 16)).astype(np.float32)
    differences = []
    for known in ({}, {"weights": original}):
        content = half_weights(graph_of(weights), known)
        session = onnxruntime.InferenceSession(content)
        (logits,) = session.run(None, {"images": images})
        differences.append(abs(logits - images @ weights).max())
    assert differences[0] > 1e-3
    assert differences[1] < 1e-5


@pytest.mark.slow
def test_an_ensemble_has_no_map():
    members = [tiny_model("simple_cnn", "pneumoniamnist") for _ in range(2)]
    assert web_network("two", medzoo.Ensemble(members)).map_size is None


# Folders


def test_foreign_files_are_never_touched(tmp_path, runtime, spared, model):
    (tmp_path / "thesis.txt").write_text("work of years")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"such as 'thesis.txt'; give a folder that does not"):
            export_web({"tiny": model}, tmp_path, runtime=runtime, overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "work of years"


def test_an_earlier_page_is_replaced_when_asked(tmp_path, runtime, spared, model):
    folder = tmp_path / "page"
    sample = Sample("old.png", b"old", "t", "tiny", "c")
    export_web({"tiny": model}, folder, samples=[sample], runtime=runtime)
    with pytest.raises(ValueError, match=r"already has a page; .* --overwrite"):
        export_web({"tiny": model}, folder, runtime=runtime)
    export_web({"tiny": model}, folder, runtime=runtime, overwrite=True)
    assert not (folder / "samples").exists()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"such as 'notes.txt'"):
        export_web({"tiny": model}, folder, runtime=runtime, overwrite=True)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "page").write_text("a file")
    with pytest.raises(ValueError, match="is a file"):
        check_folder(tmp_path / "page")
    with pytest.raises(WriteError):
        check_folder(tmp_path / "page" / "inside")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, error):
    folder = tmp_path / "page"
    write_folder(folder, {"models.json": b'{"files": []}'})

    class Content(dict):
        def items(self):
            yield "index.html", b"new"
            raise error

    with pytest.raises(WriteError if isinstance(error, OSError) else KeyboardInterrupt):
        write_folder(folder, Content())
    assert [path.name for path in tmp_path.rglob("*")] == ["page", "models.json"]


# Arguments


@pytest.mark.parametrize(
    ("models", "error", "reason"),
    [
        ([], ValueError, "there are no models"),
        ({}, ValueError, "there are no models"),
        (["a.safetensors", "b/a.safetensors"], ValueError, "two models are called 'a'"),
        ([3], TypeError, "models has a int, expected names or weights files"),
        ("simple_cnn.pneumonia", WeightsError, "did you mean 'simple_cnn.pneumoniamnist'"),
    ],
)
def test_models_that_do_not_fit(tmp_path, runtime, models, error, reason):
    with pytest.raises(error, match=reason):
        export_web(models, tmp_path / "page", runtime=runtime)
    assert not (tmp_path / "page").exists()


def test_a_model_needs_a_name(tmp_path, model):
    with pytest.raises(TypeError, match="has no name"):
        export_web(model, tmp_path / "page")


@pytest.mark.parametrize(
    ("file", "of", "reason"),
    [
        ("../a.png", "tiny", "use letters"),
        ("a.png", "other", "which is not among the models: tiny"),
    ],
)
def test_samples_that_do_not_fit(tmp_path, runtime, model, file, of, reason):
    sample = Sample(file, b"", "t", of, "c")
    with pytest.raises(ValueError, match=reason):
        export_web({"tiny": model}, tmp_path / "page", samples=[sample], runtime=runtime)


# onnxruntime-web


def test_without_npm_the_error_says_both_ways(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportError, match=r"install Node.js .* or unpack .* runtime="):
        runtime_files()


def test_an_npm_that_fails_is_one_clear_error(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho npm error: no network >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ImportError, match=r"npm cannot install .*: npm error: no network; check"):
        runtime_files()


@pytest.mark.parametrize("place", [".", "dist", "node_modules/onnxruntime-web/dist"])
def test_a_folder_with_the_files_is_enough(tmp_path, place):
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name in NEEDED["wasm"]:
        (tmp_path / place / name).write_text(name)
    assert set(runtime_files(tmp_path)) == set(NEEDED["wasm"])
    with pytest.raises(FileNotFoundError, match=r"does not have ort.webgpu.min.mjs"):
        runtime_files(tmp_path, webgpu=True)


def test_another_version_is_refused(tmp_path):
    (tmp_path / "dist").mkdir()
    (tmp_path / "package.json").write_text('{"name": "onnxruntime-web", "version": "1.0.0"}')
    with pytest.raises(ValueError, match=rf"1.0.0, expected {pinned_version()}"):
        runtime_files(tmp_path)


def test_the_lock_file_names_no_registry():
    lock = export.files("medzoo.web").joinpath("runtime", "package-lock.json").read_text()
    assert "resolved" not in lock
    packages = json.loads(lock)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)


# The command


def test_the_command_writes_a_page(tmp_path, runtime, spared, capsys):
    command = ["export", "--web", str(tmp_path / "page"), "simple_cnn.pneumoniamnist"]
    command += ["simple_cnn.breastmnist", "--runtime", str(runtime)]
    assert main([*command, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in written["models"]] == command[3:5]
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert "python -m http.server" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--web", "page", "simple_cnn.breastmnist", "--int8"], "--int8 is not for --web"),
        (["simple_cnn.breastmnist", "a.onnx", "--overwrite"], "--overwrite needs --web"),
        (["simple_cnn.breastmnist", "a.onnx", "b.onnx"], "unexpected b.onnx"),
    ],
)
def test_options_that_do_not_fit(tmp_path, monkeypatch, capsys, arguments, reason):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == 1
    assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
