"""From an image to the tensor that a model expects: size, channels, normalisation.

One image (`create_transform`) and a batch (`prepare_batch`) take the same path: every image
becomes 8-bit, as the training images are, and is then cropped, resized and normalised by the
same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from medzoo.datasets import Dataset, DatasetInfo, Split
from medzoo.images.channels import adapt_channels
from medzoo.images.convert import ImageLike, to_uint8
from medzoo.images.depth import DepthCheck
from medzoo.images.resize import center_crop_resize
from medzoo.images.shape import check_dense, check_one_image
from medzoo.spec import InputSpec, ModelSpec, spec_of


def input_spec(source: object) -> InputSpec:
    """Return what input a model expects, or what suits a data set.

    Args:
        source: A model; a `ModelSpec`; a `Dataset`, `Split` or `DatasetInfo` (see
            `InputSpec.for_data`); or an `InputSpec`, which is returned as it is.

    Raises:
        TypeError: If it does not say what it expects.
        ValueError: If the model's configuration does not fit; see `medzoo.spec_of`.
    """
    if isinstance(source, InputSpec):
        return source
    if isinstance(source, ModelSpec):
        return source.input
    if isinstance(source, Dataset | Split | DatasetInfo):
        return InputSpec.for_data(source)
    return spec_of(source).input


def prepare_batch(images: Tensor, expected: InputSpec) -> Tensor:
    """Make a batch of images ready for a model.

    Args:
        images: uint8 (N, C, H, W), gray or RGB, on any device.
        expected: What the model expects.

    Returns:
        float32 (N, channels, size, size) on the same device, normalised, channels last in memory.

    Raises:
        TypeError: If the images are not a tensor.
        ValueError: If they are not uint8 of that shape, or not dense.
    """
    check_batch(images)
    return _normalise(_fit(images, expected), expected)


def check_batch(images: object) -> None:
    """Check that something is a batch of images.

    Args:
        images: Whatever was given.

    Raises:
        TypeError: If it is not a tensor.
        ValueError: If it is not uint8 (N, C, H, W), or not dense.
    """
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images are a {type(images).__name__}, expected a uint8 tensor (N, C, H, W); "
            "medzoo.predict takes other images"
        )
    check_dense(images)
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}, expected uint8 "
            "(N, C, H, W); medzoo.predict takes other images"
        )


def create_transform(source: object) -> ImageTransform:
    """Return the function that makes one image ready for a model.

    Random changes for training are those of a recipe's `medzoo.Augmentation`; they are applied
    to whole batches by `medzoo.training.BatchAugmenter`.

    Args:
        source: What to make it ready for; see `input_spec`.

    Returns:
        A function of an image (see `ImageTransform`), giving float32 (C, size, size).

    Raises:
        TypeError: If the source does not say what it expects.

    Example:
        >>> import medzoo, numpy
        >>> transform = medzoo.create_transform(medzoo.dataset_info("dermamnist"))
        >>> transform(numpy.zeros((200, 150, 3), "uint8")).shape
        torch.Size([3, 28, 28])
    """
    return ImageTransform(input_spec(source))


@dataclass(frozen=True)
class ImageTransform:
    """Makes one image ready for a model: 8-bit, centre crop, resize, channels, normalise.

    Takes a PIL image of any mode, a NumPy array (H, W) or (H, W, C), or a tensor (H, W) or
    (C, H, W), of any size. The centre is cropped to the shorter side and resized by bicubic
    interpolation with antialiasing, as MedMNIST was made; an image that already has the right
    size passes unchanged. `medzoo.images.to_uint8` says what becomes of other depths and of
    transparency; 16-bit values that look like those of a 12-bit scan give a warning.

    Attributes:
        expected: What the model expects.
    """

    expected: InputSpec

    def __call__(self, image: ImageLike) -> Tensor:
        """Return the image as float32 (channels, size, size).

        Raises:
            TypeError: If it is not an image.
            ValueError: If its shape, dtype or values are none of those that are understood, or its
                shape is also that of several gray images, e.g. (3, 28, 28) for a model of gray
                images.
        """
        check_one_image(image, self.expected.channels)
        depth = DepthCheck()
        pixels = to_uint8(image, depth=depth)
        depth.finish()
        return prepare_batch(pixels.unsqueeze(0), self.expected)[0]


def _fit(images: Tensor, expected: InputSpec) -> Tensor:
    """Crop and resize uint8 (N, C, H, W), after turning RGB into gray if that is wanted."""
    narrow = adapt_channels(images, min(expected.channels, images.shape[1]))
    return center_crop_resize(narrow, expected.size)


def _normalise(images: Tensor, expected: InputSpec) -> Tensor:
    scale, bias = _scale_and_bias(expected, images.device)
    # Repeated after the conversion, which would write out every copy of a gray channel.
    values = adapt_channels(images.float(), expected.channels)
    return torch.addcmul(bias, values, scale).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=64)
def _scale_and_bias(expected: InputSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the two (C, 1, 1) tensors with pixel * scale + bias = (pixel / 255 - mean) / std."""
    with torch.inference_mode(False):  # the cache outlives the caller's mode
        mean, std = (
            torch.tensor(v, dtype=torch.float64)[:, None, None]
            for v in (expected.mean, expected.std)
        )
        return (
            (1 / (255 * std)).float().to(device),
            (-mean / std).float().to(device),
        )
