"""``medzoo predict --csv`` over many files: written in parts, of which nothing is kept."""

import csv
import os
import tracemalloc
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.cli import main

MODEL = "simple_cnn.dermamnist"
command, call = map(import_module, ("medzoo.cli.predict", "medzoo.prediction.predict"))


@pytest.fixture
def at_once(request, monkeypatch):
    """Predict and write few files at a time; return how many."""
    number = getattr(request, "param", 4)
    monkeypatch.setattr(command, "_ROWS", number)
    monkeypatch.setattr(call, "_BATCHES", 1)
    monkeypatch.setattr(call, "_BATCH", number)
    return number


def rows(table):
    with table.open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize("at_once", [16], indirect=True)
def test_memory_does_not_grow_with_the_number_of_files(at_once, tmp_path):
    """Beside their paths, nothing is kept of files that are in the table."""
    model = medzoo.create_model("simple_cnn", dataset="chestmnist", widths=(1, 1, 1))
    weights = medzoo.save_weights(model, tmp_path / "small.safetensors")
    Image.new("L", (28, 28)).save(tmp_path / "one.png")

    def peak(parts):
        folder = tmp_path / f"images{parts}"
        folder.mkdir()
        for number in range(at_once * parts):
            os.link(tmp_path / "one.png", folder / f"{number}.png")
        table = tmp_path / f"{parts}.csv"
        tracemalloc.start()
        assert main(["predict", str(weights), str(folder), "--csv", str(table)]) == 0
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(rows(table)) == at_once * parts
        return most

    peak(1)  # what is imported and cached
    few, many = peak(3), peak(23)
    assert many - few < 20 * at_once * 400  # bytes: a path takes about 130, a prediction 1,100


@pytest.mark.usefixtures("at_once")
def test_16_bit_images_give_one_warning(tmp_path):
    for number in range(6):
        dark = np.full((28, 28), 100 + 600 * number, np.uint16)
        Image.fromarray(dark).save(tmp_path / f"{number}.png")
    with pytest.warns(UserWarning, match="values up to 4095 in 16-bit images") as said:
        assert main(["predict", MODEL, str(tmp_path), "--csv", str(tmp_path / "out.csv")]) == 0
    assert len(said) == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_what_the_table_lacks_is_printed(lost, at_once, tmp_path, monkeypatch, capsys):
    for name in "abcdefghij":
        Image.new("L", (28, 28)).save(tmp_path / f"{name}.png")
    add, parts = command.GrowingCsv.add, []

    def full_disk(table, some, what):
        parts.append(some)
        if len(parts) == lost:
            raise OSError("No space left")
        add(table, some, what)

    monkeypatch.setattr(command.GrowingCsv, "add", full_disk)
    table, maps = tmp_path / "out" / "a.csv", tmp_path / "maps"
    arguments = ["predict", MODEL, str(tmp_path / "*.png"), "--csv", str(table)]
    assert main([*arguments, "--explain", str(maps)]) == 1
    said = capsys.readouterr()
    assert said.err == "medzoo: error: cannot write the predictions: No space left\n"
    assert len(parts) == lost
    written = [row[0] for row in rows(table)] if table.exists() else []
    printed = [line for line in said.out.splitlines() if line.endswith(".png")]
    assert written + printed == [str(tmp_path / f"{name}.png") for name in "abcdefghij"]
    assert len(written) == at_once * (lost - 1)
    assert len(list(maps.iterdir())) == 10
