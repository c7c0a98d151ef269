"""One split of a data set: images, labels, and reading them without filling the memory."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from medzoo.datasets.display.contact_sheet import contact_sheet
from medzoo.datasets.display.notebook import splits_card
from medzoo.datasets.info import DatasetInfo, SplitName
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.storage.gather import gather_rows
from medzoo.datasets.storage.mmap import MappedImages, find_map, iter_chunks, take_rows
from medzoo.errors import as_whole
from medzoo.escape import for_display
from medzoo.files import write_atomically
from medzoo.images.encode import encode_picture

if TYPE_CHECKING:
    from PIL.Image import Image

Sample: TypeAlias = "tuple[Tensor, int | Tensor]"
"""An image, uint8 (C, H, W), and its label: a class index, or float32 (L,) if multi-label."""


@dataclass(frozen=True, eq=False)
class Split(TorchDataset[Sample]):
    """Images and labels of one split; also a PyTorch data set.

    ``split[i]`` is a copy of one image, uint8 (C, H, W), and its label: an `int`, or float32 (L,)
    of zeros and ones if multi-label. PyTorch's losses take the labels of a batch as they are. So
    `DataLoader`, `Subset`, `random_split` and `ConcatDataset` work; `to_torch` adds a transform.
    A pickled split (as `DataLoader` sends it to its workers) has only the path of memory-mapped
    images, not the images themselves, unless they were changed.

    Attributes:
        images: uint8 (N, C, H, W), channels last in memory; large data sets are memory-mapped.
            Changes stay in memory, and never reach the file; the memory may be shared with the
            arrays that they came from. Do not change images while another thread reads them. To
            read many of them, use `chunks` and `take`, which keep the memory of memory-mapped
            data sets small.
        labels: int64 (N,), or float32 (N, L) of zeros and ones if multi-label. Unknown labels of
            multi-label data sets are NaN; training and scores leave them out.
        info: Description of the data set that the split belongs to.
        name: ``"train"``, ``"val"`` or ``"test"``.
        provenance: Where the images came from.

    Example:
        >>> import medzoo
        >>> from torch.utils.data import DataLoader
        >>> split = medzoo.synthetic("dermamnist", n_train=8).train
        >>> images, labels = next(iter(DataLoader(split, batch_size=4)))
        >>> images.shape, labels.dtype
        (torch.Size([4, 3, 28, 28]), torch.int64)
    """

    images: Tensor
    labels: Tensor
    info: DatasetInfo
    name: SplitName
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.images)

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of images of each class; of multi-label data, with each label.

        Unknown labels of multi-label data do not count.

        Example:
            >>> import medzoo
            >>> medzoo.synthetic("breastmnist", n_train=8).train.class_counts
            {'malignant': 4, 'normal, benign': 4}
        """
        if self.info.multi_label:
            numbers = (self.labels == 1).sum(dim=0)
        else:
            numbers = self.labels.bincount(minlength=self.info.num_classes)
        return dict(zip(self.info.classes, numbers.tolist(), strict=True))

    def __repr__(self) -> str:
        shape = " x ".join(str(n) for n in self.images.shape)
        return f"Split({for_display(self.title)}, {self.name}: {shape}, {self.info.task})"

    def _repr_html_(self) -> str:
        """What notebooks show: images per class, and one of each."""
        title = f"{self.title}, {self.name} split: {self.info.task}"
        return splits_card(title, {self.name: self})

    def plot(self, path: str | os.PathLike[str] | None = None, *, per_class: int = 10) -> Image:
        """Draw a few images of each class, one row per class: a contact sheet.

        The images are those that a model gets, after cropping and resizing: whether the lesion is
        still there, and whether a label is wrong, is seen here.

        Args:
            path: An image file to write it to; its suffix decides the format.
            per_class: Number of images per class, evenly spaced over the split, so that the same
                split gives the same picture. Fewer are shown of a class with fewer.

        Returns:
            An RGB image, which notebooks show.

        Raises:
            ValueError: If `per_class` is below 1, or Pillow writes no pictures with that suffix.
            WriteError: If the file cannot be written.

        Example:
            >>> import medzoo
            >>> medzoo.synthetic("breastmnist").train.plot(per_class=3).size
            (268, 212)
        """
        sheet = contact_sheet(self, per_class)
        if path is not None:
            write_atomically(Path(path), encode_picture(sheet, Path(path)), "the picture")
        return sheet

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Return a copy of one image, uint8 (C, H, W), and its label.

        Args:
            index: Its position; negative ones count from the end.

        Raises:
            TypeError: If it is not a whole number. For several images there is `subset`.
            IndexError: If it is out of range.
        """
        try:
            position = operator.index(index)
        except TypeError:
            raise TypeError(
                f"a split is indexed by one position, got {index!r:.80}; use split.subset(...) for "
                "several images, or split.images and split.labels"
            ) from None
        if not -len(self) <= position < len(self):
            raise IndexError(f"position {position} is out of range for {len(self):,} images")
        row = position % len(self)
        # Its own memory: a view would be sent to another process together with all other images.
        out = torch.empty_like(self.images[:1], memory_format=torch.contiguous_format)
        image = self.take(torch.tensor([row]), out)[0]
        label = self.labels[row]
        return image, label.clone() if self.info.multi_label else int(label)

    def __iter__(self) -> Iterator[Sample]:
        """Yield each image with its label, in order."""
        return (self[row] for row in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"images": find_map(self.images) or self.images}

    def __setstate__(self, state: dict[str, Any]) -> None:
        images = state["images"]
        vars(self).update(
            state, images=images.open() if isinstance(images, MappedImages) else images
        )

    @property
    def title(self) -> str:
        """Title of the data set; with its size and a note if they are not the usual ones."""
        return self.provenance.mark(self.info.title_at(self.images.shape[-1]))

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield consecutive batches of images, without copying them.

        The memory of memory-mapped images is released between batches, so a whole data set can be
        read without filling the memory.

        Args:
            size: Number of images per batch; the last batch may be smaller.

        Yields:
            Views of `images`, uint8 (at most `size`, C, H, W).

        Raises:
            ValueError: If `size` is below 1.
        """
        return iter_chunks(self.images, size)

    def take(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """Copy the images at given positions into one batch.

        The memory of memory-mapped images is released afterwards.

        Args:
            rows: Positions, int64 (M,), each from 0 to N - 1; they may repeat.
            out: Where to write the images, uint8 (M, C, H, W), for example pinned memory; newly
                allocated by default.

        Returns:
            uint8 (M, C, H, W): `out`, if it was given, else a tensor with channels last in memory.
        """
        return take_rows(self.images, rows, out)

    def subset(self, indices: Tensor | np.ndarray | Sequence[int] | slice) -> Split:
        """Return some of the images; scores measured on them are marked as such.

        Copies of more than 256 MiB of memory-mapped images are memory-mapped, too; see
        `medzoo.datasets.resplit`.

        Args:
            indices: Positions (negative ones count from the end), a boolean mask of length N, or a
                slice (which does not copy, if its step is 1).

        Raises:
            TypeError: If they are of another kind, e.g. floats or a single number.
            ValueError: If a list, array or mask selects no image, a mask has another length, it
                has several dimensions, or it has a 0 or 1 for each image instead of a boolean.
            IndexError: If a position is out of range.
        """
        if isinstance(indices, slice) and indices.step in (None, 1):
            images = self.images[indices].contiguous(memory_format=torch.channels_last)
            labels = self.labels[indices]
        else:
            if isinstance(indices, slice):
                rows = torch.arange(len(self))[indices]
            else:
                rows = as_positions(indices, len(self))
            images, labels = gather_rows([self.images], rows), self.labels[rows]
        note = f"{len(images):,} of {len(self):,} {self.name} images"
        earlier = self.provenance.note
        provenance = replace(
            self.provenance, official=False, note=f"{earlier}; {note}" if earlier else note
        )
        return replace(self, images=images, labels=labels, provenance=provenance)

    def head(self, count: int) -> Split:
        """Return the first `count` images; see `subset`.

        Args:
            count: Number of images; all of them, if the split has fewer.

        Raises:
            TypeError: If `count` is not a whole number.
            ValueError: If it is negative.
        """
        return self.subset(slice(as_whole("count", count, 0)))


def as_positions(indices: Any, count: int) -> Tensor:
    """Return positions among a number of images, after checking them.

    Args:
        indices: Positions or a mask, as `Split.subset` takes them.
        count: Number of images.

    Returns:
        int64 (M,), each from 0 to `count` - 1.

    Raises:
        TypeError, ValueError, IndexError: As `Split.subset`.
    """
    expected = (
        "expected whole numbers (positions), True or False for each image (a mask), or a slice"
    )
    if isinstance(indices, str | bytes) or not hasattr(indices, "__len__"):
        raise TypeError(
            f"indices={indices!r:.80} is a {type(indices).__name__}, {expected}; for one image, "
            "give a list with one position"
        )
    array = indices.cpu().numpy() if isinstance(indices, Tensor) else np.asarray(indices)
    if array.ndim != 1:
        raise ValueError(f"indices have the shape {array.shape}, expected one dimension")
    if not len(array):
        raise ValueError("indices are empty, so no image is selected; a split needs at least one")
    if array.dtype == bool:
        if len(array) != count:
            raise ValueError(f"a mask of {len(array):,} values for {count:,} images")
        if not array.any():
            raise ValueError("the mask is False for all images, so none is selected")
        return torch.from_numpy(array.nonzero()[0])
    if array.dtype.kind not in "iu":
        raise TypeError(f"indices are {array.dtype}, {expected}")
    if len(array) == count > 2 and ((array == 0) | (array == 1)).all():
        raise ValueError(
            f"indices are {count:,} whole numbers, only 0 and 1, for {count:,} images: a mask, or "
            "positions of the first two images; give a boolean mask (e.g. indices == 1), or "
            "positions without repetition"
        )
    lowest, highest = int(array.min()), int(array.max())
    if lowest < -count or highest >= count:
        wrong = lowest if lowest < -count else highest
        raise IndexError(
            f"position {wrong} is out of range for {count:,} images, expected 0 to {count - 1:,}"
        )
    rows = torch.from_numpy(array.astype(np.int64))
    return torch.where(rows < 0, rows + count, rows)


def show(split: Split, *, per_class: int = 10) -> Image:
    """Draw a few images of each class of a split: the contact sheet of `Split.plot`.

    Args:
        split: The images, e.g. ``data.train``.
        per_class: Number of images per class.

    Returns:
        An RGB image, which notebooks show.

    Raises:
        TypeError: If `split` is not a `Split`, or `per_class` is not a whole number.
        ValueError: If `per_class` is below 1, or so large that no picture has room for it.

    Example:
        >>> import medzoo
        >>> medzoo.show(medzoo.synthetic("breastmnist").train, per_class=3).size
        (268, 212)
    """
    if not isinstance(split, Split):
        raise TypeError(f"split is a {type(split).__name__}; give one split, e.g. data.train")
    return split.plot(per_class=per_class)
