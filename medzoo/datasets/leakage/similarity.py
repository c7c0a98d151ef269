"""Similarity of two images, regardless of rotation, zoom, shift and brightness."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets.storage.mmap import iter_chunks

THUMBNAIL = 28
"""Pixels per side of the thumbnails that images are first reduced to."""

TURNS = 8
"""Symmetries of a square: four quarter turns, each also mirrored."""

_GRID = 14  # pixels per side that are compared
_COMPONENTS = 100  # dimensions of the whitened space
_IMAGES_PER_COMPONENT = 4  # minimum, so that the whitened space does not fit single images
_SAMPLE = 20_000  # images that the whitened space is computed from
_CHUNK = 2048  # images held as floats at once
_SMALL = 1e-6
_LOG_ZOOM = (-0.9, 0.1)  # beyond these limits, almost any two images can be aligned
_MAX_ANGLE = 0.5  # radians


def thumbnails(images: Tensor) -> Tensor:
    """Reduce images to thumbnails, chunk by chunk.

    Args:
        images: uint8 (N, C, H, W).

    Returns:
        uint8 (N, C, 28, 28).
    """
    size = max(1, (_CHUNK * THUMBNAIL**2) // (images.shape[-1] ** 2))
    small = []
    for chunk in iter_chunks(images, size):
        reduced = F.interpolate(chunk.float(), size=(THUMBNAIL, THUMBNAIL), mode="area")
        small.append(reduced.round().to(torch.uint8).contiguous())
    return torch.cat(small)


def turned(images: Tensor, turn: int) -> Tensor:
    """Rotate, and possibly mirror, square images in one of eight ways; 0 does not change them.

    Args:
        images: (N, C, H, H).
        turn: 0 to 7: number of quarter turns, plus 4 if mirrored.
    """
    quarter = torch.rot90(images, turn % 4, (2, 3))
    return quarter.flip(3) if turn >= 4 else quarter


def centres(images: Tensor) -> Tensor:
    """Locate the object in each image: the centroid of what differs from the image border.

    Args:
        images: uint8 (N, C, 28, 28).

    Returns:
        (N, 2): x and y, from -1 (left, top) to 1.
    """
    places = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
    window = torch.exp(-(places[:, None] ** 2 + places**2) / 0.8)  # almost 0 at the border
    found = []
    for chunk in images.split(_CHUNK):
        small = F.avg_pool2d(chunk.float() / 255, THUMBNAIL // _GRID)
        edges = (small[:, :, 0], small[:, :, -1], small[:, :, :, 0], small[:, :, :, -1])
        border = torch.cat(edges, 2).median(2).values[:, :, None, None]
        weight = (small - border).square().sum(1) * window
        weight /= weight.sum((1, 2), keepdim=True).clamp_min(_SMALL)
        found.append(
            torch.stack([(weight.sum(1) * places).sum(1), (weight.sum(2) * places).sum(1)], 1)
        )
    return torch.cat(found)


class Similarity:
    """Compares images by the cosine of their whitened pixels.

    A small image, without its mean brightness and scaled to length 1, is projected on the principal
    axes of the data set, all with the same weight. So features that all images of the data set
    share (a dark spot in the centre, two lungs) have little influence, and features that only
    one image has have much.
    """

    def __init__(self, images: Tensor) -> None:
        """Compute the whitened space from the images of a data set.

        Args:
            images: uint8 (N, C, 28, 28).
        """
        some = images[:: math.ceil(len(images) / _SAMPLE)]
        whole = torch.zeros(1, 4)
        plain = torch.cat(
            [_standardise(_sample(c, whole.expand(len(c), 4))) for c in some.split(_CHUNK)]
        )
        self._mean = plain.mean(0)
        plain -= self._mean
        values, axes = torch.linalg.eigh(plain.T @ plain / len(plain))
        count = max(1, min(_COMPONENTS, len(images) // _IMAGES_PER_COMPONENT))
        values, axes = values.flip(0)[:count], axes.flip(1)[:, :count]
        self._axes = axes / values.clamp_min(_SMALL * float(values[0]) + _SMALL**2).sqrt()

    def describe(self, images: Tensor, zoom: float, centre: Tensor, size: int) -> Tensor:
        """Return descriptors of images; the similarity of two images is their dot product.

        Args:
            images: uint8 (N, C, 28, 28).
            zoom: Visible share of each side, e.g. 0.5 for the central quarter of the image.
            centre: (N, 2): centre of the visible part, x and y from -1 to 1.
            size: Number of components: fewer are faster to compare, but coarser.

        Returns:
            (N, up to `size`), each of length 1.
        """
        found = []
        for chunk, middle in zip(images.split(_CHUNK), centre.split(_CHUNK), strict=True):
            pose = torch.zeros(len(chunk), 4)
            pose[:, 0], pose[:, 2:] = math.log(zoom), middle
            found.append(self._describe(_sample(chunk, pose), size))
        return torch.cat(found)

    def align(
        self, fixed: Tensor, fixed_pose: Tensor, moving: Tensor, pose: Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Rotate, zoom and shift images to maximise their similarity, by gradient ascent.

        Args:
            fixed: uint8 (N, C, 28, 28): images that do not move.
            fixed_pose: (N, 4): their poses: log of the zoom, angle in radians, x, y.
            moving: uint8 (N, C, 28, 28): images to align, each with the fixed one at its index.
            pose: (N, 4): initial poses of the moving images.
            steps: Number of steps.

        Returns:
            The highest similarities, (N,), from -1 to 1; and the poses there, (N, 4).
        """
        target = self._describe(_sample(fixed, fixed_pose), _COMPONENTS)
        source = moving.float()
        best = torch.full((len(pose),), -1.0)
        best_pose = pose
        speed = force = torch.zeros_like(pose)
        for step in range(steps + 1):
            pose = pose.detach().requires_grad_(step < steps)
            with torch.enable_grad():
                similarity = (self._describe(_sample(source, pose), _COMPONENTS) * target).sum(1)
                better = (similarity > best).detach()
                best = torch.where(better, similarity.detach(), best)
                best_pose = torch.where(better[:, None], pose.detach(), best_pose)
                if step == steps:
                    break
                (slope,) = torch.autograd.grad(similarity.sum(), pose)
            # The update rule of Adam, so that images do not influence each other.
            speed = 0.8 * speed + 0.2 * slope
            force = 0.95 * force + 0.05 * slope.square()
            move = (speed / (1 - 0.8 ** (step + 1))) / (
                (force / (1 - 0.95 ** (step + 1))).sqrt() + 1e-3
            )
            pose = pose.detach() + 0.06 * (1 - step / (steps + 1)) * move
            pose[:, 0].clamp_(*_LOG_ZOOM)
            pose[:, 1].clamp_(-_MAX_ANGLE, _MAX_ANGLE)
        return best, best_pose

    def _describe(self, samples: Tensor, size: int) -> Tensor:
        return F.normalize((_standardise(samples) - self._mean) @ self._axes[:, :size], eps=_SMALL)


def _sample(images: Tensor, pose: Tensor) -> Tensor:
    """Sample the part of images (N, C, 28, 28) seen in poses (N, 4); float32 (N, C, 14, 14)."""
    zoom = pose[:, 0].exp()
    along, across = zoom * pose[:, 1].cos(), zoom * pose[:, 1].sin()
    rows = (
        torch.stack([along, -across, pose[:, 2]], 1),
        torch.stack([across, along, pose[:, 3]], 1),
    )
    grid = F.affine_grid(
        torch.stack(rows, 1), [len(images), images.shape[1], _GRID, _GRID], align_corners=False
    )
    return F.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _standardise(samples: Tensor) -> Tensor:
    """Remove brightness and contrast (mean 0, length 1), but keep colours."""
    flat = samples.flatten(1) / 255
    return F.normalize(flat - flat.mean(1, keepdim=True), eps=1e-3)
