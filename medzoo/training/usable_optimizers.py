"""Which of timm's optimisers the Trainer can use, and why not the others."""

from __future__ import annotations

from timm.optim import list_optimizers

from medzoo.errors import unknown_name

_LOOKAHEAD = "lookahead_"  # timm wraps any of its optimisers in Lookahead when its name says so
_UNUSABLE = {
    "adahessian": "needs second derivatives, which the Trainer does not compute",
    "kron": "keeps random numbers and lists that a checkpoint cannot hold",
    "fused": "comes from NVIDIA's apex, which medzoo does not support",
    "bnb": "comes from bitsandbytes, which medzoo does not support",
}
"""Reasons, by what names begin with."""


def check_optimizer(name: object) -> None:
    """Refuse an optimiser that does not exist, or that a run could not end or be resumed with.

    Args:
        name: timm's name of it.

    Raises:
        ValueError: If it is refused.
    """
    known = list_optimizers()
    plain = str(name).removeprefix(_LOOKAHEAD)
    reasons = [reason for start, reason in _UNUSABLE.items() if plain.startswith(start)]
    if plain in known and not reasons:
        return
    usable = [one for one in known if not one.startswith(tuple(_UNUSABLE))]
    if not reasons:
        raise unknown_name("optimizer", name, usable)
    raise ValueError(
        f"Recipe.optimizer={name!r} cannot be used: it {reasons[0]}; use one without, e.g. 'adamw', "
        "'muon' or 'sgd'"
    )
