"""``medzoo predict``, as a user calls it."""

import csv
import io
import json
import os
import re
import sys
from dataclasses import replace
from operator import length_hint

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo import prediction
from medzoo.cli import main
from medzoo.cli.predict import _overlays

MODEL = "simple_cnn.dermamnist"


@pytest.fixture
def folder(tmp_path):
    """Two images, one of them in a subfolder, and a broken one."""
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


@pytest.fixture
def plain(tmp_path):
    """A weights file whose model gives no prediction sets and marks no image as unfamiliar."""
    model = medzoo.create_model(MODEL, pretrained=True)
    model.ood_detector = None
    model.spec = replace(model.spec, conformal=None)
    return str(medzoo.save_weights(model, tmp_path / "plain.safetensors"))


def test_patterns_and_plain_text(folder, plain, capsys):
    assert main(["predict", plain, f"{folder}/**/*.png", "--top-k", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(folder / "a.png")
    assert lines[2] == str(folder / "broken.png")
    assert lines[3].startswith("error: cannot read")
    assert lines[5].startswith("unfamiliar images are not marked")
    assert len(lines) == 6


@pytest.fixture
def with_sets(tmp_path):
    """A weights file whose model gives prediction sets."""
    model = medzoo.create_model(MODEL, pretrained=True)
    sets = medzoo.ConformalSpec("lac", 0.9, (0.001,), 1003)
    model.spec = replace(model.spec, conformal=sets)
    return str(medzoo.save_weights(model, tmp_path / "sets.safetensors"))


def test_prediction_sets_are_printed_and_have_a_column(folder, with_sets, tmp_path, capsys):
    image, table = str(folder / "a.png"), tmp_path / "table.csv"
    expected = medzoo.predict(with_sets, image).prediction_set
    assert len(expected) > 1
    assert main(["predict", with_sets, image]) == 0
    assert f"90 % set: {'; '.join(expected)}" in capsys.readouterr().out.splitlines()
    assert main(["predict", with_sets, str(folder), "--csv", str(table), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values[0]["prediction_set"] == list(expected)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["path", "label", "prediction_set"]
    assert rows[0]["prediction_set"].split(";") == list(expected)
    assert rows[1]["prediction_set"] == ""
    assert rows[1]["error"]


def test_images_below_the_confidence_get_no_answer(folder, tmp_path, capsys):
    table = tmp_path / "table.csv"
    sure = ["--min-confidence", "1"]
    assert main(["predict", MODEL, str(folder), "--csv", str(table), *sure]) == 0
    assert re.search(r"\(no answer\) +2\n", capsys.readouterr().out)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["abstained"] for row in rows] == ["yes", "", "yes"]
    assert {row["label"] for row in rows} == {""}
    assert main(["predict", MODEL, str(folder / "a.png"), *sure]) == 0
    assert "no answer: not as sure as asked for" in capsys.readouterr().out
    assert main(["predict", MODEL, str(folder / "a.png"), "--min-confidence", "2"]) == 1
    assert "must be a number from 0 to 1" in capsys.readouterr().err


def test_images_above_the_risk_get_no_answer(folder, tmp_path, capsys):
    model = medzoo.create_model(MODEL, pretrained=True)
    risks = medzoo.SelectiveSpec((0.0, 0.9999), (0.4, 0.1), 0.95, 1003)
    model.spec = replace(model.spec, selective=risks)
    path = str(medzoo.save_weights(model, tmp_path / "risks.safetensors"))
    table = tmp_path / "table.csv"
    arguments = ["predict", path, str(folder), "--csv", str(table), "--abstain-above"]
    assert main([*arguments, "0.2"]) == 0
    assert re.search(r"\(no answer\) +2\n", capsys.readouterr().out)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["abstained"] for row in rows] == ["yes", "", "yes"]
    assert [row["risk"] for row in rows] == ["0.4", "", "0.4"]
    assert main([*arguments, "0.05"]) == 1
    assert "show no lower risk than 0.1" in capsys.readouterr().err
    assert main(["predict", MODEL, str(folder / "a.png"), "--abstain-above", "0.2"]) == 1
    assert "medzoo calibrate" in capsys.readouterr().err


def test_a_table_has_a_row_for_each_file(folder, plain, tmp_path, capsys):
    table = tmp_path / "out" / "table.csv"
    assert main(["predict", plain, str(folder), "--csv", str(table), "--json"]) == 0
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


def test_with_a_table_a_summary_is_printed(folder, tmp_path, capsys):
    table = tmp_path / "table.csv"
    assert main(["predict", MODEL, str(folder), "--csv", str(table)]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == "images predicted: 2; could not be read: 1"
    answers = medzoo.predict(
        medzoo.create_model(MODEL, pretrained=True), [folder / "a.png", folder / "deep" / "a.jpg"]
    )
    counts = dict.fromkeys(medzoo.dataset_info("dermamnist").classes, 0)
    for answer in answers:
        counts[answer.label] += 1
    rows = {
        line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in lines[2 : 2 + len(counts)]
    }
    assert rows == {name: str(count) for name, count in counts.items()}
    assert str(folder / "broken.png") in lines
    assert lines[-1] == f"table: {table}"


def _rows(table):
    with table.open(newline="") as file:
        return list(csv.reader(file))[1:]


def test_a_table_is_resumed_after_a_crash(folder, tmp_path, capsys, monkeypatch):
    whole, table = tmp_path / "whole.csv", tmp_path / "table.csv"
    assert main(["predict", MODEL, str(folder), "--csv", str(whole)]) == 0
    iter_predictions, asked = prediction.iter_predictions, []

    def killed(model, paths, **options):
        asked.append(length_hint(paths))
        for number, outcome in enumerate(iter_predictions(model, paths, **options)):
            if len(asked) == 1 and number == 1:
                raise KeyboardInterrupt
            yield outcome

    monkeypatch.setattr(medzoo.cli.predict, "_ROWS", 1)
    monkeypatch.setattr(prediction, "iter_predictions", killed)
    resumable = ["predict", MODEL, str(folder), "--csv", str(table), "--resume"]
    assert main(resumable) == 130
    with table.open("ab") as stream:
        stream.write(b'"half a ro')
    capsys.readouterr()
    assert main(resumable) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "in the table already: 1",
        "images predicted: 1; could not be read: 1",
    ]
    assert asked == [3, 2]
    content = table.read_bytes()
    for found, expected in zip(_rows(table), _rows(whole), strict=True):
        assert [found[0], found[1], found[-1]] == [expected[0], expected[1], expected[-1]]
        if not found[-1]:  # batches of another size are rounded differently
            numbers = [list(map(float, row[3:-3])) for row in (found, expected)]
            assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, abs=1e-9)
    assert main(resumable) == 0  # nothing is left
    assert asked == [3, 2, 0]
    assert table.read_bytes() == content


def test_resuming_needs_a_table(folder, capsys):
    assert main(["predict", MODEL, str(folder), "--resume"]) == 1
    assert "--csv FILE" in capsys.readouterr().err


def test_a_summary_of_many_unreadable_files_is_short(folder, tmp_path, capsys):
    for number in range(8):
        (folder / f"bad{number}.png").write_text("no image")
    assert main(["predict", MODEL, str(folder), "--csv", str(tmp_path / "table.csv")]) == 0
    assert "... and 4 more; the table has all of them" in capsys.readouterr().out


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
    width, height = Image.open(overlay).size
    assert width > 2 * 40  # the image beside it
    assert height > 30  # class and probability above it


def test_explaining_several_fills_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "cams"
    assert main(["predict", MODEL, str(folder), "--explain", str(out)]) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == ["a.png.png", "deep/a.jpg.png"]
    assert main(["predict", MODEL, str(folder), "--explain", str(tmp_path / "one.png")]) == 1
    assert "give a folder" in capsys.readouterr().err


def test_a_threshold_is_not_for_several_classes(folder, capsys):
    assert main(["predict", MODEL, str(folder), "--threshold", "0.3"]) == 1
    assert "the most probable class" in capsys.readouterr().err


@pytest.fixture
def no_predictions(monkeypatch):
    """Fail if anything is predicted."""
    monkeypatch.setattr(
        prediction, "iter_predictions", lambda *_, **__: pytest.fail("predicted before checking")
    )


@pytest.mark.usefixtures("no_predictions")
@pytest.mark.parametrize(
    ("option", "out", "reason"),
    [
        ("--csv", "a-file/table.csv", "cannot be written"),
        ("--csv", "scans", "is a folder"),
        ("--explain", "a-file/overlays", "cannot be written"),
        ("--explain", "a-file/overlay.png", "cannot be written"),
        ("--explain", "overlay.xyz", "unknown suffix"),
        ("--explain", "overlay.xbm", "cannot write mode RGB"),
    ],
)
def test_what_cannot_be_written_is_told_before_predicting(
    option, out, reason, folder, tmp_path, capsys
):
    (tmp_path / "a-file").touch()
    assert main(["predict", MODEL, str(folder / "a.png"), option, str(tmp_path / out)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert out in said
    assert reason in said


@pytest.mark.usefixtures("no_predictions")
def test_without_captum_nothing_is_predicted(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    assert main(["predict", MODEL, str(folder), "--explain", str(tmp_path / "cams")]) == 1
    assert "medzoo[explain]" in capsys.readouterr().err


def test_a_slash_at_the_end_means_a_folder(folder, tmp_path):
    out = tmp_path / "cams.d"
    assert main(["predict", MODEL, str(folder), "--explain", f"{out}/"]) == 0
    assert (out / "a.png.png").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, names of files are Unicode")
def test_a_name_that_is_not_utf_8(folder, tmp_path, capsys):
    name = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")
    (folder / "a.png").rename(name)
    assert main(["predict", MODEL, name]) == 0
    assert r"caf\xe9.png" in capsys.readouterr().out
    broken = os.fsdecode(os.fsencode(folder) + b"/br\xe9.png")
    (folder / "broken.png").rename(broken)
    assert main(["predict", MODEL, name, broken, "--csv", str(tmp_path / "table.csv")]) == 0
    assert r"br\xe9.png" in capsys.readouterr().out  # the summary names what could not be read
    assert os.fsencode(name) in (tmp_path / "table.csv").read_bytes()


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.png", "b/a.png"], ["a.png.png", "b/a.png.png"]),
        (["b/../../up.png", "a.png"], ["up.png.png", "scans/a.png.png"]),
        (["b/../a.png", "a.png", "./a.png"], ["a.png.png", "a.png-2.png", "a.png-3.png"]),
        (["A.png", "a.png"], ["A.png.png", "a.png-2.png"]),  # one file on some systems
        (["a.png", "a.png"], ["a.png.png"]),
        (["é" * 130 + ".png"], ["é" * 120 + ".png"]),
        (["é" * 125 + "a.png", "é" * 125 + "b.png"], ["é" * 120 + ".png", "é" * 120 + "-2.png"]),
    ],
)
def test_heat_maps_are_in_their_folder_and_none_replaces_another(
    paths, names, tmp_path, monkeypatch
):
    (tmp_path / "scans").mkdir()
    monkeypatch.chdir(tmp_path / "scans")
    found = _overlays("maps", paths)
    assert [str(path) for path in found.values()] == [f"maps/{name}" for name in names]
    assert all(len(os.fsencode(part)) <= 255 for path in found.values() for part in path.parts)


def test_absolute_and_relative_images_have_heat_maps_in_the_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder / "deep")
    images = ["../a.png", str(folder / "deep" / "a.jpg")]
    assert main(["predict", MODEL, *images, "--explain", str(tmp_path / "maps")]) == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png.png")}
    assert written == {"maps/a.png.png"}
    assert (tmp_path / "maps" / "deep" / "a.jpg.png").exists()


NAMES = ("=HYPERLINK(1)", "a\rb", "\x1b[31mred", "-1", "$\\frac{$", "<b>|x", "+x")


@pytest.fixture
def hostile(tmp_path):
    """A model whose classes have names that mean something to other programs."""
    labels = np.arange(14) % 7
    images = np.random.default_rng(0).integers(0, 255, (14, 28, 28), np.uint8)
    data = medzoo.Dataset.from_arrays(train=(images, labels), test=(images, labels), classes=NAMES)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    return str(medzoo.save_weights(model, tmp_path / "hostile.safetensors"))


def test_a_table_is_safe_to_open(hostile, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    for name in ("=cmd.png", "a\rb,c.png", "ok.png"):
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "scans" / name)
    monkeypatch.chdir(tmp_path / "scans")
    assert main(["predict", hostile, "*.png", "--csv", "../table.csv"]) == 0
    assert not set(capsys.readouterr().out) & {"\x1b", "\r"}
    content = (tmp_path / "table.csv").read_bytes()
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert [len(row) for row in rows] == [10] * 4
    assert rows[0][2:-1] == ["'=HYPERLINK(1)", "a\rb", "\x1b[31mred", "-1", *NAMES[4:6], "'+x"]
    assert [row[0] for row in rows[1:]] == ["'=cmd.png", "a\rb,c.png", "ok.png"]
    assert sum(map(float, rows[1][2:-1])) == pytest.approx(1)
    assert b'"ok.png","' in content
    assert b',"0.' not in content  # numbers stay numbers


@pytest.mark.parametrize("command", ["predict", "info"])
def test_names_do_not_control_the_terminal(command, hostile, folder, capsys):
    (folder / "a.png").rename(folder / "a\x1b[2J\nmelanoma 1.000.png")
    images = [str(folder)] if command == "predict" else []
    assert main([command, hostile, *images]) == 0
    said = capsys.readouterr()
    assert not set(said.out + said.err) & {"\x1b", "\r"}
    assert r"\x1b[31mred" in said.out
    assert "\nmelanoma 1.000" not in said.out
    assert main([command, "no\x1bfile.safetensors", *images]) == 1
    assert r"no\x1bfile" in capsys.readouterr().err
