import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import medzoo
from medzoo.datasets import dataset_info
from medzoo.models import Classifier
from medzoo.prediction import Explanation, explain, predict
from medzoo.spec import InputSpec, ModelSpec

SMALL = {
    "advanced_cnn": {"widths": (8, 8, 8, 8), "depths": (1, 1, 1, 1)},
    "attention_unet": {"widths": (8, 8, 8, 8), "head_width": 8},
    "efficientnet": {"widths": (8, 8, 8, 8), "depths": (1, 1, 1, 1), "head_width": 8},
    "simple_cnn": {"widths": (8, 8, 8)},
    "timm/mobilenetv3_small_050": {},
}


@pytest.fixture(scope="module")
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


@pytest.mark.parametrize("name", SMALL)
def test_every_network_has_a_map_of_the_images_size(name, image):
    torch.manual_seed(0)
    model = medzoo.create_model(name, dataset="dermamnist", **SMALL[name]).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = explain(model, image)
    assert isinstance(found, Explanation)
    assert found.heatmap.shape == (40, 60)
    assert found.heatmap.dtype == np.float32
    assert found.heatmap.min() >= 0
    assert found.heatmap.max() in (0, 1)
    assert not found.heatmap[:, :10].any()  # what the centre crop left out
    assert not found.heatmap[:, 50:].any()
    assert found.overlay.size == image.size
    expected = predict(model, image, device="cpu")
    assert (found.label, found.probability) == (expected.label, pytest.approx(expected.probability))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


class Corner(Classifier):
    """Its only class speaks up for what is bright; by construction it is known where."""

    num_classes = num_features = 1

    def __init__(self):
        super().__init__()
        self.spec = ModelSpec("", InputSpec(1, 8, (0.0,), (1.0,)), 1)

    def forward_features(self, x):
        return nn.functional.avg_pool2d(x, 2)

    def forward_head(self, x):
        return x.mean(dim=(2, 3))

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


def test_the_heat_is_where_the_evidence_is():
    pixels = np.zeros((24, 32), np.uint8)
    pixels[:12, 4:16] = 255  # the upper left quarter of the central square
    found = explain(Corner(), pixels)
    row, column = np.unravel_index(found.heatmap.argmax(), found.heatmap.shape)
    assert found.heatmap.max() == 1
    assert (row < 12, 4 <= column < 16) == (True, True)
    assert found.heatmap[18:, 22:].max() < 0.01
    untouched, marked = (np.asarray(found.overlay)[at] for at in ((20, 2), (5, 8)))
    assert (untouched == 0).all()
    assert (marked != 255).any()


def test_the_figure_has_the_image_beside_the_overlay_under_a_title():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    found = explain(Corner(), pixels)
    figure = found.figure()
    factor = 13  # the smallest that makes the shorter side 256 pixels or more
    title = figure.height - factor * 20
    assert figure.width > 2 * factor * 30
    left = figure.crop((0, title, factor * 30, figure.height)).resize((30, 20), Image.NEAREST)
    right = figure.crop((figure.width - factor * 30, title, figure.width, figure.height))
    assert (np.asarray(left) == pixels[..., None]).all()
    assert (np.asarray(right.resize((30, 20), Image.NEAREST)) == np.asarray(found.overlay)).all()
    assert np.asarray(figure)[:title].min() == 0  # text
    assert (np.asarray(figure)[:title, 0] == 255).all()
    longer = replace(found, label="a very long name of a class " * 5).figure()
    assert longer.width == figure.width
    assert longer.height > figure.height


class Deep(Corner):
    """The same evidence, but its final map is one place; the level before has 8 x 8."""

    feature_info = [  # noqa: RUF012
        {"module": "fine", "reduction": 1},
        {"module": "coarse", "reduction": 8},
    ]

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Identity(), nn.AvgPool2d(8)

    def forward_features(self, x):
        return self.coarse(self.fine(x))


def test_a_final_map_of_too_few_places_is_not_used():
    pixels = np.zeros((8, 8), np.uint8)
    pixels[1, 2] = 255
    found = explain(Deep(), pixels)
    assert np.unravel_index(found.heatmap.argmax(), (8, 8)) == (1, 2)
    assert np.count_nonzero(found.heatmap) == 1


@pytest.mark.parametrize("name", ["advanced_cnn", "timm/resnet18"])
def test_places_that_speak_are_told_apart_from_others(name, image):
    """Networks for 28 pixels may end in a map of one or four places."""
    torch.manual_seed(0)
    strides = {"strides": (1, 2, 2, 2)} if name == "advanced_cnn" else {}
    model = medzoo.create_model(name, dataset="dermamnist", **SMALL.get(name, {}), **strides)
    heat = explain(model, image.resize((28, 28))).heatmap
    assert len(np.unique(heat.round(4))) > 40


def test_a_target_is_a_name_or_a_number(image):
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", **SMALL["simple_cnn"])
    names = dataset_info("dermamnist").classes
    by_name, by_number = explain(model, image, names[4]), explain(model, image, 4)
    assert by_name.label == by_number.label == names[4]
    assert np.array_equal(by_name.heatmap, by_number.heatmap)
    assert by_name.probability == pytest.approx(
        predict(model, image, device="cpu").probabilities[names[4]]
    )
    with pytest.raises(ValueError, match=f"did you mean '{names[4]}'"):
        explain(model, image, names[4].upper())
    assert explain(model, image, np.int64(4)).label == names[4]
    with pytest.raises(ValueError, match=r"target=1\.5 must be 0 to 6"):
        explain(model, image, 1.5)
    with pytest.raises(ValueError, match="target=7 must be 0 to 6"):
        explain(model, image, 7)


def test_it_works_inside_no_grad_and_inference_mode(image):
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", **SMALL["simple_cnn"])
    expected = explain(model, image).heatmap
    with torch.no_grad():
        assert np.array_equal(explain(model, image).heatmap, expected)
    with torch.inference_mode():
        assert np.array_equal(explain(model, image).heatmap, expected)


def test_what_has_no_map_is_refused(image):
    member = medzoo.create_model("simple_cnn", dataset="dermamnist", **SMALL["simple_cnn"])
    with pytest.raises(ValueError, match="Ensemble has no final feature map"):
        explain(medzoo.Ensemble([member]), image)
    transformer = medzoo.create_model("timm/vit_tiny_patch16_224", dataset="dermamnist", depth=1)
    with pytest.raises(ValueError, match="for convolutional networks"):
        explain(transformer, image)


def test_a_backbone_has_no_classes_to_explain(image):
    backbone = medzoo.create_model("simple_cnn", num_classes=0)
    with pytest.raises(ValueError, match="no classifier"):
        explain(backbone, image)


def test_saving_takes_the_format_from_the_ending(image, tmp_path):
    found = explain(Corner(), image)
    for name in ("a.png", "deep/b.jpg"):
        assert Image.open(found.save(tmp_path / name)).size == found.figure().size
    with pytest.raises(ValueError, match=r"cannot write '.*c\.txt'"):
        found.save(tmp_path / "c.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "deep"]


def test_without_captum_the_extra_is_named(image, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"pip install 'medzoo\[explain\]'"):
        explain(Corner(), image)


def test_a_long_image_is_not_enlarged_to_gigabytes():
    found = explain(Corner(), np.zeros((2, 3000), np.uint8))
    assert max(found.figure().size) < 2 * 8192 + 9
    strange = replace(found, label="\ud800\x00\n$").figure()
    assert strange.width == found.figure().width
