"""`medzoo search`: from a folder of images to the command that trains by the best recipe."""

import argparse
import json
import shlex

import pytest

import medzoo
from medzoo.cli import main
from medzoo.cli.search import seconds
from medzoo.search.trial import objective

from ..datasets.own_images import write_folder
from ..search.formula import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("my images") / "moles", {"a": 24, "b": 24})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1h30m", 5400), ("1d", 86400)],
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "h", "2 hours", "-1h", "1h30", "nan", "2h!"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"give e\.g\. 90s, 20m or 1h30m"):
        seconds(text)


def test_the_printed_command_trains_by_the_best_recipe(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["search", "--data", str(folder), "--size", "20", "--models", "simple_cnn"]
    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", train)
        assert main([*command, "--trials", "2"]) == 0
        said = capsys.readouterr()
        assert main([*command, "--trials", "2", "--json"]) == 0  # which finds all trials done
        values = json.loads(capsys.readouterr().out)
    assert said.out.startswith("2 trials: 2 complete, 0 pruned, 0 failed\n")
    assert "the recipe that it started from" in said.out
    assert said.err.count("trial ") == 2 + said.err.count("(trial ")
    printed = shlex.split(said.out.splitlines()[-1])
    assert printed[:3] == ["medzoo", "train", "simple_cnn"]
    output = tmp_path / "training_results" / "moles" / "search"
    assert {"best.json", "study.db", "history.png", "slices.png"} <= {
        path.name for path in output.iterdir()
    }
    assert main([*printed[1:], "--epochs", "1"]) == 0
    weights = next((tmp_path / "training_results" / "moles" / "models").glob("*seed0.safetensors"))
    trained = medzoo.weights.read_config(weights).training["recipe"]
    assert trained == {**values["recipe"], "epochs": 1}


def test_groups_of_a_table_are_not_divided(folder, tmp_path, capsys):
    table = tmp_path / "moles.csv"
    table.write_text("path,label,patient\n")
    command = ["search", "--data", str(table), "--group", "patient", "--folds", "3"]
    assert main([*command, "--trials", "1"]) == 1
    assert "does not keep the groups" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(folder, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(objective, "train", interrupt)
    command = ["search", "--data", str(folder), "--trials", "1", "--output", str(tmp_path)]
    assert main(command) == 130
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "varied"),
    [
        ([], set()),
        (["--architecture", "depth"], {"depth"}),
        (["--architecture"], {"depth", "kernel_size", "stem_stride", "width"}),
    ],
)
def test_all_or_some_arguments_of_an_architecture_vary(
    folder, tmp_path, monkeypatch, capsys, option, varied
):
    monkeypatch.setattr(objective, "train", train)
    command = ["search", "--data", str(folder), "--size", "20", "--models", "simple_cnn"]
    command += ["--trials", "1", "--output", str(tmp_path), "--json"]
    assert main([*command, *option]) == 0
    (trial,) = json.loads(capsys.readouterr().out)["trials"]
    names = [name for name in trial["params"] if name.startswith("simple_cnn.")]
    assert {name.removeprefix("simple_cnn.").rstrip("_123") for name in names} == varied
