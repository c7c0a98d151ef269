"""What is said about a name that means no model: what was probably meant."""

import re

import pytest

import medzoo
from medzoo.models import architecture_of, create_model


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("advanced_cn", "did you mean 'advanced_cnn'"),
        ("simple_cn.dermamnist", "did you mean 'simple_cnn.dermamnist'"),
        ("resnet18", "'timm/resnet18'"),
        ("resnet18.a1_in1k", "'timm/resnet18.a1_in1k'"),
        ("derm.onnx", "'derm.onnx' is an exported file"),
        ("out/derm.pt2", "'out/derm.pt2' is an exported file"),
        ("out/derm.pth", "'out/derm.pth' is not a weights file"),
        ("best.safetensor", "give a .safetensors file"),
        ("org/name", "'hf-hub:org/name'"),
        ("hf_hub:org/name", "'hf-hub:org/name'"),
        ("dermamnist", "is a data set, not a model; its checkpoints: advanced_cnn.dermamnist"),
        ("pathmnist", "its checkpoints: none"),
        ("zzz", "known: advanced_cnn, attention_unet, efficientnet, simple_cnn"),
    ],
)
@pytest.mark.parametrize("pretrained", [False, True])
def test_a_name_that_is_no_model(name, expected, pretrained):
    with pytest.raises(ValueError, match=re.escape(expected)):
        create_model(name, pretrained=pretrained)
    with pytest.raises(ValueError, match=re.escape(expected)):
        architecture_of(name)


@pytest.mark.parametrize("pretrained", [False, True])
def test_a_typo_in_a_checkpoints_name_is_not_taken_for_a_wish_to_train(pretrained):
    with pytest.raises(medzoo.WeightsError, match=r"did you mean 'simple_cnn\.derm") as caught:
        create_model("simple_cnn.dermamnits", pretrained=pretrained)
    assert "medzoo train" not in str(caught.value)


def test_a_data_set_without_weights_is_to_be_trained_on():
    with pytest.raises(medzoo.WeightsError, match="medzoo train simple_cnn --dataset pathmnist"):
        create_model("simple_cnn", dataset="pathmnist", pretrained=True)


@pytest.mark.parametrize("name", ["simple_cnn", "timm/resnet18", "simple_cnn.dermamnist"])
def test_names_that_are_models_are_their_architectures(name):
    assert architecture_of(name) == name.removesuffix(".dermamnist")
