"""Which models are served, and under which names."""

import subprocess
import sys

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient

import medzoo
from medzoo.serving import Limits, create_app
from medzoo.serving.models import load_models
from tests.serving.conftest import LESION, PREDICT, XRAY, encoded, expected, said


@pytest.fixture
def weights(models, tmp_path):
    """A weights file."""
    return medzoo.save_weights(models[XRAY], tmp_path / "own.safetensors")


@pytest.mark.slow
def test_all_kinds_of_sources_get_a_name(models, weights, tmp_path):
    onnx = medzoo.export(models[XRAY], tmp_path / "graph.onnx").path
    loaded = load_models([XRAY, weights, str(onnx), f"{LESION}+efficientnet.dermamnist"])
    names = [XRAY, "own", "graph", f"{LESION}+efficientnet.dermamnist"]
    assert list(loaded) == names
    assert [loaded[name].description["name"] for name in names] == names
    assert loaded["own"].description["weights_sha256"] == [medzoo.files.sha256_of(weights)]
    assert loaded["graph"].unexplained


def test_names_can_be_given(models, weights):
    assert list(load_models(f"skin={LESION}")) == ["skin"]
    assert list(load_models({"a": models[XRAY], "b": str(weights)})) == ["a", "b"]


def test_a_file_may_have_an_equals_sign_or_a_plus_in_its_name(weights):
    for name in ("a=b.safetensors", "a+b.safetensors"):
        path = weights.with_name(name)
        path.write_bytes(weights.read_bytes())
        assert list(load_models([str(path)])) == [path.stem]


@pytest.mark.parametrize(
    ("models", "error", "reason"),
    [
        ([], ValueError, "no models"),
        ([XRAY, XRAY], ValueError, f"two models are called '{XRAY}'"),
        ({"a/b": XRAY}, ValueError, "part of an address"),
        ({"": XRAY}, ValueError, "part of an address"),
        ({1: XRAY}, TypeError, "expected text"),
        ([3], TypeError, "mapping"),
        (["simple_cnn.pneumonia"], Exception, "did you mean"),
        (["missing.safetensors"], medzoo.WeightsError, "missing.safetensors"),
    ],
)
def test_what_cannot_be_served_is_said(models, error, reason):
    with pytest.raises(error, match=reason):
        create_app(models)


def test_a_loaded_model_needs_a_name(models):
    with pytest.raises(TypeError, match="mapping"):
        create_app([models[XRAY]])


def test_a_backbone_is_refused():
    with pytest.raises(ValueError, match="no classifier"):
        create_app({"features": medzoo.create_model("simple_cnn", num_classes=0)})


@pytest.mark.slow
def test_a_compiled_model_answers_alike_and_can_be_explained(models):
    with TestClient(create_app(XRAY, compile=True)) as client:
        response = client.post(f"{PREDICT}?explain=true", content=encoded())
        prediction = response.json()["predictions"][0]
        assert said(prediction) == expected(models[XRAY], encoded())
        assert prediction["explanation"]["png"]
        assert client.get(f"/v2/models/{XRAY}").json()["platform"] == "medzoo_onnxruntime"


def test_it_can_be_mounted_in_another_application(app):
    outer = FastAPI()
    outer.mount("/tools/medzoo", app)
    client = TestClient(outer)  # which does not run the lifespan of what is mounted
    assert client.post(f"/tools/medzoo{PREDICT}", content=encoded()).status_code == 200
    assert client.get("/tools/medzoo", follow_redirects=False).status_code == 307
    assert "<!doctype html>" in client.get("/tools/medzoo/").text
    servers = client.get("/tools/medzoo/openapi.json").json()["servers"]
    assert servers == [{"url": "/tools/medzoo"}]


def test_models_are_described(client):
    answer = client.get("/v1/models").json()
    assert [one["name"] for one in answer["models"]] == [XRAY, LESION, "both"]
    one = client.get(f"/v1/models/{XRAY}").json()
    assert one == answer["models"][0]
    assert one["scores"]["auc"]["interval"][0] < one["scores"]["auc"]["value"]
    assert one["notice"] == answer["notice"]


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"max_batch": 0}, ValueError),
        ({"max_wait_ms": -1}, ValueError),
        ({"queue_size": 2.5}, TypeError),
        ({"max_body": True}, TypeError),
        ({"read_timeout": float("nan")}, ValueError),
        ({"max_images": 300}, ValueError),
        ({"max_body": 1 << 40}, ValueError),
    ],
)
def test_limits_are_checked(limits, error):
    with pytest.raises(error, match=next(iter(limits))):
        Limits(**limits)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ImportError, match=r"pip install 'medzoo\[serve\]'"):
        create_app(XRAY)


def test_importing_the_package_imports_neither_pytorch_nor_fastapi():
    code = (
        "import medzoo.serving, medzoo.web, sys; print({'torch', 'fastapi'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_model_leaves_processors_to_what_else_a_request_needs(monkeypatch):
    def threads(other_work):
        monkeypatch.setattr("medzoo.serving.models._OTHER_WORK", other_work)
        return load_models(XRAY)[XRAY].threads

    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert threads(other_work=1e6) == 1
    assert threads(other_work=0) == 8
    assert threads(other_work=1e-3) <= 7


def test_weights_are_in_the_layout_of_batches():
    network = load_models(XRAY)[XRAY].network
    weights = [one.weight for one in network.modules() if isinstance(one, torch.nn.Conv2d)]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)
