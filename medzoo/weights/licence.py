"""The licence of weights, which also applies to what is made from them."""

from __future__ import annotations

import re

_TERMS = frozenset({"NC", "ND", "SA"})
"""Terms of Creative Commons licences beyond attribution."""


def strictest(own: str, *others: str) -> str:
    """Return the strictest of several licences, for a work that was made from all of them.

    What is made from a non-commercial work is non-commercial, too.

    Args:
        own: The licence that applies unless another is stricter, e.g. that of the images.
        others: Licences of the other sources; an empty one (unknown) changes nothing.
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
