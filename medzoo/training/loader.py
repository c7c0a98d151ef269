"""Shuffled batches of a split that is one tensor: gather rows, augment, hand over."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets import Split
from medzoo.training.augment import BatchAugmenter


class BatchLoader:
    """Iterate over a split in random order, in augmented batches.

    There are no worker processes: a batch is one gather from the uint8 tensor (or its memory
    map) and a few batched operations, so nothing is pickled, copied or waited for.

    Args:
        split: The images and labels.
        batch_size: Images a batch; a smaller last batch is left out, because batch
            normalisation suffers from it, and another order comes next epoch.
        augmenter: Applied to every batch.
        device: Where batches go.
        label_smoothing: Share of the target spread evenly, in [0, 1).
        seed: With the epoch, decides order and augmentation, so that any epoch can be had again.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        augmenter: BatchAugmenter,
        device: torch.device,
        label_smoothing: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.split = split
        self.batch_size = min(batch_size, len(split))
        self.augmenter = augmenter
        self.device = device
        self.seed = seed
        self.targets = soft_targets(split, label_smoothing)

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
        for step in range(len(self)):
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            images = self.split.images[rows].to(self.device, non_blocking=True)
            targets = self.targets[rows].to(self.device, non_blocking=True)
            yield self.augmenter(images, targets, rng)


def soft_targets(split: Split, label_smoothing: float = 0.0) -> Tensor:
    """Turn labels into target probabilities, float32 (N, K).

    Args:
        split: The labels and their task.
        label_smoothing: Share of the target spread over all classes (Szegedy et al., 2016); for
            multi-label sets, half of it moves each label towards 0.5.
    """
    if split.info.multi_label:
        return torch.lerp(split.labels, torch.full_like(split.labels, 0.5), label_smoothing)
    one_hot = F.one_hot(split.labels, split.info.num_classes).float()
    return torch.lerp(one_hot, torch.full_like(one_hot, 1 / one_hot.shape[1]), label_smoothing)
