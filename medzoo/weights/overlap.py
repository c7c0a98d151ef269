"""Whether images that weights are evaluated on may have been among those they were trained on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medzoo.datasets import Dataset, Provenance
from medzoo.datasets.storage.md5 import known_files
from medzoo.weights.file import read_config
from medzoo.weights.find import locate_named
from medzoo.weights.index import weights_index

_OWN_SPLIT = "own split"
"""How the note of images begins that `medzoo.datasets.resplit` has distributed anew."""


def provenance_of(data: Mapping[str, Any]) -> Provenance:
    """Return the provenance of the training data that a weights file or the index names.

    Args:
        data: As `Provenance.to_dict` gave it.
    """
    return Provenance(data["file"], data["md5"], data["official"], data.get("note", ""))


def warn_if_trained_on(name: str | Path, data: Dataset) -> None:
    """Warn if weights may have been trained on images that are in other splits of a data set.

    That is so if the set is the one that they were trained on, but divided otherwise, or if it
    cannot be told: another file, which is not known to keep MedMNIST's splits. Of weights that do
    not say which file they were trained on nothing can be told, and nothing is said.

    Args:
        name: A published checkpoint, a weights file, or a repository on the Hub.
        data: What they are to be evaluated on.

    Raises:
        WeightsError: If it is a weights file that cannot be had or read.
    """
    dataset, values = _training(str(name))
    if dataset != data.info.name or values.get("md5") is None:
        return
    trained = provenance_of(values)
    if _division(trained) != _division(data.provenance):
        warnings.warn(
            f"{name} was trained on {trained.mark(data.info.title)}, md5 {trained.md5}, and is "
            f"evaluated on {data.title}, md5 {data.provenance.md5}, which is divided otherwise or "
            "may be: it may have been trained on these very images, and its figures then mean "
            "little. Evaluate it on the splits that it was trained with, in Python: "
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
    """Return what is the same for images that were divided in the same way."""
    own = [part for part in provenance.note.split("; ") if part.startswith(_OWN_SPLIT)]
    known = provenance.official or provenance.md5 in known_files()
    # All of MedMNIST's files of a set, small and large, have each image in the same split.
    return (None,) if known and not own else (provenance.md5, *own)
