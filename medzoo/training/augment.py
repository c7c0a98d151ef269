"""Augmentation of whole batches: uint8 images in, normalised float images and soft targets out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets import Split
from medzoo.images.corruptions import SEVERITIES, Corruption, corruptions_for
from medzoo.training.recipes.recipe import Augmentation

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601-2
_GROUP = 8
"""Images that are damaged alike: operations on batches take as long for one image."""


class BatchAugmenter:
    """Apply an `Augmentation` to batches, on the device they are on.

    All geometry of an image is one affine map, so pixels are interpolated once. Random numbers
    are drawn on the CPU, a few per image, so every device sees the same augmentation.

    Args:
        augmentation: What to change, and how much.
        mean: Mean of each channel, for images scaled to [0, 1].
        std: Standard deviation of each channel, for images scaled to [0, 1].
        device: Where the batches are.
        corruptions: What images are damaged with; see `choose_corruptions`.

    Raises:
        ValueError: If the augmentation damages images, and `corruptions` does not say with what.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: str | torch.device = "cpu",
        corruptions: Sequence[Corruption] = (),
    ) -> None:
        if augmentation.corruption and not corruptions:
            raise ValueError(
                f"augmentation.corruption={augmentation.corruption!r} damages images, but "
                "corruptions is empty; give medzoo.training.choose_corruptions(augmentation, split)"
            )
        self.augmentation = augmentation
        self.corruptions = corruptions
        # Kept on the device: copying them there in every step would make a GPU wait.
        self.mean = 255 * torch.tensor(mean, device=device)
        self.variance = (255 * torch.tensor(std, device=device)) ** 2
        self.to_gray = torch.tensor(_LUMINANCE, device=device).expand(3, 3)
        self.identity = torch.eye(3, device=device)

    def __call__(
        self, images: Tensor, targets: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            images: uint8, (N, C, H, W).
            targets: float32, (N, K): one-hot or multi-hot, smoothed or not; NaN is unknown.
            rng: Source of randomness.

        Returns:
            Images, float32 (N, C, H, W), normalised, in channels_last memory; and targets.
        """
        images = self._damage(images, rng)
        # Planes, because that is what interpolation and products with colours are fast at.
        x = images.to(torch.float32, memory_format=torch.contiguous_format)
        x = self._geometry(x, rng)
        x = self._colour(x, rng)
        x = self._speckle(x, rng)
        # (x / 255 - mean) / std, as one pass; in PyTorch nothing is faster at it than batch norm.
        # Called without F.batch_norm, which in some versions refuses eps=0.
        x = torch.batch_norm(x, None, None, self.mean, self.variance, False, 0.0, 0.0, True)
        # From here on zero is the mean colour, which is what erasing fills in.
        x = self._erase(x, rng)
        x, targets = self._mix(x, targets, rng)
        return x.contiguous(memory_format=torch.channels_last), targets

    def _damage(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        if not self.corruptions:
            return images
        damaged = images.clone()
        for group in damaged.split(_GROUP):
            corruption = self.corruptions[int(rng.integers(len(self.corruptions)))]
            severity = int(rng.choice(SEVERITIES))
            rows = np.flatnonzero(rng.random(len(group)) < self.augmentation.corruption)
            rngs = [np.random.default_rng(seed) for seed in rng.integers(1 << 63, size=len(rows))]
            group[rows] = corruption.apply(group[rows], severity, rngs)
        return damaged

    def _geometry(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        a, n, (height, width) = self.augmentation, len(x), x.shape[-2:]
        changes = (a.horizontal_flip, a.vertical_flip, a.rotation, a.scale, a.widen, a.shift)
        if not any(changes):
            return x
        angle = np.deg2rad(rng.uniform(-a.rotation, a.rotation, n))
        zoom = 1 / rng.uniform(1 - a.scale, 1 + a.scale, n)
        flip_x = np.where(rng.random(n) < a.horizontal_flip, -1, 1)
        flip_y = np.where(rng.random(n) < a.vertical_flip, -1, 1)
        # The image spans [-1, 1], so a shift by the whole side is 2.
        shift_x, shift_y = rng.uniform(-2 * a.shift, 2 * a.shift, (2, n))
        cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
        maps = np.stack([flip_x * cos, -flip_y * sin, shift_x, flip_x * sin, flip_y * cos, shift_y])
        if a.widen:  # a narrower part of the image is shown
            maps[:2] /= np.exp(rng.uniform(0, math.log1p(a.widen), n))
        # One product for all images; F.affine_grid does one for each, which is much slower.
        grid = _like(x, maps.T.reshape(2 * n, 3)) @ _positions(height, width, x.device)
        grid = grid.view(n, 2, height, width).permute(0, 2, 3, 1)
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)

    def _colour(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Change the colours of images in [0, 255]: one linear map of each pixel's channels."""
        a, n = self.augmentation, len(x)
        if not (a.brightness or a.contrast or a.saturation):
            return x
        brightness, contrast, saturation = (
            rng.uniform(1 - strength, 1 + strength, n) if strength else np.ones(n)
            for strength in (a.brightness, a.contrast, a.saturation)
        )
        # Contrast pulls towards the image's mean gray, which saturation leaves alone.
        gray = x.mean(dim=(1, 2, 3)) * _like(x, (1 - contrast) * brightness)
        gain = _like(x, contrast * brightness).view(n, 1, 1)
        bias = gray.view(n, 1, 1)
        if a.saturation and x.shape[1] == 3:
            keep = _like(x, saturation).view(n, 1, 1)
            matrix = torch.lerp(self.to_gray, self.identity, keep) * gain
            x = torch.baddbmm(bias, matrix, x.flatten(2)).view_as(x)
        else:
            x = torch.addcmul(bias.unsqueeze(3), x, gain.unsqueeze(3))
        return x.clamp_(0, 255)

    def _speckle(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Multiply each pixel of images in [0, 255] by its own random number around 1."""
        if not self.augmentation.noise:
            return x
        factors = rng.standard_normal((len(x), 1, *x.shape[2:]), np.float32)
        return (x * _like(x, 1 + self.augmentation.noise * factors)).clamp_(0, 255)

    def _erase(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        a, n = self.augmentation, len(x)
        if not a.erasing:
            return x
        # Rectangles of 2 to 25 % of the image, or none.
        area = np.where(rng.random(n) < a.erasing, rng.uniform(0.02, 0.25, n), 0.0)
        return x * ~_boxes(x, area, rng)

    def _mix(self, x: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Mix each chosen image with its neighbour in the (already shuffled) batch."""
        a, n = self.augmentation, len(x)
        methods = [name for name in ("mixup", "cutmix") if getattr(a, name)]
        if not methods or not a.mix_probability:
            return x, targets
        method = str(rng.choice(methods))
        strength = getattr(a, method)
        share = rng.beta(strength, strength, n)
        share[rng.random(n) >= a.mix_probability] = 0
        if method == "mixup":
            weight = _like(x, share).view(-1, 1, 1, 1)
        else:
            weight = _boxes(x, share, rng).to(x.dtype)
        mixed = torch.lerp(x, x.roll(1, 0), weight)
        # The share of pixels truly taken, since boxes are whole pixels and end at the border.
        taken = weight.mean(dim=(1, 2, 3)).view(-1, 1)
        return mixed, _mix_targets(targets, targets.roll(1, 0), taken)


def choose_corruptions(augmentation: Augmentation, split: Split) -> list[Corruption]:
    """Return what an augmentation damages images with, after trying it on one of them.

    Args:
        augmentation: The augmentation.
        split: The images, at least one.

    Raises:
        ValueError: If MedMNIST-C has no such corruptions for the data set, or they do not fit the
            images.
    """
    if not augmentation.corruptions:
        return []
    like = augmentation.corruptions_like or split.info.name
    try:
        known = corruptions_for(like).values()
    except ValueError as error:
        raise ValueError(
            f"augmentation.corruptions={list(augmentation.corruptions)!r}: {error} Name the "
            "MedMNIST data set with the most similar images as augmentation.corruptions_like"
        ) from error
    chosen = [one for one in known if one.family in augmentation.corruptions]
    if not chosen:
        families = sorted({one.family for one in known})
        raise ValueError(
            f"augmentation.corruptions={list(augmentation.corruptions)!r}: MedMNIST-C has none of "
            f"them for {like}; it has {', '.join(families)}"
        )
    for one in chosen:
        one(split.images[:1], SEVERITIES[0])
    return chosen


def _mix_targets(targets: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """Blend targets; a blend with an unknown one (NaN) is unknown, unless its share is 0."""
    mixed = torch.lerp(targets, others, share)
    return torch.where(share == 0, targets, torch.where(share == 1, others, mixed))


def _boxes(x: Tensor, area: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Random rectangles as masks (N, 1, H, W), each of a share of the image's area."""
    n, (height, width) = len(x), x.shape[-2:]
    aspect = np.exp(rng.uniform(-math.log(2), math.log(2), n))
    half_h, half_w = (np.sqrt(np.stack([area * aspect, area / aspect])) / 2).clip(max=0.5)
    centre_y, centre_x = rng.uniform(half_h, 1 - half_h), rng.uniform(half_w, 1 - half_w)

    def inside(centre: np.ndarray, half: np.ndarray, size: int) -> Tensor:
        pixels = (torch.arange(size, device=x.device) + 0.5) / size
        return (pixels - _like(x, centre)[:, None]).abs() < _like(x, half)[:, None]

    rows, columns = inside(centre_y, half_h, height), inside(centre_x, half_w, width)
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)


@lru_cache(maxsize=16)
def _positions(height: int, width: int, device: torch.device) -> Tensor:
    """Homogeneous coordinates (3, H * W) of the centres of pixels, on an image from -1 to 1."""
    y = (2 * torch.arange(height, device=device) + 1) / height - 1
    x = (2 * torch.arange(width, device=device) + 1) / width - 1
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1)


def _like(x: Tensor, values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).to(x.device, x.dtype, non_blocking=True)
