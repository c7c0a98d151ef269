"""A small set, and a network made for it."""

from tests.evaluation.conftest import data, model

__all__ = ["data", "model"]
