"""How alike two images are, whatever the turn, zoom, shift and light they were taken with."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.datasets.storage.mmap import release_pages

THUMBNAIL = 28
"""Pixels a side that images are reduced to first."""

TURNS = 8
"""Ways to lay a square on itself: four quarter turns, and those mirrored."""

_GRID = 14  # pixels a side that are compared
_COMPONENTS = 100  # of the whitened space
_IMAGES_A_COMPONENT = 4  # at least, or the whitened space would fit single images
_SAMPLE = 20_000  # images that the whitened space is made from
_CHUNK = 2048  # images as floats at once
_SMALL = 1e-6
_LOG_ZOOM = (-0.9, 0.1)  # beyond, almost anything can be made to look like anything
_ANGLE = 0.5  # radians


def thumbnails(images: Tensor) -> Tensor:
    """Reduce images to small ones, piece by piece.

    Args:
        images: uint8 (N, C, H, W).

    Returns:
        uint8 (N, C, 28, 28).
    """
    pieces = []
    step = max(1, (_CHUNK * THUMBNAIL**2) // (images.shape[-1] ** 2))
    for chunk in images.split(step):
        small = F.interpolate(chunk.float(), size=(THUMBNAIL, THUMBNAIL), mode="area")
        pieces.append(small.round().to(torch.uint8).contiguous())
        release_pages(chunk.nbytes)
    return torch.cat(pieces)


def turned(images: Tensor, turn: int) -> Tensor:
    """Lay square images on themselves in one of the eight ways; 0 changes nothing.

    Args:
        images: (N, C, H, H).
        turn: 0 to 7: quarter turns, plus 4 if mirrored.
    """
    quarter = torch.rot90(images, turn % 4, (2, 3))
    return quarter.flip(3) if turn >= 4 else quarter


def centres(images: Tensor) -> Tensor:
    """Tell where the thing shown is: the centroid of what differs from the image's border.

    Args:
        images: uint8 (N, C, 28, 28).

    Returns:
        (N, 2): x and y, from -1 (left, top) to 1.
    """
    places = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
    window = torch.exp(-(places[:, None] ** 2 + places**2) / 0.8)  # of no account at the border
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
    """Compares images by the cosine of whitened pixels.

    A small image without its mean brightness, scaled to length 1, is looked at along the principal
    axes of the set, each of which counts the same. What all images of the set share (a dark spot
    in the middle, two lungs) thus counts little, and what is an image's own counts much.
    """

    def __init__(self, images: Tensor) -> None:
        """Make the space out of the images of a set.

        Args:
            images: uint8 (N, C, 28, 28).
        """
        some = images[:: math.ceil(len(images) / _SAMPLE)]
        whole = torch.zeros(1, 4)
        plain = torch.cat([_plain(_look(c, whole.expand(len(c), 4))) for c in some.split(_CHUNK)])
        self._mean = plain.mean(0)
        plain -= self._mean
        values, axes = torch.linalg.eigh(plain.T @ plain / len(plain))
        count = max(1, min(_COMPONENTS, len(images) // _IMAGES_A_COMPONENT))
        values, axes = values.flip(0)[:count], axes.flip(1)[:, :count]
        self._axes = axes / values.clamp_min(_SMALL * float(values[0]) + _SMALL**2).sqrt()

    def describe(self, images: Tensor, zoom: float, centre: Tensor, size: int) -> Tensor:
        """Return what images are compared by, so that a dot product is how alike they are.

        Args:
            images: uint8 (N, C, 28, 28).
            zoom: Share of the side that is looked at, e.g. 0.5 for the middle quarter.
            centre: (N, 2): where the middle of that is.
            size: Number of components: fewer are faster to compare, and coarser.

        Returns:
            (N, up to `size`), each of length 1.
        """
        found = []
        for chunk, middle in zip(images.split(_CHUNK), centre.split(_CHUNK), strict=True):
            pose = torch.zeros(len(chunk), 4)
            pose[:, 0], pose[:, 2:] = math.log(zoom), middle
            found.append(self._describe(_look(chunk, pose), size))
        return torch.cat(found)

    def align(
        self, fixed: Tensor, fixed_pose: Tensor, moving: Tensor, pose: Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Turn, zoom and shift images until they look most like others, by gradient ascent.

        Args:
            fixed: uint8 (N, C, 28, 28).
            fixed_pose: (N, 4): how they are looked at: log of the zoom, angle in radians, x, y.
            moving: uint8 (N, C, 28, 28), each to be aligned with its fixed one.
            pose: (N, 4): where to begin.
            steps: How many steps to take.

        Returns:
            How alike they got, (N,), -1 to 1; and the poses, (N, 4).
        """
        target = self._describe(_look(fixed, fixed_pose), _COMPONENTS)
        source = moving.float()
        best = torch.full((len(pose),), -1.0)
        best_pose = pose
        speed = force = torch.zeros_like(pose)
        for step in range(steps + 1):
            pose = pose.detach().requires_grad_(step < steps)
            with torch.enable_grad():
                alike = (self._describe(_look(source, pose), _COMPONENTS) * target).sum(1)
                better = (alike > best).detach()
                best = torch.where(better, alike.detach(), best)
                best_pose = torch.where(better[:, None], pose.detach(), best_pose)
                if step == steps:
                    break
                (slope,) = torch.autograd.grad(alike.sum(), pose)
            # Adam's rule, one image as independent of the others as one parameter of the next.
            speed = 0.8 * speed + 0.2 * slope
            force = 0.95 * force + 0.05 * slope.square()
            move = (speed / (1 - 0.8 ** (step + 1))) / (
                (force / (1 - 0.95 ** (step + 1))).sqrt() + 1e-3
            )
            pose = pose.detach() + 0.06 * (1 - step / (steps + 1)) * move
            pose[:, 0].clamp_(*_LOG_ZOOM)
            pose[:, 1].clamp_(-_ANGLE, _ANGLE)
        return best, best_pose

    def _describe(self, looks: Tensor, size: int) -> Tensor:
        return F.normalize((_plain(looks) - self._mean) @ self._axes[:, :size], eps=_SMALL)


def _look(images: Tensor, pose: Tensor) -> Tensor:
    """Sample what poses (N, 4) show of images (N, C, 28, 28); float32 (N, C, 14, 14)."""
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


def _plain(looks: Tensor) -> Tensor:
    """Take brightness and contrast away: mean 0, length 1; colours stay as they are."""
    flat = looks.flatten(1) / 255
    return F.normalize(flat - flat.mean(1, keepdim=True), eps=1e-3)
