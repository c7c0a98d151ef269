"""The scores of a group are those of its images alone."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

import medzoo
from medzoo.cli import main
from medzoo.evaluation import Report
from medzoo.evaluation.groups import group_names
from tests.evaluation.test_evaluate import Net

SITES = ["b"] * 50 + ["a"] * 40 + [None] * 6 + [math.nan] * 4


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("dermamnist", n_train=4, n_val=4, n_test=100, seed=1)


@pytest.fixture(scope="module")
def report(data):
    return medzoo.evaluate(Net(data.info), data.test, groups=SITES, resamples=30)


def test_each_group_is_scored_like_a_split_of_its_images(data, report):
    assert [(one["name"], one["n"], one["small"]) for one in report.groups] == [
        ("a", 40, False),
        ("b", 50, False),
        ("(missing)", 10, True),
    ]
    alone = medzoo.evaluate(Net(data.info), data.test.subset(slice(50, 90)), resamples=30)
    group = report.groups[0]
    for name, value in group["scores"].items():
        assert value == pytest.approx(getattr(alone, name), abs=1e-9, nan_ok=True), name
    assert {*group["intervals"]} == {*alone.intervals}
    for name, bounds in group["intervals"].items():
        assert bounds == pytest.approx(alone.intervals[name], nan_ok=True)
    whole = medzoo.evaluate(Net(data.info), data.test, resamples=30)
    assert report.auc == whole.auc
    assert report.intervals == whole.intervals


def test_worst_group_and_gap_leave_small_groups_out(report):
    for score, worst_of in (("acc", min), ("ece", max)):
        values = {one["name"]: one["scores"][score] for one in report.groups if not one["small"]}
        worst = report.worst_group(score)
        assert worst["name"] == worst_of(values, key=values.get)
        assert report.largest_gap(score) == max(values.values()) - min(values.values())
    with pytest.raises(ValueError, match="unknown score 'accuracy'; known: acc"):
        report.worst_group("accuracy")


def test_without_two_large_groups_there_is_no_gap(data):
    few = medzoo.evaluate(Net(data.info), data.test, groups=["a"] * 90 + ["b"] * 10, resamples=0)
    assert few.worst_group("acc")["name"] == "a"
    assert math.isnan(few.largest_gap("acc"))
    plain = medzoo.evaluate(Net(data.info), data.test, resamples=0)
    assert plain.worst_group() is None


def test_groups_survive_json_and_are_printed(report):
    again = Report.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False)))
    assert again.to_dict() == report.to_dict()
    text = str(again)
    assert "  (missing) *       10  " in text
    assert "Worst AUC: " in text
    assert "*: small, below 30 images; left out of worst and gap." in text
    values = report.to_dict()
    values["groups"][0]["scores"]["acc"] = 2
    with pytest.raises(ValueError, match="not a report: groups="):
        Report.from_dict(values)


def test_a_group_without_a_class_says_so(data):
    labels = data.test.labels.numpy()
    found = medzoo.evaluate(Net(data.info), data.test, groups=labels == 0, resamples=0)
    only = next(one for one in found.groups if one["name"] == "True")
    assert only["absent"] == list(data.info.classes[1:])
    assert math.isnan(only["scores"]["auc"])
    assert "Groups that lack a class" in str(found)


def test_columns_of_all_kinds_give_the_same_groups():
    expected = ["1", "2", "(missing)"]
    for column in (
        [1, 2, None],
        np.array([1, 2, np.nan]),
        pd.Series([1, 2, None]),
        pd.Series([1, 2, None], dtype="Int64"),
        ["1", "2", ""],
        pd.Series(["1", "2", None], dtype="category"),
    ):
        assert group_names(column, 3) == expected


def test_what_is_no_column_of_groups_is_refused(data):
    with pytest.raises(TypeError, match="groups is str"):
        group_names("abc", 3)
    with pytest.raises(ValueError, match="2 groups for 3 images"):
        group_names([1, 2], 3)
    with pytest.raises(ValueError, match=r"101 different values.*bands"):
        group_names(np.linspace(0, 1, 101), 101)


def test_groups_of_a_table(tmp_path, capsys):
    data = medzoo.synthetic("breastmnist", n_train=8, n_val=8, n_test=60)
    arrays = {}
    for name, split in data.splits.items():
        arrays[f"{name}_images"] = split.images[:, 0].numpy()
        arrays[f"{name}_labels"] = split.labels.numpy()[:, None].astype(np.uint8)
    np.savez(tmp_path / "own.npz", **arrays)
    table = pd.DataFrame({"split": "test", "index": range(60), "site": ["x"] * 40 + [""] * 20})
    table.to_csv(tmp_path / "sites.csv", index=False)
    command = ["evaluate", "simple_cnn.breastmnist", "--dataset", str(tmp_path / "own.npz")]
    command += ["--groups", str(tmp_path / "sites.csv")]
    assert main([*command, "--group-column", "site", "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [(one["name"], one["n"]) for one in groups] == [("x", 40), ("(missing)", 20)]
    assert main(command) == 1
    assert "need each other" in capsys.readouterr().err
    assert main([*command, "--group-column", "site", "--split", "val"]) == 1
    assert "8 images of val have no row" in capsys.readouterr().err


def test_numbers_that_differ_are_different_groups():
    values = [1000001.0, 1000002.0, -3.0, 0.25, 1.00000001]
    expected = ["1000001", "1000002", "-3", "0.25", "1.00000001"]
    numpy = [np.float32(1000001), np.float64(1000002), np.float16(-3), *values[3:]]
    tensor = torch.tensor(values, dtype=torch.float64)
    for column in (values, np.array(values), pd.Series(values), tensor, numpy):
        assert group_names(column, 5) == expected
    assert group_names([math.inf, np.float32("nan")], 2) == ["inf", "(missing)"]
    assert group_names(np.array([0.1, 0.5], np.float32), 2) == ["0.1", "0.5"]
    assert group_names(torch.tensor([0.1, 0.5]), 2) == ["0.1", "0.5"]


def test_names_of_groups_from_tensors_bytes_and_text_of_missing_values():
    found = group_names([torch.tensor(1), b"a", "NaN", "nan", None, float("nan")], 6)
    assert found == ["1", "a", *["(missing)"] * 4]
