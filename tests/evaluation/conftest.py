"""Fixtures for predictions: a small set, and a network made for it."""

import pytest

from medzoo.datasets import synthetic
from tests.evaluation.test_evaluate import Net


@pytest.fixture(scope="module")
def data():
    return synthetic("dermamnist", n_train=4, n_val=4, n_test=9)


@pytest.fixture(scope="module")
def model(data):
    return Net(data.info)
