"""Groups of test images: the scores are scikit-learn's of the images that pandas selects."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.published import groups
from benchmarks.studies.study import NamedTrial

SIZES = {"train": 60, "val": 10, "test": 400}


def measured(monkeypatch, path, name, table):
    """What the study records for made-up probabilities, which are returned with their rows."""
    of = name.partition(".")[2]
    data = medzoo.synthetic(of, **{f"n_{split}": size for split, size in SIZES.items()})
    ones = np.ones(len(data.info.classes))
    answers = torch.from_numpy(np.random.default_rng(1).dirichlet(ones, len(data.test)))
    monkeypatch.setattr(groups, "answers", lambda name, source: (data, None, answers))
    monkeypatch.setattr(groups, "score_groups", partial(groups.score_groups, resamples=2))
    table.sample(frac=1, random_state=0).to_csv(path, index=False)  # rows may be in any order
    record = groups.run(NamedTrial(name), Source(str(path.parent)))
    rows = table[table.split == "test"].assign(truth=data.test.labels.tolist())
    return record["groupings"], rows, answers.numpy()


def rows_of(column, prefix, pool):
    """A table of images of some lesions or patients, those of the three splits mixed."""
    rng = np.random.default_rng(0)
    rows = [(split, i) for split, size in SIZES.items() for i in range(size)]
    named = [f"{prefix}{number}" for number in rng.integers(0, pool, len(rows))]
    return pd.DataFrame(rows, columns=["split", "index"]).assign(**{column: named})


def check(grouping, members, rows, probabilities):
    """The scores of each group are those of its members, by their definitions."""
    assert [group["name"] for group in grouping["groups"]] == sorted(members)
    for group in grouping["groups"]:
        own = members[group["name"]].to_numpy()
        truth, values = rows.truth[own], probabilities[own]
        assert group["n"] == own.sum() > 30
        assert group["most_frequent"]["share"] == truth.value_counts(normalize=True).max()
        decided = values.argmax(1)
        expected = {
            "acc": accuracy_score(truth, decided),
            "balanced_acc": balanced_accuracy_score(truth, decided),
            "auc": np.mean([roc_auc_score(truth == k, values[:, k]) for k in sorted(set(truth))]),
        }
        assert group["scores"] == pytest.approx(expected, abs=1e-6)
    for score, gap in grouping["gap"].items():
        figures = {group["name"]: group["scores"][score] for group in grouping["groups"]}
        assert gap == max(figures.values()) - min(figures.values())
        assert figures[grouping["worst"][score]] == min(figures.values())


def test_lesions_are_compared_by_whether_they_are_in_training(monkeypatch, tmp_path):
    table = rows_of("lesion_id", "HAM_", pool=300)
    path = tmp_path / "dermamnist_lesions.csv"
    found, rows, answers = measured(monkeypatch, path, "simple_cnn.dermamnist", table)
    leaked = rows.lesion_id.isin(table.lesion_id[table.split == "train"])
    several = rows.lesion_id.map(table.lesion_id.value_counts()) > 1
    by_title = {one["title"]: one for one in found}
    check(by_title["lesion"], {"in training": leaked, "new": ~leaked}, rows, answers)
    members = {"one": ~several, "several, in training": leaked, "several, new": several & ~leaked}
    check(by_title["photographs of the lesion"], members, rows, answers)


def test_patients_are_compared_by_the_number_of_their_scans(monkeypatch, tmp_path):
    table = rows_of("patient", "", pool=300)
    table.loc[table.split == "train", "patient"] = ""  # not known there
    path = tmp_path / "octmnist_sources.csv"
    found, rows, answers = measured(monkeypatch, path, "simple_cnn.octmnist", table)
    several = rows.patient.duplicated(keep=False)
    (only,) = found
    check(only, {"one": ~several, "several": several}, rows, answers)
