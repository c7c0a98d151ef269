"""What is said about a model to those who use it."""

import json
from dataclasses import replace

import pytest

import medzoo
from medzoo.spec import ModelSpec
from medzoo.web import describe_model
from tests.deployment.networks import tiny_model

NAME = "simple_cnn.pneumoniamnist"


@pytest.fixture(scope="module")
def model():
    return medzoo.create_model(NAME, pretrained=True)


def test_a_published_checkpoint_has_scores_with_intervals(model):
    entry = medzoo.weights.weights_index()[NAME]
    said = describe_model("xray", model, [NAME])
    assert json.loads(json.dumps(said)) == said
    assert said["name"] == "xray"
    assert said["dataset"]["title"] == "PneumoniaMNIST"
    assert said["input"] == model.spec.input.to_dict()
    assert said["temperature"] == model.spec.temperature
    assert said["parameters"] == entry.parameters
    assert said["weights_sha256"] == [entry.sha256]
    assert said["trained_on"] == entry.metrics["test"]["title"]
    test = entry.metrics["test"]
    assert said["scores"]["acc"] == {"value": test["acc"], "interval": test["intervals"]["acc"]}
    assert said["scores"]["images"] == 624
    assert "not for clinical use" in said["notice"]


@pytest.mark.parametrize(
    ("classes", "said"), [(None, "grade of diabetic retinopathy"), (tuple("abcde"), None)]
)
def test_classes_that_are_mere_numbers_are_explained(classes, said):
    model = tiny_model("simple_cnn", "retinamnist")
    if classes:
        info = replace(model.spec.dataset, classes=classes)
        model.spec = replace(model.spec, classes=classes, dataset=info)
    assert describe_model("eye", model)["classes_are"] == said


def test_the_file_of_a_published_checkpoint_is_recognised(model):
    file = medzoo.weights.locate_weights(medzoo.weights.weights_index()[NAME])
    assert describe_model("a", model, [file]) == describe_model("a", model, [NAME])


def test_a_file_of_ones_own_has_no_scores(model, tmp_path):
    path = medzoo.save_weights(model, tmp_path / "own.safetensors")
    said = describe_model("own", model, [path])
    assert said["scores"] is None
    assert said["trained_on"] == "PneumoniaMNIST"
    assert said["weights_sha256"] == [medzoo.files.sha256_of(path)]


def test_nothing_is_said_about_the_training_of_a_model_of_unknown_origin(model):
    said = describe_model(NAME, model)
    assert (said["scores"], said["trained_on"], said["weights_sha256"]) == (None, None, [])


def test_an_ensemble_has_several_files_and_no_scores():
    names = ["simple_cnn.dermamnist", "efficientnet.dermamnist"]
    said = describe_model("both", medzoo.Ensemble(names), names)
    assert len(set(said["weights_sha256"])) == 2
    assert said["scores"] is None
    assert said["trained_on"] == "DermaMNIST (rebuilt)"
    assert said["architecture"] == "ensemble"


def test_a_function_with_a_spec_has_no_parameters(model):
    class Function:
        spec = ModelSpec.for_data(medzoo.dataset_info("dermamnist"))

        def __call__(self, x):
            return x

    said = describe_model("f", Function())
    assert said["parameters"] is None
    assert said["classes"] == list(Function.spec.classes)
