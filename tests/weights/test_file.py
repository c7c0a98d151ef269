"""The weights file: what goes in comes out, and a bad file is one clear error."""

import os
import stat
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import medzoo
from medzoo.datasets import synthetic
from medzoo.errors import WeightsError
from medzoo.files import sha256_of, write_atomically
from medzoo.models import Specified, bind_to_dataset, create_model, save_weights
from medzoo.spec import spec_of
from medzoo.weights import WeightsConfig, read_config, read_tensors
from tests.weights.headers import first_format, read_header, write_header


@pytest.fixture
def model(tiny):
    torch.manual_seed(0)
    return create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16))


@pytest.fixture
def path(model, tmp_path):
    return save_weights(model, tmp_path / "model.safetensors", training={"seed": 3})


def test_tensors_and_configuration_round_trip(model, path):
    tensors = read_tensors(path)
    assert tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(tensors[name], t) for name, t in model.state_dict().items())
    config = read_config(path)
    assert config == WeightsConfig.of(model, {"seed": 3})
    assert WeightsConfig.from_json(config.to_json()) == config
    assert (config.spec.architecture, config.spec.num_classes) == ("simple_cnn", 7)
    assert config.spec == replace(model.spec, licence=model.dataset.licence)
    assert config.spec.dataset == model.dataset


def test_header_is_plain_json_that_anyone_can_read(path):
    header = read_header(path)
    assert header.keys() == {"spec", "training"}
    assert header["training"] == {"seed": 3}
    assert header["spec"]["classes"][4] == "melanoma"
    assert header["spec"]["dataset"]["classes"][4] == "melanoma"


def test_the_temperature_is_part_of_the_file(model, path, tmp_path):
    assert read_config(path).spec.temperature == create_model(path).temperature == 1.0
    model.temperature = 1.0 / 3
    calibrated = save_weights(model, tmp_path / "calibrated.safetensors")
    assert read_config(calibrated).spec.temperature == 1.0 / 3
    assert create_model(calibrated).temperature == 1.0 / 3


def test_a_file_without_a_temperature_reads_as_1(path):
    header = first_format(read_header(path))
    del header["temperature"]
    write_header(path, header)
    assert read_config(path).spec.temperature == create_model(path).temperature == 1.0


def test_a_file_of_the_first_format_reads_as_one_of_todays(model, path, tmp_path):
    model.temperature = 2.5
    today = save_weights(model, tmp_path / "today.safetensors", training={"seed": 3})
    write_header(path, first_format(read_header(today)))
    assert "spec" not in read_header(path)
    assert read_config(path) == read_config(today)
    assert create_model(path).spec == create_model(today).spec
    x = torch.rand(2, 3, 28, 28)
    assert torch.equal(create_model(path)(x), create_model(today)(x))


def test_values_of_the_first_format_have_todays_names(path):
    recipe = {"epochs": 2, "trunk": "simple_cnn.dermamnist", "freeze": "trunk"}
    training = {"larger": {"size": 64}, "recipe": recipe, "licence": "CC0"}
    write_header(path, first_format(read_header(path)) | {"training": training})
    config = read_config(path)
    assert config.training["high_res"] == {"size": 64}
    assert config.training["recipe"] == {
        "epochs": 2,
        "backbone": "simple_cnn.dermamnist",
        "freeze": "backbone",
    }
    assert config.spec.licence == "CC0"
    assert read_config(save_weights(create_model(path), path)).spec.licence == "CC0"


def test_a_backbone_of_the_first_format_has_no_data_set(path):
    values = {"dataset": None, "num_classes": 0}
    write_header(path, first_format(read_header(path)) | values)
    spec = read_config(path).spec
    assert (spec.dataset, spec.num_classes, spec.classes, spec.licence) == (None, 0, (), "")


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("temperature", [0.0, -2.0, float("nan"), float("inf"), "1.0", None, True])
def test_a_temperature_that_makes_no_sense_is_refused(model, path, temperature, old):
    header = read_header(path)
    header["spec"]["temperature"] = temperature
    write_header(path, first_format(header) if old else header)
    with pytest.raises(WeightsError, match=r"model\.safetensors.*finite number above 0"):
        create_model(path)
    kind = ValueError if isinstance(temperature, float) else TypeError
    with pytest.raises(kind, match="finite number above 0"):
        model.temperature = temperature
    assert model.temperature == 1.0


@pytest.mark.parametrize("architecture", ["simple_cnn", "timm/test_resnet"])
def test_the_temperature_goes_with_the_classifier(architecture, tiny, tmp_path):
    arguments = {"widths": (4, 8, 16)} if architecture == "simple_cnn" else {}
    model = create_model(architecture, dataset=tiny, **arguments)
    model.temperature = 2.0
    path = save_weights(model, tmp_path / "model.safetensors")
    kept = [{}, {"dataset": tiny}, {"in_chans": 1}, {"size": 32}, {"num_classes": 7}]
    other = synthetic(num_classes=7, n_train=8, n_val=4, n_test=4)  # as many classes, but others
    new = [{"dataset": other}, {"dataset": "retinamnist"}, {"num_classes": 3}, {"num_classes": 0}]
    for changes, expected in [(kept, 2.0), (new, 1.0)]:
        for change in changes:
            assert create_model(path, **change).temperature == expected, change
    bind_to_dataset(model, tiny)
    assert model.temperature == 1.0


def test_a_new_classifier_has_no_temperature(model):
    model.temperature = 2.0
    model.reset_classifier(3)
    assert model.temperature == 1.0


def test_same_model_gives_the_same_bytes(model, path, tmp_path):
    again = save_weights(model, tmp_path / "again.safetensors", training={"seed": 3})
    assert again.read_bytes() == path.read_bytes()
    assert sha256_of(again) == sha256_of(path)


def test_memory_layout_does_not_matter(model, path, tmp_path):
    model.to(memory_format=torch.channels_last)
    last = save_weights(model, tmp_path / "last.safetensors", training={"seed": 3})
    assert sha256_of(last) == sha256_of(path)


def test_model_of_unknown_make_is_refused(tmp_path, model):
    with pytest.raises(TypeError, match="Linear does not say"):
        save_weights(torch.nn.Linear(2, 2), tmp_path / "x.safetensors")
    data = synthetic("breastmnist", n_train=4, n_val=2, n_test=2)
    for one in (
        Specified(model, spec_of(model)),
        medzoo.Ensemble([model]),
        bind_to_dataset(torch.compile(create_model("simple_cnn", num_classes=2)), data),
        bind_to_dataset(torch.nn.Linear(2, 2), data),
    ):
        with pytest.raises(ValueError, match=r"medzoo\.create_model"):
            save_weights(one, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_wrappers_around_a_model_are_looked_through(model, path, tmp_path):
    for wrapped in (
        torch.nn.DataParallel(model),
        torch.compile(model),
        torch.optim.swa_utils.AveragedModel(model),
    ):
        again = save_weights(wrapped, tmp_path / "again.safetensors", training={"seed": 3})
        assert again.read_bytes() == path.read_bytes()


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def _empty(path):
    path.write_bytes(b"")


def _pickle(path):
    torch.save({"weight": torch.ones(2)}, path)


def _absurd_header(path):
    path.write_bytes(b"\xff" * 64)


def _folder(path):
    path.unlink()
    path.mkdir()


def _header(content):
    def rewrite(path):
        save_file({"x": torch.ones(2)}, path, None if content is None else {"medzoo": content})

    return rewrite


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _empty,
        _pickle,
        _absurd_header,
        _folder,
        os.unlink,
        _header(None),
        _header("not json"),
        _header("{}"),
        _header("[1]"),
        _header('{"architecture": "simple_cnn", "input_size": [3, 28]}'),
        _header('{"spec": {}, "training": {}}'),
        _header('{"spec": [], "training": {}}'),
        _header('{"spec": {"architecture": "simple_cnn"}}'),
    ],
)
def test_bad_file_is_one_clear_error(path, damage):
    damage(path)
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        create_model(path)


def test_unknown_architecture_in_a_file_is_one_clear_error(path):
    header = read_header(path)
    header["spec"]["architecture"] = "from_the_future"
    write_header(path, header)
    with pytest.raises(WeightsError, match="from_the_future"):
        create_model(path)


def test_atomic_write_replaces_the_whole_file(tmp_path):
    target = tmp_path / "deep" / "er" / "file.bin"
    assert write_atomically(target, b"one") == target
    write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    assert [p.name for p in target.parent.iterdir()] == ["file.bin"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_failed_write_keeps_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = write_atomically(tmp_path / "file.bin", b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_other_suffixes_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match=r"must be named \*\.safetensors"):
        save_weights(model, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_a_feature_extractor_is_refused(tmp_path):
    backbone = create_model("simple_cnn", features_only=True)
    with pytest.raises(ValueError, match="without features_only"):
        save_weights(backbone, tmp_path / "backbone.safetensors")


@pytest.mark.parametrize("classes", [0, 3])
def test_a_model_with_another_classifier_loads_again(tmp_path, classes):
    model = create_model("simple_cnn", dataset="dermamnist", widths=(4, 8, 16))
    model.reset_classifier(classes)
    loaded = create_model(save_weights(model, tmp_path / "m.safetensors"))
    assert loaded.num_classes == classes
    assert loaded.dataset is None
    images = torch.rand(2, 3, 28, 28)
    torch.testing.assert_close(loaded.eval()(images), model.eval()(images))
