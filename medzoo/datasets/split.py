"""One split of a data set: images, labels, and reading them without filling the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medzoo.datasets.info import DatasetInfo, SplitName
from medzoo.datasets.provenance import Provenance
from medzoo.datasets.storage.mmap import iter_chunks, take_rows


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split.

    Attributes:
        images: uint8 (N, C, H, W), channels last in memory; large data sets are memory-mapped.
            Treat them as read-only: the memory may be shared, and changes to a memory-mapped data
            set may be lost. To read many of them, use `chunks` and `take`, which keep the memory
            of memory-mapped data sets small.
        labels: int64 (N,), or float32 (N, L) of zeros and ones if multi-label. Unknown labels of
            multi-label data sets are NaN; training and scores leave them out.
        info: Description of the data set that the split belongs to.
        name: ``"train"``, ``"val"`` or ``"test"``.
        provenance: Where the images came from.
    """

    images: Tensor
    labels: Tensor
    info: DatasetInfo
    name: SplitName
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = " x ".join(str(n) for n in self.images.shape)
        return f"Split({self.title}, {self.name}: {shape}, {self.info.task})"

    @property
    def title(self) -> str:
        """Title of the data set, with a note if the images are not the official ones."""
        return self.provenance.mark(self.info.title)

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

    def subset(self, indices: Tensor | Sequence[int] | slice) -> Split:
        """Return some of the images; scores measured on them are marked as such.

        Args:
            indices: Positions, a boolean mask of length N, or a slice (which does not copy).
        """
        chosen = indices if isinstance(indices, slice) else torch.as_tensor(indices)
        images = self.images[chosen].contiguous(memory_format=torch.channels_last)
        note = f"{len(images):,} of {len(self):,} {self.name} images"
        earlier = self.provenance.note
        provenance = replace(
            self.provenance, official=False, note=f"{earlier}; {note}" if earlier else note
        )
        return replace(self, images=images, labels=self.labels[chosen], provenance=provenance)

    def head(self, count: int) -> Split:
        """Return the first `count` images; see `subset`.

        Args:
            count: Number of images; all of them, if the split has fewer.
        """
        return self.subset(slice(count))
