"""Warning if weights may have been trained on the images that they are evaluated on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medzoo.datasets import Provenance
from medzoo.weights.file import read_config
from medzoo.weights.find import locate_named
from medzoo.weights.index import weights_index

if TYPE_CHECKING:
    from medzoo.datasets import Dataset

_OWN_SPLIT = "own split"
"""Start of the provenance note of data that `medzoo.datasets.resplit` has split again."""


def provenance_of(data: Mapping[str, Any]) -> Provenance:
    """Return the provenance of the training data from a weights file or the index.

    Args:
        data: As `Provenance.to_dict` gave it.
    """
    return Provenance(data["file"], data["md5"], data["official"], data.get("note", ""))


def warn_if_trained_on(name: str | Path, data: Dataset) -> None:
    """Warn if weights may have been trained on images from the other splits of a data set.

    This is the case if the data set is the one that they were trained on, but with other splits,
    or with a file that is not known to keep MedMNIST's splits. If the weights do not record their
    training file, there is no warning.

    Args:
        name: A published checkpoint, a weights file, or a repository on the Hub.
        data: What they are to be evaluated on.

    Raises:
        WeightsError: If it is a weights file that cannot be found or read.
    """
    dataset, values = _training(str(name))
    if dataset != data.info.name or values.get("md5") is None:
        return
    trained = provenance_of(values)
    if _division(trained) != _division(data.provenance):
        warnings.warn(
            f"{name} was trained on {trained.mark(data.info.title)}, md5 {trained.md5}, and is "
            f"evaluated on {data.title}, md5 {data.provenance.md5}, whose splits are or may be "
            "different: it may have been trained on these very images, which would inflate its "
            "scores. Evaluate it on the splits that it was trained with, in Python: "
            "medzoo.load_dataset(..., split=...)",
            stacklevel=2,
        )


def _training(name: str) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the data set that weights were trained on, and its provenance."""
    if path := locate_named(name):
        config = read_config(path)
        info = config.spec.dataset
        return info.name if info else "", config.training.get("data") or {}
    entry = weights_index().get(name)
    return (entry.dataset, entry.data) if entry else ("", {})


def _division(provenance: Provenance) -> tuple[str | None, ...]:
    """Return a key that is equal for data with the same splits."""
    from medzoo.datasets.storage import known_files  # here, because it imports PyTorch

    own = [part for part in re.split("[;,] ", provenance.note) if part.startswith(_OWN_SPLIT)]
    known = provenance.official or provenance.md5 in known_files()
    # All of MedMNIST's files of a set, small and large, have each image in the same split.
    return (None,) if known and not own else (provenance.md5, *own)
