"""``medzoo calibrate``, and what ``medzoo train`` says about calibration and earlier runs."""

import csv
import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.cli.main import main
from medzoo.weights import read_config


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A made-up data set in medmnist's file format. Do not change it."""
    rng = np.random.default_rng(0)
    parts = {}
    for split, count in (("train", 32), ("val", 24), ("test", 8)):
        labels = np.arange(count) % 2
        images = rng.integers(0, 120, (count, 28, 28)) + 100 * labels[:, None, None]
        parts |= {f"{split}_images": images.astype(np.uint8), f"{split}_labels": labels[:, None]}
    path = tmp_path_factory.mktemp("data") / "own.npz"
    np.savez(path, **parts)
    return path


def training(file, folder, *extra):
    arguments = ["train", "simple_cnn", "--data", str(file), "--epochs", "2", *extra]
    return main([*arguments, "--output", str(folder / "out")])


@pytest.fixture(scope="module")
def trained(file, tmp_path_factory):
    """What `medzoo train` printed about weights. Do not change their file."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert training(file, tmp_path_factory.mktemp("trained"), "--json") == 0
    return json.loads(printed.getvalue())


def test_calibrate_writes_a_new_file_and_says_what_changed(file, trained, tmp_path, capsys):
    weights, fitted = trained["weights"], trained["calibration"]["temperature"]
    model = medzoo.create_model(weights)
    assert model.temperature == fitted
    with pytest.warns(UserWarning, match="gives none any more"):
        model.temperature = 5.0
    other = medzoo.save_weights(
        model, tmp_path / "other.safetensors", training=read_config(weights).training
    )
    content = other.read_bytes()

    target = tmp_path / "new" / "calibrated.safetensors"
    command = ["calibrate", str(other), "--data", str(file), "--output", str(target)]
    assert main([*command, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["temperature"] == pytest.approx(fitted)
    assert values["nll"] < values["nll_before"]
    assert other.read_bytes() == content
    assert medzoo.create_model(target).temperature == values["temperature"]
    written = read_config(target).training
    assert written["recipe"] == read_config(weights).training["recipe"]
    assert written["calibration"]["split"] == "val"

    content = target.read_bytes()
    assert main(command) == 1
    assert "exists; give another path, or --overwrite" in capsys.readouterr().err
    assert target.read_bytes() == content
    small = ["--split", "test", "--coverage", "none"]
    assert main([*command, "--overwrite", *small]) == 0
    assert "ECE" in capsys.readouterr().out
    assert read_config(target).training["calibration"]["split"] == "test"


def test_calibrate_fits_the_sets_that_are_asked_for(file, tmp_path, capsys):
    model = medzoo.create_model("simple_cnn", dataset=medzoo.load_dataset(file))
    weights = medzoo.save_weights(model, tmp_path / "a.safetensors")
    target = tmp_path / "b.safetensors"
    command = ["calibrate", str(weights), "--data", str(file), "--output", str(target)]
    options = ["--coverage", "0.8", "--method", "aps", "--class-conditional"]
    assert main([*command, *options]) == 0
    assert "80 % sets (APS), threshold" in capsys.readouterr().out
    sets = medzoo.create_model(target).spec.conformal
    assert (sets.method, sets.coverage, sets.images) == ("aps", 0.8, 24)
    assert len(sets.thresholds) == 2
    stored = read_config(target).training["calibration"]["conformal"]
    assert stored == sets.to_dict()

    assert main([*command, "--overwrite", "--coverage", "none"]) == 0
    assert medzoo.create_model(target).spec.conformal is None
    assert main([*command, "--overwrite", "--coverage", "0.99"]) == 1
    assert "has 24 images, too few for a coverage of 0.99" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--coverage", "much"])
    assert "'much' is not a number between 0 and 1, or none" in capsys.readouterr().err


def test_calibrate_fits_what_marks_unfamiliar_images(file, tmp_path, capsys):
    assert training(file, tmp_path, "--no-ood-detector", "--json") == 0
    weights = json.loads(capsys.readouterr().out)["weights"]
    assert medzoo.create_model(weights).ood_detector is None
    target = str(tmp_path / "new.safetensors")
    command = ["calibrate", weights, "--data", str(file), "--output", target, "--ood-detector"]
    assert main(command) == 0
    Image.new("L", (28, 28), 255).save(tmp_path / "white.png")
    table = tmp_path / "table.csv"
    capsys.readouterr()
    assert main(["predict", target, str(tmp_path / "white.png")]) == 0
    assert "warning: unlike the images" in capsys.readouterr().out
    assert main(["predict", target, str(tmp_path / "white.png"), "--csv", str(table)]) == 0
    assert "unlike the images that the model was trained on: 1" in capsys.readouterr().out
    with table.open(newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert row["unfamiliar"] == "True"
    assert float(row["ood_score"]) > 1


def test_train_says_what_it_will_do_and_keeps_what_was_there(file, tmp_path, capsys):
    short = (file, tmp_path, "--epochs", "1", "--no-ood-detector")
    assert training(*short) == 0
    first = capsys.readouterr()
    assert " steps of " in first.err
    assert "Calibrated on the validation split: temperature" in first.out
    assert training(*short) == 0
    assert "simple_cnn-seed0-2.safetensors" in capsys.readouterr().out
    assert training(*short, "--overwrite") == 0
    assert "simple_cnn-seed0-2.safetensors" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        training(*short, "--overwrite", "--resume")


def test_a_missing_split_is_one_line(file, tmp_path, capsys):
    with np.load(file) as arrays:
        np.savez(tmp_path / "test.npz", **{k: v for k, v in arrays.items() if k[:4] == "test"})
    where = ["--data", str(tmp_path / "test.npz"), "--output", str(tmp_path / "new.safetensors")]
    assert main(["calibrate", "simple_cnn.breastmnist", *where]) == 1
    assert "has no val split" in capsys.readouterr().err


def test_weights_that_know_the_images_from_training_are_warned_of(file, trained, tmp_path):
    with np.load(file) as arrays:
        other = {
            f"{split}_{what}": arrays[f"{taken}_{what}"]
            for split, taken in (("train", "test"), ("val", "train"), ("test", "val"))
            for what in ("images", "labels")
        }
    np.savez(tmp_path / "renamed.npz", **other)
    on = ["--data", str(tmp_path / "renamed.npz")]
    for command in (
        ["calibrate", trained["weights"], *on, "--output", str(tmp_path / "new.safetensors")],
        ["evaluate", trained["weights"], *on],
    ):
        with pytest.warns(UserWarning, match="was trained on images of the val split of renamed"):
            assert main(command) == 0


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_calibrated_weights_are_as_small_as_they_were(file, precision, tmp_path):
    model = medzoo.create_model("simple_cnn", dataset=medzoo.load_dataset(file))
    before = medzoo.save_weights(model, tmp_path / "a.safetensors", precision=precision)
    after = tmp_path / "b.safetensors"
    assert main(["calibrate", str(before), "--data", str(file), "--output", str(after)]) == 0
    assert after.stat().st_size < 1.02 * before.stat().st_size
    assert read_config(after).precision == precision
