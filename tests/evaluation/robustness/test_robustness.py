"""Errors on damaged images: those of scoring each damaged split by itself, and MedMNIST-C's."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

import medzoo
from medzoo.cli import main
from medzoo.datasets.load import is_medmnist
from medzoo.datasets.source import medmnist_source
from medzoo.datasets.storage import known_files
from medzoo.evaluation.metrics import score_predictions
from medzoo.evaluation.robustness import evaluate
from medzoo.evaluation.robustness.balanced_error import (
    alexnet_errors,
    balanced_error,
    relative_errors,
)
from medzoo.images import corruptions_for
from tests.evaluation.test_evaluate import Net
from tests.html.parsed import check_harmless

OFFICIAL = medmnist_source("octmnist", 28).md5


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("octmnist", n_train=4, n_val=4, n_test=40)


@pytest.fixture(scope="module")
def model(data):
    return Net(data.info)


@pytest.fixture(scope="module")
def report(data, model):
    return medzoo.evaluate_robustness(model, data.test, like="octmnist", resamples=50)


def test_each_error_is_that_of_the_damaged_split(data, model, report):
    corruptions = corruptions_for("octmnist")
    assert [row["name"] for row in report.corruptions] == [*corruptions]
    clean = medzoo.evaluate(model, data.test, resamples=0)
    assert report.clean == pytest.approx(1 - clean.balanced_acc)
    for row in (report.corruptions[0], report.corruptions[-1]):
        for severity, error in enumerate(row["errors"], 1):
            images = corruptions[row["name"]](data.test.images, severity)
            split = replace(data.test, images=images)
            alone = medzoo.evaluate(model, split, resamples=0)
            assert error == pytest.approx(1 - alone.balanced_acc)
        assert row["error"] == pytest.approx(np.mean(row["errors"]))
    assert report.error == pytest.approx(np.mean([row["error"] for row in report.corruptions]))
    assert report.increase == pytest.approx(report.error - report.clean)


def test_images_are_damaged_alike_however_many_at_once(data, model, report, monkeypatch):
    monkeypatch.setattr(evaluate, "_CHUNK", 16 * 28 * 28)
    in_parts = medzoo.evaluate_robustness(
        model, data.test, like="octmnist", resamples=50, batch_size=12
    )
    assert in_parts.to_dict() == report.to_dict()


def test_intervals_surround_what_was_measured(report):
    assert len({error for row in report.corruptions for error in row["errors"]}) > 5
    for name in ("clean", "error", "increase"):
        low, high = report.intervals[name]
        assert low <= getattr(report, name) <= high
    low, high = report.corruptions[0]["interval"]
    assert low <= report.corruptions[0]["error"] <= high


@pytest.mark.parametrize("task", ["multi-class", "binary-class", "multi-label, binary-class"])
def test_balanced_errors_are_scikit_learns(task):
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(2 if task == "binary-class" else 3), 60)
    counts = rng.multinomial(60, np.ones(60) / 60, size=4).T.astype(float)
    if task == "multi-label, binary-class":
        labels = rng.integers(0, 2, (60, 3))
        pairs = [(labels[:, k], scores[:, k] > 0.5) for k in range(3)]
    else:
        labels = rng.integers(0, scores.shape[1], 60)
        pairs = [(labels, scores.argmax(1))]
    found = balanced_error(score_predictions(labels, scores, task), counts)
    for column, error in zip(counts.T, found, strict=True):
        expected = [
            balanced_accuracy_score(truth, decided, sample_weight=column)
            for truth, decided in pairs
        ]
        assert error == pytest.approx(1 - np.mean(expected))


def test_relative_errors_are_relative_to_alexnet():
    for dataset in medzoo.list_datasets():
        alexnet = alexnet_errors(dataset)
        assert {*alexnet} == {"clean", *corruptions_for(dataset)}
        assert all(0 < value < 1 for value in alexnet.values())
    errors = np.array([0.5, 0.2])
    be, rbe = relative_errors(errors, np.array([0.1, 0.2]), "noise", {"noise": 0.4, "clean": 0.2})
    assert be.tolist() == pytest.approx([1.25, 0.5])
    assert rbe.tolist() == pytest.approx([2.0, 0.0])
    assert alexnet_errors("mine") is None


def test_be_is_given_for_medmnists_own_data_sets(report, data, model):
    assert math.isnan(report.be)
    named = replace(data.test, info=replace(data.info, name="octmnist"))
    assert math.isnan(medzoo.evaluate_robustness(model, named, resamples=0).be)  # only its name
    official = replace(named, provenance=replace(named.provenance, md5=OFFICIAL))
    same = medzoo.evaluate_robustness(model, official, resamples=0)
    assert same.clean == report.clean
    assert [row["errors"] for row in same.corruptions] == [
        row["errors"] for row in report.corruptions
    ]
    alexnet = alexnet_errors("octmnist")
    expected = [row["error"] / alexnet[row["name"]] for row in same.corruptions]
    assert same.be == pytest.approx(np.mean(expected))
    assert "BE" in str(same)
    assert same.intervals == {}


def test_a_file_is_medmnists_by_its_content():
    assert is_medmnist("octmnist", OFFICIAL)
    assert all(is_medmnist("octmnist", md5) for md5 in known_files())
    assert not is_medmnist("breastmnist", OFFICIAL)
    assert not is_medmnist("octmnist", None)
    assert not is_medmnist("mine", OFFICIAL)


def test_text_and_json(report):
    text = str(report)
    assert "SYNTHETIC OCTMNIST" in text
    assert "40 images of 28 pixels, damaged like octmnist" in text
    assert "motion_blur" in text
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["be"] is None
    assert values["error"] == report.error


def test_refusals(data, model):
    with pytest.raises(ValueError, match="has no corruptions for SYNTHETIC OCTMNIST; name the"):
        medzoo.evaluate_robustness(model, data.test)
    with pytest.raises(ValueError, match=r"'octmnst'; did you mean 'octmnist'"):
        medzoo.evaluate_robustness(model, data.test, like="octmnst")
    with pytest.raises(ValueError, match="images are gray"):
        medzoo.evaluate_robustness(model, data.test, like="pathmnist")
    with pytest.raises(TypeError, match="split is a Dataset"):
        medzoo.evaluate_robustness(model, data, like="octmnist")
    with pytest.raises(ValueError, match="resamples=-1"):
        medzoo.evaluate_robustness(model, data.test, like="octmnist", resamples=-1)


def test_the_command_prints_it_and_writes_json(tmp_path, capsys):
    own = medzoo.synthetic("breastmnist", n_train=4, n_val=4, n_test=12)
    arrays = {}
    for name, split in own.splits.items():
        arrays[f"{name}_images"] = split.images[:, 0].numpy()
        arrays[f"{name}_labels"] = split.labels.numpy()[:, None].astype(np.uint8)
    np.savez(tmp_path / "own.npz", **arrays)
    command = ["evaluate", "simple_cnn.breastmnist", "--dataset", str(tmp_path / "own.npz")]
    assert main([*command, "--robustness"]) == 1
    assert "like=" in capsys.readouterr().err
    assert main([*command, "--like", "breastmnist"]) == 1
    assert "--like is for --robustness" in capsys.readouterr().err
    page = tmp_path / "report.html"
    command += ["--robustness", "--like", "breastmnist", "--report", str(page)]
    assert main([*command, "--json"]) == 0
    robustness = json.loads(capsys.readouterr().out)["robustness"]
    assert len(robustness["corruptions"]) == 7
    shown = check_harmless(page.read_text("utf-8"))
    assert "Damaged images" in shown.text_of("h2")
    assert {row["name"] for row in robustness["corruptions"]} <= {*shown.text_of("th")}
