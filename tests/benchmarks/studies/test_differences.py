"""Which differences between published models are chance."""

import pytest

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.published import differences
from benchmarks.studies.study import NamedTrial
from medzoo.weights import weights_index


def row(**values):
    return {
        "score": "acc",
        "first": "simple_cnn.breastmnist",
        "second": "advanced_cnn.breastmnist",
        "difference": 0.02,
        "interval": [0.01, 0.03],
        "p_adjusted": 0.01,
        **values,
    }


def test_every_data_set_with_several_classifiers_is_a_trial():
    for trial in differences.trials():
        names = differences.models_of(trial.key)
        assert len(names) > 1
        assert all(weights_index()[name].tag == trial.key for name in names)
    assert "medmnist" not in [trial.key for trial in differences.trials()]  # a backbone


def test_a_trial_compares_all_pairs_on_the_test_split(monkeypatch):
    data = medzoo.synthetic("breastmnist", n_test=12)
    monkeypatch.setattr(Source, "load", lambda self, name: data)
    trial = NamedTrial("breastmnist")
    record = differences.run(trial, Source())
    count = len(record["models"])
    assert len(record["differences"]) == 2 * count * (count - 1) / 2
    assert (record["split"], record["n"]) == ("test", 12)
    assert differences.is_current(record, trial, Source())
    changed = {"models": dict.fromkeys(record["models"], "0" * 64)}
    assert not differences.is_current(changed, trial, Source())


@pytest.mark.parametrize(
    ("p", "beyond", "shown"),
    [
        (0.049999, True, "**0.05**"),
        (0.04995, True, "**0.04995**"),
        (0.05, False, "0.05"),
        (0.0, True, "**< 0.0001**"),
        (0.6562, False, "0.66"),
        (None, False, "-"),
    ],
)
def test_a_p_value_below_the_level_is_bold(p, beyond, shown):
    assert differences.is_beyond_chance(row(p_adjusted=p)) is beyond
    assert differences._cells(row(p_adjusted=p), "acc")[1] == shown


def test_the_table_says_which_model_is_better(monkeypatch):
    both = [row(score="auc", p_adjusted=0.7), row(difference=-0.02, interval=[-0.03, -0.01])]
    record = {"title": "BreastMNIST", "differences": both}
    monkeypatch.setattr(differences.RECORDS, "read", lambda: {"breastmnist": record})
    table = differences.table()
    assert "| -2.0 (-3.0 to -1.0 %) | **0.01** |" in table
    assert "- BreastMNIST. AUC: none; ACC: `advanced_cnn` > `simple_cnn`" in table
