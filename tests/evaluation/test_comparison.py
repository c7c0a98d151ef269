"""Paired tests against the definitions, scipy, and each other."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

import medzoo
from medzoo.cli import main
from medzoo.evaluation import bootstrap_intervals
from medzoo.evaluation.comparison.significance import bootstrap_p, delong, holm, mcnemar
from medzoo.inference import predict_logits, probabilities
from tests.evaluation.test_evaluate import Net


def naive_delong(positive, a, b):
    """DeLong's test pair by pair, as the paper defines it."""

    def placements(scores):
        wins = np.array(
            [[(x > y) + 0.5 * (x == y) for y in scores[~positive]] for x in scores[positive]]
        )
        return wins.mean(1), wins.mean(0), wins.mean()

    (v_a, w_a, auc_a), (v_b, w_b, auc_b) = placements(a), placements(b)
    m, n = positive.sum(), (~positive).sum()
    variance = ((v_a - v_b - (auc_a - auc_b)) ** 2).sum() / (m - 1) / m + (
        (w_a - w_b - (auc_a - auc_b)) ** 2
    ).sum() / (n - 1) / n
    return 2 * norm.sf(abs(auc_a - auc_b) / math.sqrt(variance)) if variance > 1e-18 else None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(6, 40), levels=st.sampled_from([3, 1000]))
def test_delong_is_that_of_the_paper(seed, images, levels):
    rng = np.random.default_rng(seed)
    positive = rng.random(images) < 0.5
    positive[:4] = True, False, True, False
    a, b = rng.integers(0, levels, (2, images)) / levels
    expected = naive_delong(positive, a, b)
    if expected is not None:
        assert delong(positive, a, b) == pytest.approx(expected, abs=1e-9)
    assert delong(positive, a, a) == 1
    assert math.isnan(delong(np.arange(5) == 0, np.ones(5), np.ones(5)))


@settings(max_examples=25, deadline=None)
@given(only_a=st.integers(0, 20), only_b=st.integers(0, 20))
def test_mcnemar_is_the_sign_test_of_the_images_that_differ(only_a, only_b):
    right_a = np.array([True] * only_a + [False] * only_b + [True, False])
    right_b = np.array([False] * only_a + [True] * only_b + [True, False])
    tail = binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)
    assert mcnemar(right_a, right_b) == pytest.approx(min(1, 2 * tail), abs=1e-9)


def test_holm_is_that_of_the_definition():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.6]) == pytest.approx([1, math.nan, 1], nan_ok=True)
    assert holm([0.02]) == [0.02]


def test_the_bootstrap_is_never_surer_than_its_resamples():
    assert bootstrap_p(np.ones(99)) == 0.02
    assert bootstrap_p(np.zeros(99)) == 1
    assert bootstrap_p(np.array([1, 1, -1, np.nan] * 25)) == pytest.approx(2 * 26 / 76)
    assert math.isnan(bootstrap_p(np.full(3, np.nan)))


@pytest.fixture(scope="module")
def binary():
    return medzoo.synthetic("breastmnist", n_train=4, n_val=4, n_test=70, seed=2)


def test_two_models_are_compared_on_the_same_resamples(binary):
    models = {"a": Net(binary.info), "b": lambda x: x.flatten(1)[:, :2]}
    models["c"] = models["a"]
    spec = medzoo.ModelSpec.for_data(binary)
    found = medzoo.compare(
        models, binary.test, scores=["auc", "acc", "kappa"], spec=spec, resamples=60, seed=3
    )
    tests = {row.score: row.test for row in found.differences}
    assert tests == {"auc": "delong", "acc": "mcnemar", "kappa": "bootstrap"}
    assert len(found.differences) == 9
    chances = [
        probabilities(predict_logits(models[name], binary.test.images, spec=spec), spec.task)
        for name in "ab"
    ]
    truth = binary.test.labels.numpy() == 1
    first = found.differences[0]
    alone = delong(truth, *(one[:, 1].numpy() for one in chances))
    assert first.p_value == pytest.approx(alone)
    assert first.difference == found.scores["a"]["auc"] - found.scores["b"]["auc"]
    assert first.interval[0] <= first.difference <= first.interval[1]
    same = next(row for row in found.differences if (row.first, row.second) == ("a", "c"))
    assert (same.difference, same.interval, same.p_value) == (0, (0, 0), 1)
    one = bootstrap_intervals(binary.test.labels, chances[0], spec.task, resamples=60, seed=3)
    assert one.overall["kappa"][0] < one.overall["kappa"][1]
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["differences"][0]["p_adjusted"] == first.p_adjusted >= first.p_value
    text = str(found)
    assert "p (Holm)" in text
    assert "  kappa         a - b" in text
    two = medzoo.compare([models["a"], models["c"]], binary.test, spec=spec, resamples=5)
    assert "Holm" not in str(two)
    assert list(two.scores) == ["model 1", "model 2"]


@pytest.mark.parametrize("flag", ["dermamnist", "chestmnist", "retinamnist"])
def test_every_score_of_every_task_can_be_compared(flag):
    data = medzoo.synthetic(flag, n_train=4, n_val=4, n_test=60, seed=2)
    scores = ["auc", "acc", "exact_match", "balanced_acc", "mcc", "aurc", "average_precision"]
    models = [Net(data.info), Net(data.info)]
    found = medzoo.compare(models, data.test, scores=scores, resamples=10)
    assert [row.score for row in found.differences] == scores
    assert all(row.difference == 0 and row.p_value == 1 for row in found.differences)


def test_what_cannot_be_compared_is_refused(binary):
    model = Net(binary.info)
    with pytest.raises(TypeError, match="models is Net; give a list"):
        medzoo.compare(model, binary.test)
    with pytest.raises(TypeError, match="models is str"):
        medzoo.compare("simple_cnn.breastmnist", binary.test)
    with pytest.raises(ValueError, match="there is 1 model to compare"):
        medzoo.compare([model], binary.test)
    with pytest.raises(ValueError, match="unknown score 'f1'; known: auc"):
        medzoo.compare([model, model], binary.test, scores=["f1"])
    with pytest.raises(TypeError, match="scores='auc' must be a list"):
        medzoo.compare([model, model], binary.test, scores="auc")
    with pytest.raises(TypeError, match="split is a"):
        medzoo.compare([model, model], binary)


def test_the_command_compares(tmp_path, binary, capsys):
    arrays = {}
    for name, split in binary.splits.items():
        arrays[f"{name}_images"] = split.images[:, 0].numpy()
        arrays[f"{name}_labels"] = split.labels.numpy()[:, None].astype(np.uint8)
    np.savez(tmp_path / "own.npz", **arrays)
    models = ["simple_cnn.breastmnist", "advanced_cnn.breastmnist"]
    command = ["compare", *models, "--dataset", str(tmp_path / "own.npz")]
    assert main([*command, "--scores", "auc", "mcc", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["scores"]) == models
    assert [row["score"] for row in found["differences"]] == ["auc", "mcc"]
    assert main(["compare", models[0], "--dataset", str(tmp_path / "own.npz")]) == 1
    assert "give two or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": 5}, r"scores=5 must be a list of names"),
        ({"scores": [["auc"]]}, r"scores=\[\['auc'\]\] must be a list of names"),
        ({"resamples": 0}, "resamples=0 must be a whole number of at least 1"),
        ({"resamples": "5"}, "resamples='5' must be a whole number of at least 1"),
    ],
)
def test_arguments_are_checked_before_a_model_runs(options, message):
    split = medzoo.synthetic("breastmnist", n_test=4).test
    model = Net(split.info)
    model.forward = lambda x: pytest.fail("it ran")
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        medzoo.compare([model, model], split, **options)


def test_scores_may_be_an_iterator_or_an_array():
    split = medzoo.synthetic("breastmnist", n_test=8).test
    models = [Net(split.info), Net(split.info)]
    for scores in (iter(["auc", "acc"]), np.array(["auc", "acc"])):
        found = medzoo.compare(models, split, scores=scores, resamples=2)
        assert [row.score for row in found.differences] == ["auc", "acc"]


def test_models_of_the_same_name_do_not_replace_each_other():
    data = medzoo.synthetic("breastmnist", n_train=8, n_val=8, n_test=12)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=[4, 4, 8])
    with pytest.raises(ValueError, match="two of the 3 models have the same name"):
        medzoo.compare({1: model, "1": model, "x": model}, data.test, resamples=5)
