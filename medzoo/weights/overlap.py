"""Warning if weights may have been trained on the images that they are evaluated on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medzoo.datasets import Provenance
from medzoo.errors import WeightsError
from medzoo.weights.file import read_config
from medzoo.weights.find import locate_named
from medzoo.weights.index import weights_index

if TYPE_CHECKING:
    from torch import Tensor

    from medzoo.datasets import Dataset, Split

DIGESTS = "image_digests"
"""The entry of the record of training data with the `sample_digests` of the training split."""

_DIGESTS = 64  # of 64 images, one at least is among any 10 % of them, with a chance of 99.9 %
_CHUNK = 256
_RECORD = {"file": None, "md5": None, "official": False, "note": ""}
_OWN_SPLIT = "own split"
"""Start of the provenance note of data that `medzoo.datasets.resplit` has split again."""


def provenance_of(data: Mapping[str, Any]) -> Provenance:
    """Return the provenance of the training data from a weights file or the index.

    Args:
        data: As `Provenance.to_dict` gave it.

    Raises:
        WeightsError: If it is something else.
    """
    record: dict[str, Any] = {**_RECORD, **data} if isinstance(data, Mapping) else {}
    values: list[Any] = [record.get(name) for name in _RECORD]
    kinds: tuple[Any, ...] = (str | None, str | None, bool, str)
    if not all(map(isinstance, values, kinds)):
        raise WeightsError(
            f"weights were trained on data {data!r:.200}, which is not a record of file, md5, "
            "official and note; fetch them again"
        )
    return Provenance(*values)


def sample_digests(split: Split) -> str:
    """Return digests of some images, by which they are found again in other data.

    Args:
        split: What weights were trained on.

    Returns:
        Up to 64 digests of 16 hexadecimal digits, separated by spaces, of images from the first
        to the last. Images of a single value are left out, because others look the same.
    """
    import torch  # here, because headers are read without it

    count = min(len(split), _DIGESTS)
    images = split.take(torch.linspace(0, len(split) - 1, count, dtype=torch.float64).long())
    telling = images.flatten(1).amin(1) < images.flatten(1).amax(1)
    return " ".join(dict.fromkeys(_digests(images[telling])))


def warn_if_trained_on(name: str | Path, data: Dataset) -> None:
    """Warn if weights may have been trained on images from the other splits of a data set.

    This is the case

    - if the data set is the one that they were trained on, but with other splits, or with a file
      that is not known to keep MedMNIST's splits;
    - if some of the training images that they record (see `sample_digests`) are in the validation
      or test split, whatever the data set is called. Images that were resized, cropped or
      compressed again are not recognised.

    There is no warning if the weights record neither, as exported files do not.

    Args:
        name: A published checkpoint, a weights file, or a repository on the Hub.
        data: What they are to be evaluated on.

    Raises:
        WeightsError: If it is a weights file that cannot be found or read.
    """
    dataset, values = _training(str(name))
    trained = provenance_of(values)
    if trained.md5 is not None:
        if _division(trained) == _division(data.provenance):
            return
        if dataset == data.info.name and data.provenance.md5 is not None:
            warnings.warn(
                f"{name} was trained on {trained.mark(data.info.title)}, md5 {trained.md5}, and is "
                f"evaluated on {data.title}, md5 {data.provenance.md5}, whose splits are or may be "
                "different: it may have been trained on these very images, which would inflate its "
                "scores. Evaluate it on the splits that it was trained with, in Python: "
                "medzoo.load_dataset(..., split=...)",
                stacklevel=2,
            )
            return
    recorded = set(str(values.get(DIGESTS, "")).split())
    for split in [split for name, split in data.splits.items() if name != "train" and recorded]:
        seen = recorded.intersection(
            chain.from_iterable(_digests(images) for images in split.chunks(_CHUNK))
        )
        if seen:
            warnings.warn(
                f"{name} was trained on images of the {split.name} split of {data.title}, at least "
                f"on {len(seen)} of the {len(recorded)} that it records, which inflates its "
                "scores. Evaluate it on other images",
                stacklevel=2,
            )


def _digests(images: Tensor) -> Iterator[str]:
    """Yield a digest of each image, uint8 (N, C, H, W)."""
    for image in images.permute(0, 2, 3, 1).contiguous().numpy(force=True):
        yield blake2b(image, digest_size=8, person=str(image.shape).encode()[:16]).hexdigest()


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
    return ("MedMNIST",) if known and not own else (provenance.md5, *own)
