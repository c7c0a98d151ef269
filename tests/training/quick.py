"""A recipe of seconds, a network of a few channels, and whether two have the same weights."""

import torch

from medzoo import ModelSpec, create_model
from medzoo.training import Augmentation, Recipe

QUICK = Recipe(
    epochs=2, batch_size=16, ema_decay=0.5, precision="float32", augmentation=Augmentation()
)


def small(data, seed=0, **arguments):
    torch.manual_seed(seed)
    return create_model("simple_cnn", dataset=data, widths=(4, 8, 16), **arguments)


def specified(function, data):
    """Have a function say that it is a model of a data set's images."""
    function.spec = ModelSpec.for_data(data)
    return function


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
