"""One model of each architecture, built once; tests must not change it."""

from functools import cache

import pytest
import torch

from medzoo.models import ImageClassifier, create_model, list_models


@cache
def untrained(name: str) -> ImageClassifier:
    torch.manual_seed(0)
    return create_model(name, num_classes=5, in_chans=3).eval()


@pytest.fixture(params=list_models())
def model(request: pytest.FixtureRequest) -> ImageClassifier:
    """An untrained RGB model of 5 classes in evaluation mode. Do not change it."""
    return untrained(request.param)


@pytest.fixture(params=list_models())
def fresh(request: pytest.FixtureRequest) -> ImageClassifier:
    """A model of one's own to change."""
    torch.manual_seed(0)
    return create_model(request.param, num_classes=5, in_chans=3)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
