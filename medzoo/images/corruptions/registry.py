"""Which corruptions MedMNIST-C has for each data set, and how strong they are.

The choice and the parameters (``medmnist_c.json``) are those of Di Salvo, Doerrich and Ledig,
*MedMNIST-C: Comprehensive benchmark and improved classifier robustness by simulating realistic
image corruptions*, 2024 (arXiv 2406.17536), and of their package medmnistc 0.1.0 (Apache-2.0).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from medzoo.errors import unknown_name
from medzoo.files import parse_json
from medzoo.images.corruptions import artefacts, blur, colour, digital, noise
from medzoo.images.corruptions.pixels import Generators

Family = Literal["digital", "noise", "blur", "colour", "task-specific"]
FAMILIES: tuple[Family, ...] = get_args(Family)
SEVERITIES = (1, 2, 3, 4, 5)
SMALLEST = 8
"""Height and width in pixels of the smallest images that can be corrupted."""

_FUNCTIONS: Mapping[str, tuple[Family, Callable[[Tensor, Any, Generators], Tensor]]] = {
    "pixelate": ("digital", digital.pixelate),
    "jpeg_compression": ("digital", digital.jpeg_compression),
    "gaussian_noise": ("noise", noise.gaussian_noise),
    "speckle_noise": ("noise", noise.speckle_noise),
    "impulse_noise": ("noise", noise.impulse_noise),
    "shot_noise": ("noise", noise.shot_noise),
    "gaussian_blur": ("blur", blur.gaussian_blur),
    "defocus_blur": ("blur", blur.defocus_blur),
    "motion_blur": ("blur", blur.motion_blur),
    "zoom_blur": ("blur", blur.zoom_blur),
    "brightness_up": ("colour", colour.brightness),
    "brightness_down": ("colour", colour.brightness),
    "contrast_up": ("colour", colour.contrast),
    "contrast_down": ("colour", colour.contrast),
    "saturate": ("colour", colour.saturate),
    "gamma_corr_up": ("task-specific", colour.gamma_correction),
    "gamma_corr_down": ("task-specific", colour.gamma_correction),
    "stain_deposit": ("task-specific", artefacts.stain_deposit),
    "bubble": ("task-specific", artefacts.bubble),
    "black_corner": ("task-specific", artefacts.black_corner),
    "characters": ("task-specific", artefacts.characters),
}
_COLOUR_ONLY = {"saturate"}


@dataclass(frozen=True)
class Corruption:
    """A way to damage images, in five severities.

    Attributes:
        dataset: MedMNIST's data set for which the severities were chosen.
        name: Name of the corruption, e.g. ``"motion_blur"``.
        family: ``"digital"``, ``"noise"``, ``"blur"``, ``"colour"`` or ``"task-specific"``.
        parameters: What the corruption is made with at each severity.
    """

    dataset: str
    name: str
    family: Family
    parameters: tuple[Any, ...]

    def __call__(self, images: Tensor, severity: int, *, seed: int = 0, first: int = 0) -> Tensor:
        """Damage images.

        What is random follows from the seed, the corruption, the severity and the position of the
        image; neither other images nor the device change it.

        Args:
            images: uint8 (N, C, H, W), gray or RGB, of at least 8 pixels.
            severity: From 1 to 5.
            seed: Seed of what is random.
            first: Position of the first image, if they are part of a larger set.

        Returns:
            The damaged images, uint8 (N, C, H, W).

        Raises:
            TypeError: If the images are not a tensor.
            ValueError: If they are not uint8 (N, C, H, W), are too small, or are gray and the
                corruption changes colours; or if the severity does not exist.

        Example:
            >>> import medzoo
            >>> images = medzoo.synthetic("dermamnist").test.images
            >>> blurred = medzoo.images.corruptions_for("dermamnist")["motion_blur"](images, 3)
            >>> blurred.shape == images.shape
            True
        """
        self._check(images, severity)
        key = zlib.crc32(self.name.encode())
        rows = range(first, first + len(images))
        rngs = [np.random.default_rng((seed, key, severity, row)) for row in rows]
        return self.apply(images, severity, rngs)

    def apply(self, images: Tensor, severity: int, rngs: Generators) -> Tensor:
        """Damage images with given random numbers.

        Args:
            images: As in `__call__`.
            severity: From 1 to 5.
            rngs: One generator per image.

        Returns:
            As `__call__`.

        Raises:
            TypeError, ValueError: As `__call__`.
        """
        self._check(images, severity)
        if not len(images):
            return images.clone()
        function = _FUNCTIONS[self.name][1]
        # Some steps need double precision, which not every accelerator has.
        near = images if images.is_cuda else images.cpu()
        return function(near, self.parameters[severity - 1], rngs).to(images.device)

    def _check(self, images: object, severity: object) -> None:
        if severity not in SEVERITIES:
            raise ValueError(f"severity={severity!r} must be a whole number from 1 to 5")
        if not isinstance(images, Tensor):
            raise TypeError(
                f"images are a {type(images).__name__}, expected a uint8 tensor (N, C, H, W)"
            )
        shape = tuple(images.shape)
        if images.dtype != torch.uint8 or images.ndim != 4 or shape[1] not in (1, 3):
            raise ValueError(
                f"images are {images.dtype} of shape {shape}, expected uint8 (N, 1 or 3, H, W)"
            )
        if min(shape[2:]) < SMALLEST:
            raise ValueError(
                f"images are {shape[2]}x{shape[3]} pixels, expected at least {SMALLEST}x{SMALLEST}"
            )
        if shape[1] == 1 and self.name in _COLOUR_ONLY:
            raise ValueError(
                f"{self.name} changes colours, but the images are gray; choose the corruptions of "
                "a data set of gray images, e.g. 'pneumoniamnist'"
            )


def corruptions_for(dataset: str) -> dict[str, Corruption]:
    """Return MedMNIST-C's corruptions of a data set.

    Lengths, such as the width of a blur, are those of images of 224 pixels, and are scaled with the
    size of the images; noise, pixelation and JPEG act on the pixels of the images as they are.

    Args:
        dataset: Name of one of MedMNIST's twelve 2D data sets.

    Returns:
        The corruptions by name, family by family.

    Raises:
        ValueError: If there are none for the data set.

    Example:
        >>> import medzoo
        >>> list(medzoo.images.corruptions_for("octmnist"))[:3]
        ['pixelate', 'jpeg_compression', 'speckle_noise']
    """
    if dataset not in _parameters():
        raise unknown_name("data set of MedMNIST-C", dataset, _parameters())
    found = _parameters()[dataset]
    return {
        name: Corruption(dataset, name, family, tuple(map(_frozen, found[name])))
        for name, (family, _) in _FUNCTIONS.items()
        if name in found
    }


def _frozen(parameter: Any) -> Any:
    return tuple(parameter) if isinstance(parameter, list) else parameter


@cache
def _parameters() -> dict[str, dict[str, list[Any]]]:
    file = resources.files("medzoo.images.corruptions").joinpath("medmnist_c.json")
    values: dict[str, dict[str, list[Any]]] = parse_json(file.read_text(encoding="utf-8"))
    return values
