"""The licence of weights: it follows them into whatever is made from them."""

from __future__ import annotations

import re

_TERMS = frozenset({"NC", "ND", "SA"})
"""What a Creative Commons licence asks for beyond attribution."""


def strictest(own: str, *others: str) -> str:
    """Return the licence that binds what was made from several things the most.

    What is not for commercial use stays so in whatever is made from it.

    Args:
        own: The licence that holds unless another asks for more, e.g. that of the images.
        others: Those of what else it was made from; empty if unknown, which changes nothing.
    """
    return max(own, *others, key=_strictness) if others else own


def is_noncommercial(licence: str) -> bool:
    """Return whether a licence forbids commercial use.

    Args:
        licence: E.g. ``"CC BY-NC 4.0"``, or the Hub's ``"cc-by-nc-4.0"``.
    """
    return "NC" in _terms(licence)


def _strictness(licence: str) -> tuple[bool, int]:
    return is_noncommercial(licence), len(_terms(licence))


def _terms(licence: str) -> frozenset[str]:
    return _TERMS.intersection(re.split(r"\W+", licence.upper()))
