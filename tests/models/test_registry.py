"""A weights file may be anybody's: what it may ask for when its network is built."""

import json

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from medzoo.cli import main
from medzoo.errors import WeightsError
from medzoo.models import create_model
from medzoo.weights import save_weights

ELSEWHERE = {"url": "http://127.0.0.1:9/other.pth", "state_dict": None}


@pytest.fixture(params=["simple_cnn", "timm/test_resnet"])
def forged(request, tmp_path):
    """Make a weights file whose configuration was changed by hand."""
    arguments = {"widths": (4, 8, 16)} if request.param == "simple_cnn" else {}
    model = create_model(request.param, dataset="dermamnist", **arguments)
    path = save_weights(model, tmp_path / "forged.safetensors")
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["medzoo"])

    def forge(model_args=None, **changes):
        changed = header | changes
        changed["model_args"] = header["model_args"] | (model_args or {})
        save_file(load_file(path), path, {"medzoo": json.dumps(changed)})
        return path

    return forge


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pretrained", True),
        ("pretrained_cfg", {"url": "http://127.0.0.1:9/other.pth"}),
        ("pretrained_cfg_overlay", ELSEWHERE),
        ("checkpoint_path", "other.pth"),
        ("cache_dir", "/tmp"),
        ("features_only", True),
        ("num_classes", 3),
        ("model_name", "resnet18"),
    ],
)
def test_a_file_cannot_have_other_weights_loaded(forged, name, value):
    with pytest.raises(WeightsError, match=f"asks for {name}={value!r}".replace("{", r"\{")):
        create_model(forged({name: value}))


def test_an_argument_of_a_newer_version_is_one_line_on_the_command_line(forged, capsys):
    assert main(["predict", str(forged({"not_yet": 1})), "image.png"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "not_yet" in error
    assert "update medzoo" in error


@pytest.mark.parametrize(
    "changes",
    [
        {"num_classes": "7"},
        {"num_classes": True},
        {"num_classes": -1},
        {"architecture": None},
        {"input_size": [3, "28", 28]},
        {"input_size": [3, 0, 28]},
        {"mean": "0.5"},
        {"std": [None, 1, 1]},
        {"training": [1]},
    ],
)
def test_a_value_of_the_wrong_kind_is_named(forged, changes):
    (name,) = changes
    with pytest.raises(WeightsError, match=rf"forged.*{name}=.*expected"):
        create_model(forged(**changes))


@pytest.mark.parametrize("value", ["wide", [4, "8", 16], 3])
def test_an_argument_of_the_wrong_kind_is_named(forged, value):
    with pytest.raises(WeightsError, match="widths"):
        create_model(forged({"widths": value}))


def test_what_a_caller_has_loaded_is_no_part_of_the_file(tmp_path):
    overlay = {"crop_pct": 0.9}
    model = create_model("timm/test_resnet", num_classes=2, pretrained_cfg_overlay=overlay)
    path = save_weights(model, tmp_path / "model.safetensors")
    assert create_model(path).model_args == {}


def test_the_callers_own_mistakes_stay_the_callers(forged):
    with pytest.raises(TypeError, match="wdith"):
        create_model(forged(), wdith=4)
