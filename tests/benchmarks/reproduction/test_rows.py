"""Rows of the results table: what was reported, and how measured figures compare with it."""

import json

import pytest

from benchmarks.reproduction.rows import Row, markdown, reported_rows, select
from medzoo.weights import weights_index


def measured(acc, low, high, **values):
    report = {"acc": acc, "auc": 0.9, "intervals": {"acc": [low, high]}}
    return {"seed": 0, "val_auc": 0.9, "report": report} | values


def test_reported_table_is_the_published_one():
    rows = {row.name: row.reported for row in reported_rows() if row.reported is not None}
    assert rows == {
        "dermamnist/advanced_cnn": 0.7377,
        "dermamnist/efficientnet": 0.6838,
        "octmnist/advanced_cnn": 0.7160,
        "octmnist/efficientnet": 0.25,
        "chestmnist/attention_unet": 0.532,
    }


def test_every_published_checkpoint_has_a_row():
    models = {f"{row.model}.{row.dataset}" for row in reported_rows()}
    classifiers = {name for name, entry in weights_index().items() if "test" in entry.metrics}
    assert models >= classifiers


@pytest.mark.parametrize(
    ("interval", "status"),
    [((0.75, 0.79), "exceeds"), ((0.72, 0.79), "reproduces"), ((0.60, 0.70), "below")],
)
def test_status_compares_the_reported_figure_with_the_interval(interval, status):
    row = Row("dermamnist", "simple_cnn", reported=0.7377, runs=[measured(0.77, *interval)])
    assert row.status == status


@pytest.mark.parametrize(
    "note",
    ["2,043 of 112,120 images", "partial: 24 of 22,433 test images", "partial: without val"],
)
def test_a_part_of_a_data_set_reproduces_nothing(note):
    row = Row("chestmnist", "attention_unet", reported=0.53, runs=[measured(0.53, 0.5, 0.6)])
    assert row.status == "reproduces"
    row.data_title = f"ChestMNIST ({note})"
    assert row.status == "measured on a part"


def test_row_stands_for_the_seed_chosen_on_validation():
    runs = [measured(0.9, 0.8, 1.0, val_auc=0.7), measured(0.8, 0.7, 0.9, val_auc=0.8)]
    row = Row("dermamnist", "simple_cnn", parameters=1_000_000, runs=runs)
    assert row.measured == 0.8
    assert "ACC 85.00 ± 7.07, AUC 0.900 ± 0.000 over 2 seeds" in markdown([row])
    assert Row.from_dict(json.loads(json.dumps(row.to_dict()))).measured == 0.8


def test_unknown_rows_are_errors_with_close_matches():
    with pytest.raises(ValueError, match="did you mean 'advanced_cnn'"):
        select("dermamnist/advanced_cn")
    with pytest.raises(ValueError, match="did you mean 'dermamnist'"):
        select("dermamnits/advanced_cnn")
    with pytest.raises(ValueError, match="dataset/model"):
        select("advanced_cnn")
