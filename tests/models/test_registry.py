"""A weights file may be anybody's: what it may ask for when its network is built."""

import copy

import pytest

from medzoo.cli import main
from medzoo.errors import WeightsError
from medzoo.models import create_model, save_weights
from tests.weights.headers import first_format, read_header, write_header

ELSEWHERE = {"url": "http://127.0.0.1:9/other.pth", "state_dict": None}


@pytest.fixture(params=["simple_cnn", "timm/test_resnet"])
def written(request, tmp_path):
    """A weights file and its header."""
    arguments = {"widths": (4, 8, 16)} if request.param == "simple_cnn" else {}
    model = create_model(request.param, dataset="dermamnist", **arguments)
    path = save_weights(model, tmp_path / "forged.safetensors")
    return path, read_header(path)


@pytest.fixture(params=["first format", "today's format"])
def forged(request, written):
    """Make a weights file whose arguments of the network were changed by hand."""
    path, header = written

    def forge(model_args=None):
        changed = copy.deepcopy(header)
        changed["spec"]["model_args"] |= model_args or {}
        return write_header(
            path, first_format(changed) if request.param == "first format" else changed
        )

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
        {"num_classes": 3},
        {"architecture": None},
        {"input_size": [3, "28", 28]},
        {"input_size": [3, "28", "28"]},
        {"input_size": [3, 0, 28]},
        {"input_size": [3, 0, 0]},
        {"mean": "0.5"},
        {"mean": [0.5]},
        {"std": [None, 1, 1]},
        {"training": [1]},
        {"dataset": "dermamnist"},
        {"dataset": {"name": "dermamnist"}},
        {"model_args": [1]},
        {"temperature": 0},
    ],
)
def test_a_wrong_value_in_the_first_format_is_named(written, changes):
    path, header = written
    (name,) = changes
    said = {"dataset": "dataset=|DatasetInfo", "input_size": "size="}.get(name, f"{name}=")
    with pytest.raises(WeightsError, match=rf"forged.*({said})"):
        create_model(write_header(path, first_format(header) | changes))


@pytest.mark.parametrize(
    ("where", "changes"),
    [
        ("spec", {"num_classes": "7"}),
        ("spec", {"num_classes": True}),
        ("spec", {"num_classes": -1}),
        ("spec", {"num_classes": 3}),
        ("spec", {"architecture": None}),
        ("spec", {"classes": "abc"}),
        ("spec", {"classes": [1, 2, 3, 4, 5, 6, 7]}),
        ("spec", {"task": "multi-label, binary-class"}),
        ("spec", {"task": "guess"}),
        ("spec", {"model_args": [1]}),
        ("spec", {"dataset": "dermamnist"}),
        ("spec", {"dataset": {"name": "dermamnist"}}),
        ("spec", {"temperature": 0}),
        ("spec", {"licence": None}),
        ("spec", {"input": [3, 28, 28]}),
        ("input", {"channels": "3"}),
        ("input", {"size": 0}),
        ("input", {"mean": "0.5"}),
        ("input", {"mean": [0.5]}),
        ("input", {"std": [None, 1, 1]}),
        ("header", {"training": [1]}),
    ],
)
def test_a_wrong_value_is_named(written, where, changes):
    path, header = written
    parts = {"header": header, "spec": header["spec"], "input": header["spec"]["input"]}
    parts[where].update(changes)
    (name,) = changes
    said = {"input": "InputSpec", "dataset": "dataset=|DatasetInfo", "task": "task"}
    with pytest.raises(WeightsError, match=rf"forged.*({said.get(name, f'{name}=')})"):
        create_model(write_header(path, header))


@pytest.mark.parametrize("where", ["header", "spec", "input", "first format"])
def test_missing_and_unknown_values_are_refused(written, where):
    path, header = written
    old = first_format(header)
    parts = {"header": header, "spec": header["spec"], "input": header["spec"]["input"]}
    part = parts.get(where, old)
    whole = old if part is old else header
    part["more"] = 1
    with pytest.raises(WeightsError, match=r"forged.*more"):
        create_model(write_header(path, whole))
    del part["more"]
    name = {"header": "training", "spec": "task", "input": "std", "first format": "mean"}[where]
    del part[name]
    with pytest.raises(
        WeightsError, match=rf"forged.*(missing.*{name}|expected spec and training)"
    ):
        create_model(write_header(path, whole))


@pytest.mark.parametrize("value", ["wide", [4, "8", 16], 3])
def test_an_argument_of_the_wrong_kind_is_named(forged, value):
    with pytest.raises(WeightsError, match="widths"):
        create_model(forged({"widths": value}))


def test_what_a_caller_has_loaded_is_no_part_of_the_file(tmp_path):
    overlay = {"crop_pct": 0.9}
    model = create_model("timm/test_resnet", num_classes=2, pretrained_cfg_overlay=overlay)
    path = save_weights(model, tmp_path / "model.safetensors")
    assert create_model(path).spec.model_args == {}


def test_the_callers_own_mistakes_stay_the_callers(forged):
    with pytest.raises(TypeError, match="wdith"):
        create_model(forged(), wdith=4)
