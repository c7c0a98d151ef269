"""A search whose trainings are a formula, so that its own work can be tested in milliseconds."""

import pytest

import medzoo
from medzoo.search.trial import objective
from tests.search.formula import train


@pytest.fixture(scope="session")
def data():
    """A made-up data set of two classes. Do not change it."""
    return medzoo.synthetic(
        task="binary-class", num_classes=2, channels=1, n_train=24, n_val=12, n_test=6
    )


@pytest.fixture
def formula(monkeypatch):
    """Replace the training of each trial."""
    monkeypatch.setattr(objective, "train", train)


@pytest.fixture
def run(data, formula):
    """Search without keeping the trials, unless the test gives a file."""

    def search(trials=5, **options):
        options = {"storage": None, "progress": False} | options
        return medzoo.search(options.pop("data", data), "simple_cnn", trials=trials, **options)

    return search
