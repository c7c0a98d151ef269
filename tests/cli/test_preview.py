"""``medzoo preview``, as a user calls it."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.cli import main

from ..datasets.own_images import write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("preview") / "moles", {"benign": 20, "other": 10})


def test_a_folder_is_counted_and_drawn(folder, tmp_path, capsys):
    picture = tmp_path / "new" / "moles.png"
    assert main(["preview", str(folder), "--out", str(picture), "--quick"]) == 0
    printed = capsys.readouterr().out
    data = medzoo.load_dataset(folder)
    counts = [str((data.splits[name].labels == 0).sum().item()) for name in data.splits]
    assert ["benign", *counts] in [line.split() for line in printed.splitlines()]
    assert "not searched (--quick)" in printed
    assert printed.splitlines()[-1] == f"picture of the train split: {picture}"
    assert Image.open(picture).format == "PNG"


def test_json_and_near_duplicates(folder, tmp_path, capsys):
    out = str(tmp_path / "a.png")
    assert main(["preview", str(folder), "--out", out, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert sum(values["images"].values()) == 30
    assert {"counts", "pairs"} <= values["leakage"].keys()
    assert values["picture"] == out


def test_a_class_that_a_split_lacks_is_named(tmp_path, capsys):
    labels = {"train": [0, 1], "val": [0, 0], "test": [1, 0]}
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28), np.uint8)
    arrays = {f"{name}_labels": np.array(values)[:, None] for name, values in labels.items()}
    np.savez(tmp_path / "few.npz", **arrays, **{f"{name}_images": images for name in labels})
    command = ["preview", str(tmp_path / "few.npz"), "--out", str(tmp_path / "a.png"), "--quick"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "warning: no val images of '1'" in printed
    assert "2 in train and val, 2 in train and test" in printed


@pytest.mark.parametrize(("out", "why"), [("a.xyz", "must end in .png"), ("f/a.png", "cannot be")])
def test_a_picture_that_cannot_be_written_is_refused_first(out, why, tmp_path, monkeypatch, capsys):
    (tmp_path / "f").touch()
    monkeypatch.setattr(medzoo, "load_dataset", lambda *_, **__: pytest.fail("worked first"))
    assert main(["preview", "x/", "--out", str(tmp_path / out)]) == 1
    assert why in capsys.readouterr().err


def test_data_with_one_split_and_unknown_labels_are_counted(tmp_path, capsys):
    images = np.zeros((4, 28, 28), np.uint8)
    labels = np.array([[1, -1], [1, 0], [0, 1], [-1, 1]], np.int8)
    np.savez(tmp_path / "own.npz", test_images=images, test_labels=labels)
    assert main(["preview", str(tmp_path / "own.npz"), "--out", str(tmp_path / "a.png")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^0 +2$", said, re.MULTILINE)
    assert re.search(r"^1 +2$", said, re.MULTILINE)
    assert "identical images in two splits: there is only one split" in said


def test_a_picture_is_replaced_only_if_asked(folder, tmp_path, capsys):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"mine")
    command = ["preview", str(folder), "--out", str(picture), "--quick"]
    assert main(command) == 1
    assert "exists; give another path, or --overwrite" in capsys.readouterr().err
    assert picture.read_bytes() == b"mine"
    assert main([*command, "--overwrite"]) == 0
    assert picture.read_bytes() != b"mine"
