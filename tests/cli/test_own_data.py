"""Data of one's own on the command line: trained on, evaluated, and named in errors."""

import json
import shlex

import pytest

import medzoo
from medzoo.cli import main

from ..datasets.own_images import write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of two classes, not divided."""
    return write_folder(tmp_path_factory.mktemp("my images") / "moles", {"a": 24, "b": 24})


@pytest.fixture(scope="module")
def weights(folder, tmp_path_factory):
    """A weights file that `medzoo train --data` made."""
    output = tmp_path_factory.mktemp("out")
    command = ["train", "simple_cnn", "--data", str(folder), "--size", "20", "--epochs", "1"]
    assert main([*command, "--output", str(output)]) == 0
    return next((output / "moles" / "models").glob("simple_cnn-seed?.safetensors"))


def test_a_folder_becomes_a_model_of_its_classes_and_size(weights):
    model = medzoo.create_model(weights)
    assert model.dataset.classes == ("a", "b")
    assert model.pretrained_cfg["input_size"] == (1, 20, 20)


def test_the_printed_command_evaluates_the_model(folder, weights, tmp_path, capsys):
    command = ["train", "simple_cnn", "--data", str(folder), "--epochs", "1"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    printed = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert printed[:2] == ["medzoo", "evaluate"]
    assert main([*printed[1:], "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["split"]) == ("moles", "test")
    assert report["n"] == len(medzoo.load_dataset(folder).test)


def test_tables_and_archives_are_evaluated_too(folder, weights, tmp_path, capsys):
    table = tmp_path / "moles.csv"
    rows = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    table.write_text("\n".join(["path,label", *rows]))
    command = ["evaluate", str(weights), "--json", "--split", "val"]
    found = []
    for data in (folder, table):
        assert main([*command, "--data", str(data)]) == 0
        found.append(json.loads(capsys.readouterr().out)["auc"])
    assert found[0] == found[1]


def test_a_folder_with_only_a_test_split_is_evaluated(folder, weights, tmp_path, capsys):
    write_folder(tmp_path / "Testing", {"a": 3, "b": 2})
    command = ["evaluate", str(weights), "--data", str(tmp_path), "--json"]
    with pytest.warns(UserWarning, match="was trained on images of the test split"):
        assert main(command) == 0  # the folders of this file are made of the same images
    assert json.loads(capsys.readouterr().out)["n"] == 5
    with pytest.warns(UserWarning, match="was trained on images of the test split"):
        assert main([*command, "--split", "val"]) == 1
    assert "has no val split, only test" in capsys.readouterr().err


def test_masks_are_refused_until_they_are_excluded(weights, tmp_path, capsys):
    data = write_folder(tmp_path / "busi", {"train/a": 9, "train/b": 9, "test/a": 3, "test/b": 2})
    for image in sorted(data.rglob("00[01].png")):
        image.with_name(f"{image.stem}_mask.png").write_bytes(image.read_bytes() + b"mask")
    output = ["--epochs", "1", "--size", "20", "--output", str(tmp_path / "out")]
    command = ["train", "simple_cnn", "--data", str(data), *output]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "8 of 31 images seem to be masks of others" in error
    assert "--exclude '*_mask*.*'" in error
    with pytest.warns(UserWarning, match="busi has no val split, so 4 of 18 images of train"):
        assert main([*command, "--exclude", "*_mask*.*"]) == 0
    printed = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert printed[-2:] == ["--exclude", "*_mask*.*"]
    with pytest.warns(UserWarning, match="busi has no val split"):
        assert main([*printed[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 5


@pytest.fixture
def patients(folder, tmp_path):
    """A table of the images, whose patients have two images each, and studies one."""
    files = sorted(folder.rglob("*.png"))
    rows = [f"{file},{file.parent.name},p{row // 2},s{row}" for row, file in enumerate(files)]
    table = tmp_path / "patients.csv"
    table.write_text("\n".join(["path,label,patient,study", *rows]))
    return table


def test_groups_are_chosen_for_training_and_in_the_printed_command(patients, tmp_path, capsys):
    command = ["train", "simple_cnn", "--data", str(patients), "--epochs", "1"]
    command += ["--output", str(tmp_path)]
    assert main(command) == 1
    assert "patient, study could each be the group" in capsys.readouterr().err
    assert main([*command, "--group", "patient"]) == 0
    printed = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert printed[-2:] == ["--group", "patient"]
    assert main([*printed[1:], "--json"]) == 0
    n = json.loads(capsys.readouterr().out)["n"]
    assert n == len(medzoo.load_dataset(patients, group="patient").test)
    assert n % 2 == 0


def test_groups_are_switched_off_by_an_empty_name(patients, weights, capsys):
    command = ["evaluate", str(weights), "--data", str(patients), "--json"]
    assert main([*command, "--group", ""]) == 0
    n = json.loads(capsys.readouterr().out)["n"]
    assert n == len(medzoo.load_dataset(patients, group=False).test)


@pytest.mark.parametrize(
    "command",
    [
        ["train", "simple_cnn", "--data", "{folder}"],
        ["train", "simple_cnn", "--dataset", "breastmnist"],
        ["evaluate", "{weights}", "--data", "{folder}"],
        ["evaluate", "{weights}", "--dataset", "breastmnist"],
        ["evaluate", "advanced_cnn.dermamnist"],
        ["export", "advanced_cnn.dermamnist", "{folder}/m.onnx"],
    ],
)
def test_a_group_without_a_table_is_an_error(command, folder, weights, capsys):
    filled = [word.format(folder=folder, weights=weights) for word in command]
    assert main([*filled, "--group", "patient"]) == 1
    assert "group='patient' is only for tables of images" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--data", "--dataset"])
def test_an_export_is_checked_in_the_models_order_of_classes(option, folder, tmp_path, capsys):
    data = medzoo.Dataset.from_folder(folder, size=20, classes=["b", "a"])
    run = medzoo.train("simple_cnn", data, {"epochs": 1}, output=tmp_path, progress=False)
    command = ["export", str(run.weights), str(tmp_path / "m.onnx"), option, str(folder), "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)["model"]
    expected = medzoo.evaluate(run.model, data.val, device="cpu", resamples=0)
    assert (found["val_acc"], found["val_auc"]) == (expected.acc, expected.auc)


def test_other_classes_than_the_models_are_an_error(weights, tmp_path, capsys):
    other = write_folder(tmp_path / "moles", {"a": 5, "B": 5})
    assert main(["evaluate", str(weights), "--data", str(other)]) == 1
    assert "unknown class 'B'" in capsys.readouterr().err


def test_without_data_the_error_says_what_to_give(weights, capsys):
    assert main(["evaluate", str(weights)]) == 1
    error = capsys.readouterr().err
    assert "was trained on moles; give --data or --dataset" in error


@pytest.mark.parametrize("options", [[], ["--dataset", "breastmnist", "--data", "moles"]])
def test_training_needs_one_of_data_and_dataset(options, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "simple_cnn", *options])
    assert stopped.value.code == 2
    assert "--data" in capsys.readouterr().err


def test_a_teacher_and_its_share_reach_the_run(folder, weights, tmp_path, capsys):
    command = ["train", "simple_cnn", "--data", str(folder), "--size", "20", "--epochs", "1"]
    command += ["--output", str(tmp_path), "--json"]
    assert main([*command, "--teacher", str(weights), "--distillation", "0.5"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["distillation"] == 0.5
    # The same folder may be read larger for the random changes, and what teaches.
    high_res = ["--teacher", str(weights), "--distillation", "0.5", "--high-res", "40"]
    assert main([*command, *high_res, "--resume"]) == 1
    assert "another run (other high_res" in capsys.readouterr().err
    assert main([*command, *high_res]) == 0
    capsys.readouterr()
    assert main([*command, "--teacher", str(weights)]) == 1
    assert "would not use the teacher" in capsys.readouterr().err
