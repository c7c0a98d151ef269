"""Answers of the service are those of `medzoo.predict`."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import medzoo
from tests.serving.conftest import LESION, PREDICT, XRAY, encoded, expected, picture, said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_a_file_of_any_format_gets_the_answer_of_predict(client, models, kind):
    content = encoded(picture(1), kind)
    response = client.post(PREDICT, content=content, headers={"Content-Type": f"image/{kind}"})
    assert response.status_code == 200, response.text
    (prediction,) = response.json()["predictions"]
    assert said(prediction) == expected(models[XRAY], content)


def test_a_dicom_file_gets_the_answer_of_predict(client, models, dicom):
    response = client.post(PREDICT, files={"scan": ("scan.dcm", dicom)})
    assert said(response.json()["predictions"][0]) == expected(models[XRAY], dicom)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_images_of_all_modes_are_prepared_as_predict_does(client, models, mode):
    if mode == "I;16":
        image = Image.fromarray(np.asarray(picture(2, mode="L")).astype(np.uint16) * 257)
    else:
        image = picture(2).convert(mode)
    for model in (XRAY, LESION):
        content = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
        response = client.post(f"/v1/models/{model}/predict", content=content)
        assert said(response.json()["predictions"][0]) == expected(models[model], content)


def test_several_files_are_answered_in_their_order(client, models):
    contents = [encoded(picture(seed, (30 + seed, 50))) for seed in range(5)]
    files = [("images", (f"{seed}.png", content)) for seed, content in enumerate(contents)]
    predictions = client.post(PREDICT, files=files).json()["predictions"]
    assert [one["file"] for one in predictions] == [f"{seed}.png" for seed in range(5)]
    for prediction, content in zip(predictions, contents, strict=True):
        assert said(prediction) == expected(models[XRAY], content)


def test_an_ensemble_is_served_under_its_name(client):
    content = encoded()
    ensemble = medzoo.Ensemble([LESION, "efficientnet.dermamnist"])
    answer = client.post("/v1/models/both/predict", content=content).json()
    assert said(answer["predictions"][0]) == expected(ensemble, content)
    assert len(answer["weights_sha256"]) == 2


def test_options_are_those_of_predict(client, models):
    content = encoded()
    for tta in ("flip", "dihedral"):
        response = client.post(PREDICT, content=content, params={"tta": tta, "top_k": 1})
        prediction = response.json()["predictions"][0]
        assert said(prediction) == expected(models[XRAY], content, tta=tta, top_k=1)


def test_answers_say_where_they_come_from(client):
    answer = client.post(PREDICT, content=encoded()).json()
    entry = medzoo.weights.weights_index()[XRAY]
    assert answer["model"] == XRAY
    assert answer["weights_sha256"] == [entry.sha256]
    assert answer["medzoo"] == medzoo.__version__
    assert "not for clinical use" in answer["notice"]
    assert answer["milliseconds"] > 0
    assert "labels" not in answer["predictions"][0]


def test_labels_of_multi_label_models_follow_the_threshold(multi_label):
    client, model = multi_label
    content = encoded()
    probabilities = medzoo.predict(model, content).probabilities
    fourth, third = sorted(probabilities.values())[-4:-2]
    threshold = (third + fourth) / 2
    address = "/v1/models/chest/predict"
    (one,) = client.post(address, content=content, params={"threshold": threshold}).json()[
        "predictions"
    ]
    assert one["labels"] == list(medzoo.predict(model, content, threshold=threshold).labels)
    assert len(one["labels"]) == 3


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_two_classes_are_decided_by_the_threshold(client, models, factor):
    content = encoded()
    second = models[XRAY].spec.class_names[1]
    threshold = min(0.99, factor * medzoo.predict(models[XRAY], content).probabilities[second])
    (one,) = client.post(PREDICT, content=content, params={"threshold": threshold}).json()[
        "predictions"
    ]
    assert said(one) == expected(models[XRAY], content, threshold=threshold)
    assert (one["label"] == second) == (factor < 1)


def test_prediction_sets_are_those_of_predict(multi_label):
    client, model = multi_label
    content = encoded()
    expected = medzoo.predict(model, content)
    assert len(expected.prediction_set) > 1
    one = client.post("/v1/models/chest/predict", content=content).json()["predictions"][0]
    assert one["prediction_set"] == list(expected.prediction_set)
    assert one["coverage"] == 0.9
    described = client.get("/v1/models/chest").json()
    assert described["conformal"] == model.spec.conformal.to_dict()
    flipped = client.post("/v1/models/chest/predict?tta=flip", content=content).json()
    assert "prediction_set" not in flipped["predictions"][0]


def test_an_answer_whose_risk_is_too_high_is_marked(multi_label):
    client, model = multi_label
    path, content = "/v1/models/chest/predict", encoded()
    expected = medzoo.predict(model, content, abstain_above=0.3)
    one = client.post(f"{path}?abstain_above=0.3", content=content).json()["predictions"][0]
    assert one["risk"] == expected.risk == 0.4
    assert one["abstained"] is expected.abstained is True
    assert one["labels"] == []
    plain = client.post(path, content=content).json()["predictions"][0]
    assert plain["risk"] == 0.4
    assert "abstained" not in plain
    for query in ("abstain_above=0.1", "abstain_above=0.3&tta=flip", "abstain_above=2"):
        assert client.post(f"{path}?{query}", content=content).status_code == 422
    other = client.post(f"{path}?threshold=0.2", content=content).json()["predictions"][0]
    assert "risk" not in other


@pytest.fixture(scope="module")
def multi_label():
    from fastapi.testclient import TestClient

    from medzoo.serving import create_app

    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset="chestmnist").eval()
    sets = medzoo.ConformalSpec("lac", 0.9, (0.5,), 100)
    risks = medzoo.SelectiveSpec((0.0, 0.9999), (0.4, 0.2), 0.95, 100)
    model.spec = replace(model.spec, conformal=sets, selective=risks)
    with TestClient(create_app({"chest": model})) as client:
        yield client, model


def test_heat_maps_are_those_of_explain(client, models):
    content = encoded(size_image := picture(1, (28, 28), "L"))
    prediction = client.post(PREDICT, content=content, params={"explain": True}).json()[
        "predictions"
    ][0]
    given = prediction["explanation"]
    explanation = medzoo.explain(models[XRAY], content)
    assert (given["label"], given["method"]) == (explanation.label, "HiResCAM")
    layer = Image.open(io.BytesIO(base64.b64decode(given["png"])))
    assert layer.mode == "RGBA"
    assert layer.size == size_image.size
    np.testing.assert_allclose(np.asarray(layer), np.asarray(explanation.layer()), atol=1)
    assert np.asarray(layer)[..., 3].max() == 255


def test_a_model_without_heat_maps_says_so(client):
    response = client.post("/v1/models/both/predict?explain=true", content=encoded())
    assert response.status_code == 422
    assert "cannot be explained" in response.json()["detail"]


def test_a_scan_that_is_too_dark_is_pointed_out(client):
    dark = Image.fromarray(np.full((30, 30), 4000, np.uint16))
    prediction = client.post(PREDICT, content=encoded(dark)).json()["predictions"][0]
    assert "12-bit" in prediction["warning"]


def test_threads_get_their_own_answers(client, models):
    contents = [encoded(picture(seed)) for seed in range(6)]
    wanted = [expected(models[XRAY], content) for content in contents]

    def ask(index):
        answer = client.post(PREDICT, content=contents[index % 6]).json()
        return said(answer["predictions"][0]) == wanted[index % 6]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(48)))


def test_unfamiliar_images_are_marked_as_predict_does():
    from fastapi.testclient import TestClient

    from medzoo.serving import create_app

    data = medzoo.synthetic("breastmnist", n_train=40, n_val=30, n_test=1)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4)).eval()
    model.ood_detector = medzoo.fit_ood_detector(model, data)
    content = encoded(Image.new("L", (28, 28), 255))
    with TestClient(create_app({"scan": model})) as client:
        answer = client.post("/v1/models/scan/predict", content=content).json()["predictions"][0]
    assert answer["unfamiliar"] is True
    assert answer["ood_score"] == pytest.approx(medzoo.predict(model, content).ood_score, rel=1e-4)
    assert "unlike the images" in answer["warning"]
