"""What a data set contains."""

import json

import numpy as np
import pytest

import medzoo
from medzoo.datasets import preview


@pytest.fixture
def data():
    """Twelve images of three classes, with a copy within training, and one of it in test."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (12, 28, 28), np.uint8)
    images[3] = images[0]
    images[10] = images[1]
    labels = np.array([0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0])
    cut = {"train": slice(0, 6), "val": slice(6, 9), "test": slice(9, 12)}
    return medzoo.Dataset.from_arrays(
        **{name: (images[rows], labels[rows]) for name, rows in cut.items()},
        task="multi-class",
        classes=["a", "b", "c"],
        name="made_up",
    )


def test_counts_copies_and_leaks(data):
    found = preview(data)
    assert found.images == {"train": 6, "val": 3, "test": 3}
    assert found.counts["train"] == {"a": 3, "b": 3, "c": 0}
    assert found.counts["test"] == {"a": 2, "b": 1, "c": 0}
    assert found.copies == {"train": 1, "val": 0, "test": 0}
    assert found.shared == {("train", "val"): 0, ("train", "test"): 1, ("val", "test"): 0}
    assert found.leakage.counts()["train", "test"] == 1
    values = json.loads(json.dumps(found.to_dict()))
    assert values["shared"]["train-test"] == 1
    assert values["leakage"]["counts"]["train-test"] == 1


def test_labels_are_counted_one_by_one():
    data = medzoo.synthetic("chestmnist", n_train=20, n_val=8, n_test=8)
    found = preview(data, near_duplicates=False)
    assert [*found.counts["train"].values()] == data.train.labels.sum(dim=0).int().tolist()
    assert found.leakage is None
    assert found.to_dict()["leakage"] is None


def test_a_split_alone_is_refused(data):
    with pytest.raises(TypeError, match="data"):
        preview(data.train)
