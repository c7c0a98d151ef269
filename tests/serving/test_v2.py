"""The Open Inference Protocol, with the real client of Triton and with broken requests."""

import base64
import json
import time

import numpy as np
import pytest

import medzoo
from medzoo.serving.api.tensors import parse
from medzoo.serving.problems import Problem
from tests.serving.conftest import LESION, XRAY, encoded, picture
from tests.serving.test_problems import problem

INFER = f"/v2/models/{XRAY}/infer"


def probabilities(model, image):
    """What `predict` says, in the order of the classes."""
    given = medzoo.predict(model, image).probabilities
    return [given[name] for name in model.spec.class_names]


@pytest.fixture
def triton(address):
    client = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    with client.InferenceServerClient("{}:{}".format(*address)) as connected:
        yield connected


def pixels_input(array, **options):
    from tritonclient.http import InferInput

    tensor = InferInput("images", array.shape, "UINT8")
    tensor.set_data_from_numpy(array, **options)
    return tensor


def test_triton_finds_server_and_models(triton):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready(XRAY)
    assert triton.is_model_ready(XRAY, "1")
    assert not triton.is_model_ready("nothing")
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    described = triton.get_model_metadata(LESION)
    assert described["inputs"] == [
        {"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}
    ]
    assert described["outputs"][0] == {
        "name": "probabilities",
        "datatype": "FP32",
        "shape": [-1, 7],
    }


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_triton_gets_the_answers_of_predict_for_pixels(triton, models, binary, first):
    from tritonclient.http import InferRequestedOutput

    images = np.stack([np.asarray(picture(seed)) for seed in range(3)])
    wanted = [probabilities(models[LESION], image) for image in images]
    given = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if first else images
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("probabilities",)]
    tensor = pixels_input(given, binary_data=binary)
    answer = triton.infer(LESION, [tensor], outputs=outputs, request_id="7", model_version="1")
    np.testing.assert_allclose(answer.as_numpy("probabilities"), wanted, atol=1e-5)
    assert answer.get_response()["id"] == "7"
    assert answer.as_numpy("logits") is None
    both = triton.infer(LESION, [tensor])
    logits = both.as_numpy("logits").astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(softmax, wanted, atol=1e-5)


@pytest.mark.parametrize("binary", [True, False])
def test_triton_gets_the_answers_of_predict_for_files(triton, models, dicom, binary):
    from tritonclient.http import InferInput

    files = [encoded(), encoded(picture(5), "JPEG"), dicom]
    tensor = InferInput("images", [3], "BYTES")
    given = files if binary else [base64.b64encode(file) for file in files]
    tensor.set_data_from_numpy(np.array(given, dtype=object), binary_data=binary)
    answer = triton.infer(XRAY, [tensor]).as_numpy("probabilities")
    wanted = [probabilities(models[XRAY], file) for file in files]
    np.testing.assert_allclose(answer, wanted, atol=1e-5)


def test_triton_is_told_what_is_wrong(triton):
    from tritonclient.utils import InferenceServerException

    for model, array, reason in (
        ("nothing", np.zeros((1, 8, 8, 1), np.uint8), "unknown model"),
        (XRAY, np.zeros((1, 8, 8, 5), np.uint8), "1 to 4 channels"),
        (XRAY, np.zeros((1, 3, 8, 3), np.uint8), "may be"),
        (XRAY, np.zeros((9, 8, 8, 1), np.uint8), "at most 8"),
        (XRAY, np.zeros((8, 8), np.uint8), "expected [images"),
    ):
        with pytest.raises(InferenceServerException) as error:
            triton.infer(model, [pixels_input(array)])
        assert reason in error.value.message()


def request(**changes):
    """A request of one image of four pixels, with changes."""
    tensor = {"name": "images", "shape": [1, 2, 2, 1], "datatype": "UINT8", "data": [7] * 4}
    values = {"inputs": [tensor | changes.pop("tensor", {})]} | changes
    return json.dumps(values).encode()


def test_a_plain_request(client):
    answer = client.post(INFER, content=request(id="x")).json()
    assert answer["id"] == "x"
    assert answer["outputs"][0]["shape"] == [1, 2]
    assert sum(answer["outputs"][0]["data"]) == pytest.approx(1)


def test_parameters_that_change_no_answer_are_ignored(client):
    hints = {"priority": 1, "timeout": 1000, "content_type": "np"}
    body = request(parameters=hints, tensor={"parameters": {"content_type": "np"}})
    answer = client.post(INFER, content=body).json()
    assert answer == client.post(INFER, content=request()).json()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "nested"),
        (b"[]", "cannot be read"),
        (b'{"inputs": []}', "0 inputs, expected one"),
        (b'{"inputs": [1, 2]}', "2 inputs, expected one"),
        (b'{"inputs": {"name": 1}}', "cannot be read"),
        (request(id=3), "id must be text"),
        (request(tensor={"name": "x"}), "only input is 'images'"),
        (request(tensor={"datatype": "FP32"}), "UINT8 or BYTES"),
        (request(tensor={"datatype": ["x"]}), "UINT8 or BYTES"),
        (request(tensor={"data": [256]}), "from 0 to 255"),
        (request(tensor={"data": [1.5]}), "whole numbers"),
        (request(tensor={"data": ["a"]}), "whole numbers"),
        (request(tensor={"data": [[1], [1, 2]]}), "equal lists"),
        (request(tensor={"data": [[1], [2, 3, 4]]}), "equal lists"),
        (request(tensor={"data": [True, 2, 3, 4]}), "whole numbers"),
        (request(tensor={"data": [10**30, float("nan"), None, {}]}), "whole numbers"),
        (request(tensor={"data": "a"}), "must be a list"),
        (request(tensor={"data": None}), "must be a list"),
        (request(tensor={"shape": [2, 1, 1, 1]}), "does not fit"),
        (request(tensor={"shape": [-1, -1, 1, 1]}), "does not fit"),
        (request(tensor={"shape": [1 << 70, 1, 1, 1]}), "does not fit"),
        (request(tensor={"shape": "1"}), "does not fit"),
        (request(tensor={"shape": [True, 1, 1, 1]}), "does not fit"),
        (request(tensor={"datatype": "BYTES", "data": ["!"], "shape": [1]}), "base64"),
        (request(tensor={"datatype": "BYTES", "data": [1], "shape": [1]}), "base64"),
        (request(tensor={"datatype": "BYTES", "data": ["QUJD"], "shape": [1]}), "image 0"),
        (request(tensor={"parameters": {"binary_data_size": 5}}), "binary_data_size"),
        (request(tensor={"parameters": 5}), "cannot be read"),
        (request(outputs=[{"name": "labels"}]), "probabilities and logits"),
        (request(outputs=[{"name": ["a"]}]), "cannot be read"),
        (
            request(outputs=[{"name": "logits", "parameters": {"classification": 2}}]),
            "classification",
        ),
        (request(outputs=[{"name": "logits", "parameters": {"binary_data": "no"}}]), "binary_data"),
        (request(parameters={"binary_data_output": "false"}), "binary_data_output"),
        (request(parameters={"explain": True}), "['explain'] are not supported"),
        (request(parameters={"sequence_id": 3, "sequence_start": True}), "'sequence_id'"),
        (request(tensor={"parameters": {"shared_memory_region": "a"}}), "shared_memory_region"),
        (request(outputs=5), "cannot be read"),
        (request() + b"more", "cannot be read"),
    ],
)
def test_broken_requests_are_refused(client, body, reason):
    document = problem(client.post(INFER, content=body), 422)
    assert reason in document["detail"]
    assert document["error"] == document["detail"]


@pytest.mark.parametrize(
    "tensor",
    [{"data": ["a" * 20_000, *[""] * 100_000]}, {"shape": [9] * 300_000}],
    ids=["an array of text would take 8 GB", "the product would take long"],
)
def test_a_small_request_cannot_cost_much(client, tensor):
    start = time.process_time()
    problem(client.post(INFER, content=request(tensor=tensor)), 422)
    assert time.process_time() - start < 3


def test_long_lists_are_to_be_sent_as_binary_data():
    long = request(tensor={"data": [0] * 600_000, "shape": [1, 1000, 600, 1]})
    with pytest.raises(Problem, match="binary tensor data"):
        parse(long, None)
    file = base64.b64encode(bytes(2_000_000)).decode()  # one value
    large = request(tensor={"datatype": "BYTES", "data": [file], "shape": [1]})
    assert parse(large, None).images == [bytes(2_000_000)]


def test_errors_of_all_addresses_of_the_protocol_are_where_it_has_them(client):
    for response in (client.get(INFER), client.post("/v2/repository/index"), client.get("/v2/x")):
        assert response.json()["error"] == response.json()["detail"]


def binary(size, data, kind="UINT8", shape=(1, 1, 1, 1)):
    parameters = {"binary_data_size": size}
    text = request(tensor={"datatype": kind, "shape": list(shape), "parameters": parameters})
    return text + data, {"Inference-Header-Content-Length": str(len(text))}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        binary(1, b""),
        binary(1, b"ab"),
        binary(-1, b"a"),
        binary(True, b"a"),
        binary("1", b"a"),
        binary(2, b"ab", "BYTES", (1,)),
        binary(4, b"\xff\xff\xff\xff", "BYTES", (1,)),
        binary(1, b"a", "FP32"),
        (request(), {"Inference-Header-Content-Length": "999999"}),
        (request(), {"Inference-Header-Content-Length": "-1"}),
        (request(), {"Inference-Header-Content-Length": "x"}),
    ],
)
def test_broken_binary_requests_are_refused(client, body, headers):
    problem(client.post(INFER, content=body, headers=headers), 422)


def test_an_empty_file_among_binary_ones_is_named(client):
    body, headers = binary(4, bytes(4), "BYTES", (1,))
    assert problem(client.post(INFER, content=body, headers=headers), 422)["file"] == "image 0"


def test_other_versions_do_not_exist(client):
    assert client.get(f"/v2/models/{XRAY}/versions/1").status_code == 200
    problem(client.get(f"/v2/models/{XRAY}/versions/2"), 404)
