"""Shuffled batches of a split that is one tensor: gather rows, augment, resize, ask the teacher."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset, Split
from medzoo.datasets.storage import iter_chunks, take_rows
from medzoo.distributed import rank as current_rank
from medzoo.distributed import world_size
from medzoo.inference import InputAdapter, Model
from medzoo.training.augment import BatchAugmenter, choose_corruptions
from medzoo.training.distillation import Teacher
from medzoo.training.loss import soft_targets
from medzoo.training.recipes.recipe import Recipe
from medzoo.transforms import input_spec

_CHUNK = 64 << 20  # bytes that are copied to another device at once
_SHARE = 0.25  # of a GPU's free memory that images may take: the network needs most of the rest


class BatchLoader:
    """Iterate over a split in random order, in augmented batches of equal size.

    The images that do not fill an epoch's last batch begin the first batch of the next epoch, so
    that every image is used equally often, and batch normalisation sees no small batches.

    There are no worker processes: a batch is one gather from the uint8 tensor (or its memory
    map) and a few batched operations, so nothing is pickled, copied or waited for. On a GPU the
    whole split is kept in its memory if it fits in comfortably; if not, batches are gathered into
    pinned memory and copied while the GPU computes.

    With several processes, each takes its slice of every batch of the same order.

    Args:
        split: The images and labels.
        batch_size: Images per batch, over all processes; all images at most.
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
        check_shares(len(split), batch_size, processes)
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
            self.images, self.targets = _moved(self.images, device), self.targets.to(device)

    def steps_before(self, epoch: int) -> int:
        """Return the number of batches before an epoch, which is that of a run of as many epochs.

        Args:
            epoch: Which one, from 0.
        """
        return epoch * len(self.split) // self.batch_size

    def images_in(self, epoch: int) -> int:
        """Return the number of images in the batches of an epoch, over all processes.

        Args:
            epoch: Which one, from 0.
        """
        return self.batch_size * (self.steps_before(epoch + 1) - self.steps_before(epoch))

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: images (N, C, H, W) and targets (N, K), float32.

        Args:
            epoch: Which one, from 0.
        """
        rng = np.random.default_rng((self.seed, epoch))
        drawn = rng.permutation(len(self.split))
        if left := epoch * len(self.split) % self.batch_size:
            before = np.random.default_rng((self.seed, epoch - 1)).permutation(len(self.split))
            drawn = np.concatenate([before[-left:], drawn])
        # The rows of a batch are chosen where the images are. One copy per epoch, before it begins.
        order = torch.from_numpy(drawn).to(self.images.device)
        if self.rank:
            rng = np.random.default_rng((self.seed, epoch, self.rank))
        own = self.batch_size // self.processes
        for step in range(self.images_in(epoch) // self.batch_size):
            start = step * self.batch_size + self.rank * own
            rows = order[start : start + own]
            images, targets = self._gather(self.images, rows), self._gather(self.targets, rows)
            yield self.augmenter(images, targets, rng)

    def _gather(self, source: Tensor, rows: Tensor) -> Tensor:
        # New pinned memory each time: PyTorch lends it again when the copy has finished.
        pinned = self.device.type == "cuda" and not source.is_cuda
        batch = torch.empty_like(source[: len(rows)], pin_memory=pinned)
        return take_rows(source, rows, out=batch).to(self.device, non_blocking=True)


class BatchSource:
    """What a model learns from: augmented batches in its own size, with its teacher's answers.

    Args:
        data: The training images and labels.
        recipe: Batch size, augmentation, label smoothing and seed.
        device: Where batches go.
        high_res: The same training images in a larger size. Random changes are made to these, the
            teacher sees them, and the model gets them scaled down.
        teacher: A model whose answers are blended into the targets, if any; see `Teacher`.

    Attributes:
        loader: The batches as the teacher sees them.
        teacher: The teacher for these batches, or None.
    """

    def __init__(
        self,
        data: Dataset,
        recipe: Recipe,
        device: torch.device,
        high_res: Dataset | None = None,
        teacher: Model | None = None,
    ) -> None:
        source = high_res or data
        shared = input_spec(source)
        self.loader = BatchLoader(
            source.train,
            recipe.batch_size,
            BatchAugmenter(
                recipe.augmentation,
                shared.mean,
                shared.std,
                device,
                choose_corruptions(recipe.augmentation, source.train),
            ),
            device,
            soft_targets(source.train, recipe.label_smoothing),
            recipe.seed,
            rank=current_rank(),
            processes=world_size(),
        )
        self.teacher: Teacher | None = None
        if teacher is not None:
            share, precision = recipe.distillation, recipe.precision
            self.teacher = Teacher(teacher, source, share, device, precision)
        self.to_size: nn.Module = nn.Identity()
        if high_res is not None:
            self.to_size = InputAdapter(nn.Identity(), input_spec(data), shared).to(device)

    def steps_before(self, epoch: int) -> int:
        """Return the number of batches before an epoch; see `BatchLoader.steps_before`.

        Args:
            epoch: Which one, from 0.
        """
        return self.loader.steps_before(epoch)

    def images_in(self, epoch: int) -> int:
        """Return the number of images in the batches of an epoch; see `BatchLoader.images_in`.

        Args:
            epoch: Which one, from 0.
        """
        return self.loader.images_in(epoch)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: images (N, C, H, W) and targets (N, K), float32.

        Args:
            epoch: Which one, from 0.
        """
        for images, targets in self.loader.epoch(epoch):
            if self.teacher is not None:
                targets = self.teacher.blend(images, targets)
            yield self.to_size(images), targets


def check_shares(images: int, batch_size: int, processes: int) -> None:
    """Make sure that batches can be divided among processes.

    Args:
        images: Number of training images.
        batch_size: Images per batch.
        processes: How many processes share a batch.

    Raises:
        ValueError: If `processes` does not divide `batch_size`, or there are fewer images than
            processes.
    """
    if batch_size % processes:
        raise ValueError(
            f"batch_size={batch_size} cannot be divided among {processes} processes; use a "
            f"multiple of {processes}, e.g. {-(-batch_size // processes) * processes}"
        )
    if images < processes:
        raise ValueError(
            f"{images} training images are too few for {processes} processes; start fewer"
        )


def _moved(images: Tensor, device: torch.device) -> Tensor:
    """Copy images to another device, without filling the memory with a mapped file."""
    if images.device.type == device.type:
        return images.to(device)
    moved = torch.empty_like(images, device=device)
    start = 0
    for chunk in iter_chunks(images, max(1, _CHUNK // images[:1].nbytes)):
        moved[start : start + len(chunk)] = chunk.to(device)
        start += len(chunk)
    return moved


def _fits(device: torch.device, size: int) -> bool:
    """Whether tensors of `size` bytes may stay on a device for the whole run."""
    if device.type != "cuda":
        return device.type == "cpu"
    free, _ = torch.cuda.mem_get_info(device)
    return size <= _SHARE * free
