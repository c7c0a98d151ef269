"""``medzoo predict``, as a user calls it."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.cli import main

MODEL = "simple_cnn.dermamnist"


@pytest.fixture
def folder(tmp_path):
    """Two images, one of them in a folder of its own, and a broken one."""
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), np.uint8)
    Image.fromarray(noise[0]).save(folder / "a.png")
    Image.fromarray(noise[1]).save(folder / "deep" / "a.jpg")
    (folder / "broken.png").write_text("no image")
    return folder


def test_a_folder_and_what_could_not_be_read(folder, capsys):
    assert main(["predict", MODEL, str(folder), "--json"]) == 0
    said = capsys.readouterr()
    values = json.loads(said.out)
    paths = [str(folder / name) for name in ("a.png", "broken.png", "deep/a.jpg")]
    assert [value["image"] for value in values] == paths
    assert "unknown format" in values[1]["error"]
    expected = medzoo.predict(medzoo.create_model(MODEL, pretrained=True), paths[0])
    assert values[0]["probabilities"] == pytest.approx(expected.probabilities, rel=1e-4)
    assert values[0]["labels"] == [expected.label]
    assert said.err == "medzoo: 1 of 3 images could not be read\n"


def test_patterns_and_plain_text(folder, capsys):
    assert main(["predict", MODEL, f"{folder}/**/*.png", "--top-k", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(folder / "a.png")
    assert lines[2] == str(folder / "broken.png")
    assert lines[3].startswith("error: cannot read")
    assert len(lines) == 4


def test_a_table_has_a_row_for_each_file(folder, tmp_path, capsys):
    table = tmp_path / "out" / "table.csv"
    assert main(["predict", MODEL, str(folder), "--csv", str(table), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    with table.open(newline="") as file:
        head, *rows = csv.reader(file)
    classes = medzoo.dataset_info("dermamnist").classes
    assert head == ["path", "label", *classes, "error"]
    assert [row[0] for row in rows] == [value["image"] for value in values]
    for value, row in zip(values, rows, strict=True):
        if "error" in value:
            assert row[1:] == [""] * (len(classes) + 1) + [value["error"]]
        else:
            assert row[1] == value["labels"][0]
            assert row[-1] == ""
            found = dict(zip(classes, map(float, row[2:-1]), strict=True))
            assert found == value["probabilities"]


def test_nothing_readable_is_exit_code_1_with_a_table_all_the_same(folder, tmp_path, capsys):
    table = tmp_path / "table.csv"
    arguments = ["predict", MODEL, str(folder / "broken.png"), "nowhere.png", "--csv", str(table)]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "broken.png" in said.err
    assert len(table.read_text().splitlines()) == 3


def test_explaining_one_image_writes_a_file(folder, tmp_path, capsys):
    overlay = tmp_path / "cam.png"
    assert main(["predict", MODEL, str(folder / "a.png"), "--explain", str(overlay)]) == 0
    assert Image.open(overlay).size == (40, 30)


def test_explaining_several_fills_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "cams"
    assert main(["predict", MODEL, str(folder), "--explain", str(out)]) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == ["a.png.png", "deep/a.jpg.png"]
    assert main(["predict", MODEL, str(folder), "--explain", str(tmp_path / "one.png")]) == 1
    assert "give a folder" in capsys.readouterr().err


def test_a_threshold_is_for_several_labels(folder, capsys):
    assert main(["predict", MODEL, str(folder), "--threshold", "0.3"]) == 1
    assert "multi-label" in capsys.readouterr().err
