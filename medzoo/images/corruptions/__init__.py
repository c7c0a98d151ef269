"""Damaged images: the corruptions of MedMNIST-C, at any size."""

from medzoo.images.corruptions.registry import (
    FAMILIES,
    SEVERITIES,
    Corruption,
    Family,
    corruptions_for,
)

__all__ = ["FAMILIES", "SEVERITIES", "Corruption", "Family", "corruptions_for"]
