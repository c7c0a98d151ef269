"""Shuffled batches of a split that is one tensor: gather rows, augment, hand over."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from medzoo.datasets import Split
from medzoo.datasets.storage.mmap import release_pages
from medzoo.training.augment import BatchAugmenter
from medzoo.training.loss import soft_targets

_SHARE = 0.25  # of a GPU's free memory that images may take: the network needs most of the rest


class BatchLoader:
    """Iterate over a split in random order, in augmented batches.

    There are no worker processes: a batch is one gather from the uint8 tensor (or its memory
    map) and a few batched operations, so nothing is pickled, copied or waited for. On a GPU the
    whole split is kept in its memory if it fits in comfortably; if not, batches are gathered into
    pinned memory and copied while the GPU computes.

    With several processes, each takes its slice of every batch of the same order.

    Args:
        split: The images and labels.
        batch_size: Images a batch, of all processes; a smaller last batch is left out, because
            batch normalisation suffers from it, and another order comes next epoch.
        augmenter: Applied to every batch.
        device: Where batches go.
        targets: Target probabilities of all images, float32 (N, K); by default the labels.
        seed: With the epoch (and the rank, for augmentation), decides order and augmentation, so
            that any epoch can be had again.
        rank: Number of this process, from 0.
        processes: How many there are.

    Raises:
        ValueError: If `processes` does not divide `batch_size`, or there are fewer images than
            processes.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        augmenter: BatchAugmenter,
        device: torch.device,
        targets: Tensor | None = None,
        seed: int = 0,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if batch_size % processes:
            raise ValueError(
                f"batch_size={batch_size} cannot be divided among {processes} processes; use a "
                f"multiple of {processes}, e.g. {-(-batch_size // processes) * processes}"
            )
        if len(split) < processes:
            raise ValueError(
                f"{len(split)} training images are too few for {processes} processes; start fewer"
            )
        self.split = split
        self.batch_size = min(batch_size, len(split) // processes * processes)
        self.augmenter = augmenter
        self.device = device
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.images = split.images
        self.targets = soft_targets(split) if targets is None else targets
        if _fits(device, self.images.nbytes + self.targets.nbytes):
            self.images, self.targets = self.images.to(device), self.targets.to(device)

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return len(self.split) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: images (N, C, H, W) and targets (N, K), float32.

        Args:
            epoch: Which one, from 0.
        """
        rng = np.random.default_rng((self.seed, epoch))
        order = torch.from_numpy(rng.permutation(len(self.split)))
        # The rows of a batch are chosen where the images are. One copy an epoch, before it begins.
        order = order.to(self.images.device)
        if self.rank:
            rng = np.random.default_rng((self.seed, epoch, self.rank))
        own = self.batch_size // self.processes
        for step in range(len(self)):
            start = step * self.batch_size + self.rank * own
            rows = order[start : start + own]
            images, targets = self._gather(self.images, rows), self._gather(self.targets, rows)
            yield self.augmenter(images, targets, rng)

    def _gather(self, source: Tensor, rows: Tensor) -> Tensor:
        # New pinned memory each time: PyTorch lends it again when the copy has finished.
        pinned = self.device.type == "cuda" and not source.is_cuda
        batch = torch.empty_like(source[: len(rows)], pin_memory=pinned)
        # Copies whole rows; source[rows] would visit every pixel.
        torch.index_select(source, 0, rows, out=batch)
        release_pages(batch.nbytes)
        return batch.to(self.device, non_blocking=True)


def _fits(device: torch.device, size: int) -> bool:
    """Whether tensors of `size` bytes may stay on a device for the whole run."""
    if device.type != "cuda":
        return device.type == "cpu"
    free, _ = torch.cuda.mem_get_info(device)
    return size <= _SHARE * free
