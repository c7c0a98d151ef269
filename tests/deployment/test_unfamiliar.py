"""Models outside PyTorch mark the images that the model marks."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import medzoo
from medzoo.cli import main
from medzoo.deployment import CompiledModel, Description
from medzoo.deployment.cache import cache_path
from medzoo.deployment.verify import check_agreement
from medzoo.inference.ood_scores import has_ood_scores
from medzoo.serving.models import load_models
from medzoo.transforms import prepare_batch
from tests.deployment.networks import tiny_model

onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'medzoo[onnx]'")


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("breastmnist", n_train=60, n_val=40, n_test=12)


@pytest.fixture(scope="module")
def model(data):
    model = tiny_model("simple_cnn", "breastmnist").eval()
    model.ood_detector = medzoo.fit_ood_detector(model, data)
    return model


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    return medzoo.export(model, tmp_path_factory.mktemp("export") / "model.onnx").path


@pytest.fixture(scope="module")
def images(data):
    """Images of the data set and noise, which is unfamiliar."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28), np.uint8)
    return torch.cat([data.test.images, torch.from_numpy(noise)])


def scores_of(model, images, **options):
    return [one.ood_score for one in medzoo.predict(model, images, **options)]


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_a_file_scores_images_as_its_model_does(model, path, images, tta):
    expected = scores_of(model, images, tta=tta)
    assert min(expected[:12]) < 1 < max(expected)
    found = scores_of(path, images, tta=tta, batch_size=5)
    assert found == pytest.approx(expected, rel=1e-4)


def test_other_runtimes_get_the_scores_as_a_second_output(model, path, images):
    session = onnxruntime.InferenceSession(path)
    about = json.loads(session.get_modelmeta().custom_metadata_map["medzoo"])
    batch = prepare_batch(images, model.spec.input).numpy()
    logits, scores = session.run(["logits", about["ood_score"]["name"]], {"images": batch})
    assert logits.shape == (20, 2)
    assert scores == pytest.approx(scores_of(model, images), rel=1e-4)


def test_the_service_keeps_the_warning_when_it_compiles_ensembles(data, images):
    members = [tiny_model("simple_cnn", "breastmnist").eval() for _ in range(2)]
    for member in members:
        torch.nn.init.normal_(next(member.parameters()))
        member.ood_detector = medzoo.fit_ood_detector(member, data)
    both = medzoo.Ensemble(members)
    served = load_models({"both": both}, compile=True)["both"]
    assert isinstance(served.model, CompiledModel)
    found = [answer.ood_score for answer in served.run(images)]
    assert found == pytest.approx(scores_of(both, images), rel=1e-4)


def test_the_command_line_marks_images_with_a_file(path, tmp_path, capsys):
    Image.effect_noise((28, 28), 200).save(tmp_path / "noise.png")
    table = tmp_path / "out.csv"
    assert main(["predict", str(path), str(tmp_path / "noise.png"), "--csv", str(table)]) == 0
    (row,) = csv.DictReader(table.open())
    assert row["unfamiliar"] == "True"
    assert float(row["ood_score"]) > 1
    capsys.readouterr()
    assert main(["info", str(path)]) == 0
    assert "unfamiliar  recognised" in capsys.readouterr().out


def test_integers_lose_the_detector_with_a_warning(model, data):
    with pytest.warns(UserWarning, match="does not say which images are unfamiliar"):
        quantised = medzoo.compile(model, precision="int8", calibration=data.train)
    assert not has_ood_scores(quantised)
    assert scores_of(quantised, data.test) == [None] * len(data.test)
    with pytest.raises(ValueError, match="had no out-of-distribution detector"):
        quantised.with_ood_scores(torch.zeros(1, 1, 28, 28))


def test_a_graph_that_scores_otherwise_is_refused(model, path, monkeypatch):
    run, batch = CompiledModel.with_ood_scores, torch.zeros(2, 1, 28, 28)
    monkeypatch.setattr(
        CompiledModel, "with_ood_scores", lambda self, x: (run(self, x)[0], run(self, x)[1] * 1.01)
    )
    with pytest.raises(ValueError, match="scores differ by 0"):
        check_agreement(model, CompiledModel.from_file(path), batch)


def test_images_in_another_normalisation_are_not_scored(model, path, images):
    other = replace(model.spec, input=replace(model.spec.input, std=(0.3,)))
    assert scores_of(path, images, spec=other) == [None] * len(images)


def test_another_detector_has_another_place_in_the_cache(model):
    description, fitted = Description.of(model), model.ood_detector
    before = cache_path(model, description)
    model.ood_detector = replace(fitted, threshold=2 * fitted.threshold)
    try:
        assert cache_path(model, description) != before
    finally:
        model.ood_detector = fitted
    assert cache_path(model, description) == before


def test_the_models_own_spec_does_not_hide_the_detector(model, tmp_path):
    same = medzoo.compile(model, spec=model.spec, cache=False)
    assert same.has_ood_scores
    other = replace(model.spec, licence="MIT")
    with pytest.warns(UserWarning, match="not recognised .* another spec .*; set model.spec"):
        exported = medzoo.export(model, tmp_path / "other.onnx", spec=other).model
    assert not exported.has_ood_scores
    assert model.ood_detector is not None


@pytest.mark.parametrize("change", ["temperature", "input"])
def test_a_compiled_model_drops_sets_that_no_longer_hold(model, data, change):
    fast = medzoo.compile(model, cache=False)
    medzoo.calibrate(fast, data.val)
    assert fast.spec.conformal is not None
    fast.spec = replace(fast.spec, licence="MIT")
    assert fast.spec.conformal is not None
    known = fast.spec
    changed = {
        "temperature": replace(known, temperature=known.temperature * 2),
        "input": replace(known, input=replace(known.input, mean=(0.1,))),
    }
    fast.spec = changed[change]
    assert fast.spec.conformal is fast.spec.selective is None
