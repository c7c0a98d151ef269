"""What of a network learns, and how: optimisers, frozen layers, rates that differ by layer."""

from medzoo.training.optim.create import check_optimizer, create_optimizer
from medzoo.training.optim.freeze import Frozen, frozen_names, layers_of
from medzoo.training.optim.muon import Muon

__all__ = [
    "Frozen",
    "Muon",
    "check_optimizer",
    "create_optimizer",
    "frozen_names",
    "layers_of",
]
