"""Outputs of every command: checked before the work, never an input, never at the cost of it."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.cli import main
from medzoo.cli.output.destination import check_outputs
from medzoo.evaluation import report_plots

from ..datasets.own_images import write_folder

MODEL = "simple_cnn.dermamnist"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((28, 28, 3), 99, np.uint8)).save(path)
    return path


@pytest.fixture
def weights(tmp_path, folder):
    data = medzoo.load_dataset(folder, size=28)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    return medzoo.save_weights(model, tmp_path / "own.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("own") / "own", {"benign": 8, "malignant": 8})


@pytest.fixture
def no_work(monkeypatch):
    """Fail if a model is made or data are loaded."""
    for name in ("create_model", "load_dataset", "predict", "evaluate"):
        monkeypatch.setattr(medzoo, name, lambda *_, **__: pytest.fail("worked before checking"))


def refused(command, capsys):
    assert main(list(map(str, command))) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    return said.err


# What is read


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("option", ["--explain", "--csv"])
def test_an_image_is_not_replaced_by_what_is_said_about_it(option, image, capsys, tmp_path):
    content = image.read_bytes()
    (tmp_path / "link.png").symlink_to(image)
    (tmp_path / "hard.png").hardlink_to(image)
    for out in (image, tmp_path / "link.png", tmp_path / "hard.png", f"{tmp_path}/a/../x.png"):
        error = refused(["predict", MODEL, image, option, out], capsys)
        assert f"{option} {out} would replace {image}; give another path" in error
    assert image.read_bytes() == content


def test_no_input_is_replaced(image, weights, folder, no_work, tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text("image,label\nx.png,a\n")
    one = next(folder.rglob("*.png"))
    for command in (
        ["predict", weights, image, "--csv", weights],
        ["predict", MODEL, image, "--csv", tmp_path / "b.png", "--explain", tmp_path / "b.png"],
        ["calibrate", weights, "--data", folder, "--output", weights, "--overwrite"],
        ["preview", one, "--out", one, "--overwrite"],
    ):
        assert "would replace" in refused(command, capsys)
    for command in (
        ["preview", folder, "--out", one, "--overwrite"],
        ["preview", folder, "--out", folder / "preview.png"],
        ["evaluate", weights, "--data", folder, "--plots", folder / "plots"],
        ["predict", MODEL, folder, "--explain", folder / "maps"],
    ):
        assert "whose files are read; give a path outside of it" in refused(command, capsys)


def test_a_table_may_be_in_the_folder_of_the_images(tmp_path):
    check_outputs([("--csv", tmp_path / "a.csv")], [tmp_path])
    (tmp_path / "a.csv").touch()
    with pytest.raises(ValueError, match="whose files are read"):
        check_outputs([("--csv", tmp_path / "a.csv")], [tmp_path])


@pytest.mark.skipif(os.name != "posix", reason="needs devices")
def test_a_device_is_an_output_like_any_other():
    null = Path(os.devnull)
    check_outputs([("--csv", null), ("--output", null)], [null], overwrite=False)


# What cannot be written


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["predict", MODEL, "x.png", "--csv", "a-file/a.csv"], "--csv a-file/a.csv cannot be"),
        (["predict", MODEL, "x.png", "--csv", "b" * 300], "File name too long"),
        (["predict", MODEL, "x.png", "deep/y.png", "--explain", "maps"], "deep/y.png.png cannot"),
        (["evaluate", MODEL, "--plots", "plots"], "plots/reliability.png is a folder"),
        (["evaluate", MODEL, "--plots", "a-file/plots"], "--plots a-file/plots/confusion.png cann"),
        (["evaluate", MODEL, "--report", "report.png"], "must end in .html or .htm"),
        (["evaluate", MODEL, "--report", "a-file/a.html"], "--report a-file/a.html cannot be"),
        (["evaluate", MODEL, "--explain"], "--explain needs --report"),
        (["calibrate", MODEL, "--output", "a-file/a.safetensors"], "cannot be written"),
        (["calibrate", MODEL, "--output", "a.pt"], "--output a.pt must end in .safetensors"),
        (["preview", "own", "--out", "a-file/a.png"], "cannot be written"),
        (["export", MODEL, "a-file/a.onnx"], "the output a-file/a.onnx cannot be written"),
        (["export", MODEL, "a.xyz"], "must end in .onnx or .pt2"),
        (["export", MODEL, "folder.onnx"], "is a folder"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else value[0],
)
def test_it_is_found_before_the_work(command, why, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    for name in ("plots/reliability.png", "folder.onnx", "maps"):
        Path(name).mkdir(parents=True)
    Path("maps/deep").touch()
    before = sorted(tmp_path.rglob("*"))
    assert why in refused(command, capsys)
    assert sorted(tmp_path.rglob("*")) == before


# What is known by then


@pytest.fixture
def full_disk(monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.usefixtures("full_disk")
def test_predictions_are_printed_if_the_table_cannot_be_written(image, tmp_path, capsys):
    command = ["predict", MODEL, str(image), "--csv", str(tmp_path / "a.csv")]
    assert main(command) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == str(image)
    assert "melanoma" in said.out
    assert "table:" not in said.out
    assert said.err.startswith("medzoo: error: cannot write the predictions to")
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["image"] == str(image)


def test_predictions_are_printed_if_a_heat_map_fails(image, tmp_path, monkeypatch, capsys):
    class Later:
        calls = 0

        def __call__(self, *arguments):
            Later.calls += 1
            if Later.calls > 1:
                raise RuntimeError("no more")
            return explain(*arguments)

    explain = medzoo.explain
    monkeypatch.setattr(medzoo, "explain", Later())
    assert main(["predict", MODEL, str(image), "--explain", str(tmp_path / "maps")]) == 1
    said = capsys.readouterr()
    assert "melanoma" in said.out
    assert said.err == "medzoo: error: cannot write the heat maps: no more\n"


def test_scores_are_printed_if_a_plot_fails(weights, folder, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise MemoryError

    monkeypatch.setitem(report_plots._PLOTS, "per_class", fail)
    command = ["evaluate", str(weights), "--data", str(folder), "--split", "train"]
    assert main([*command, "--plots", str(tmp_path / "plots")]) == 1
    said = capsys.readouterr()
    assert "train split: " in said.out
    assert "plots:" not in said.out
    assert f"cannot write the plots into {tmp_path / 'plots'}: MemoryError()" in said.err


def test_counts_and_temperature_are_printed_without_their_files(
    weights, folder, full_disk, tmp_path, capsys
):
    out = str(tmp_path / "new.safetensors")
    command = ["calibrate", str(weights), "--data", str(folder), "--output", out]
    assert main([*command, "--coverage", "none"]) == 1
    said = capsys.readouterr()
    assert "temperature" in said.out
    assert out not in said.out
    assert "cannot write the weights" in said.err
    assert main(["preview", str(folder), "--out", str(tmp_path / "a.png"), "--quick"]) == 1
    said = capsys.readouterr()
    assert "benign" in said.out
    assert "picture of" not in said.out
    assert "cannot write the picture" in said.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "medzoo", "models"], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"cannot write the result to 'standard output': No space left" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_a_program_without_standard_streams_writes_its_files(image, tmp_path):
    table = tmp_path / "x.csv"
    command = [sys.executable, "-m", "medzoo", "predict", MODEL, str(image), "--csv", str(table)]
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>"$0"', str(tmp_path / "err"), *command])
    assert (tmp_path / "err").read_text() == ""
    assert done.returncode == 0
    assert table.read_text().count("\n") == 2
