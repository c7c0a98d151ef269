"""From an image to the tensor that a model expects: size, channels, normalisation.

One image (`create_transform`) and a batch (`prepare_batch`) take the same path: every image
becomes 8-bit, as the training images are, and is then cropped, resized and normalised by the
same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from medzoo.datasets import Dataset, DatasetInfo
from medzoo.datasets.square import to_square

ImageLike: TypeAlias = "Image.Image | np.ndarray[Any, Any] | Tensor"

_FULL_16_BIT = 257  # 65535 / 255
_ROUNDING = 1e-3  # by which a float image may miss [0, 1]
_WITH_ALPHA = ("la", "pa", "rgba")  # in upper case, or partly in lower case if premultiplied
_LUMINANCE = (19595, 38470, 7471)  # ITU-R 601-2 in 65536ths, as Pillow's mode "L"


@dataclass(frozen=True)
class TransformConfig:
    """What a model expects of its input.

    Attributes:
        channels: 1 (gray) or 3 (RGB).
        size: Height (= width) in pixels.
        mean: Of each channel, for images scaled to [0, 1].
        std: Of each channel, likewise; above 0.

    Raises:
        ValueError: If a value does not fit.
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.channels < 1 or self.size < 1:
            raise ValueError(
                f"channels={self.channels!r} and size={self.size!r} must be at least 1"
            )
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(
                f"mean={self.mean!r} and std={self.std!r} need one value for each of the "
                f"{self.channels} channels"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std={self.std!r} must be above 0")


def transform_config(model_or_dataset: object) -> TransformConfig:
    """Tell what input a model expects, or what suits a data set.

    Args:
        model_or_dataset: A model (anything with timm's ``pretrained_cfg``); a `Dataset` (its size,
            channels, and its training images' mean and standard deviation); a `DatasetInfo`
            (its smallest size, and its mean and standard deviation or 0.5); or a config already.

    Raises:
        TypeError: If it is none of these.
        ValueError: If the model's input is not square, or its config is incomplete.
    """
    source = model_or_dataset
    if isinstance(source, TransformConfig):
        return source
    if isinstance(source, Dataset):
        mean, std = source.mean_std()
        # A channel that never changes has no spread to scale by.
        return TransformConfig(
            source.info.channels, source.size, mean, tuple(s or 1.0 for s in std)
        )
    if isinstance(source, DatasetInfo):
        default = (0.5,) * source.channels
        size = min(source.sizes, default=28)
        return TransformConfig(source.channels, size, source.mean or default, source.std or default)
    cfg = getattr(source, "pretrained_cfg", None)
    if not isinstance(cfg, Mapping):
        raise TypeError(
            f"{type(source).__name__} says nothing about its input; expected a model with "
            "pretrained_cfg, a Dataset, a DatasetInfo or a TransformConfig"
        )
    if missing := {"input_size", "mean", "std"} - cfg.keys():
        raise ValueError(f"the model's pretrained_cfg lacks {', '.join(sorted(missing))}")
    channels, height, width = cfg["input_size"]
    if height != width:
        raise ValueError(f"the model's input_size {cfg['input_size']!r} is not square")
    return TransformConfig(channels, height, tuple(cfg["mean"]), tuple(cfg["std"]))


def adapt_channels(images: Tensor, channels: int) -> Tensor:
    """Turn gray into RGB by repetition, or RGB into gray by its luminance.

    Luminance is ITU-R 601-2's, to the bit what Pillow's ``convert("L")`` gives for 8-bit images.

    Args:
        images: (..., C, H, W), of any dtype.
        channels: The number of channels wanted.

    Returns:
        (..., channels, H, W) of the same dtype. Repeated channels share memory (a view).

    Raises:
        ValueError: If there is no way from C to `channels`.
    """
    present = images.shape[-3]
    if present == channels:
        return images
    if present == 1:
        return images.expand(*images.shape[:-3], channels, *images.shape[-2:])
    if (present, channels) != (3, 1):
        raise ValueError(f"images have {present} channels; there is no way to {channels}")
    red, green, blue = images.unbind(-3)
    r, g, b = _LUMINANCE
    if images.dtype.is_floating_point:
        gray = (r * red + g * green + b * blue) / 65536
    else:
        gray = (r * red.int() + g * green.int() + b * blue.int() + 32768) >> 16
    return gray.to(images.dtype).unsqueeze(-3)


def prepare_batch(images: Tensor, config: TransformConfig) -> Tensor:
    """Make a batch of images ready for a model.

    Args:
        images: uint8 (N, C, H, W), gray or RGB, on any device.
        config: What the model expects.

    Returns:
        float32 (N, channels, size, size) on the same device, normalised, channels last in memory.

    Raises:
        ValueError: If the images are not uint8 of that shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}, expected uint8 (N, C, H, W)"
        )
    return _normalise(_fit(images, config), config)


def create_transform(model_or_dataset: object, training: bool = False) -> ImageTransform:
    """Return the function that makes one image ready for a model.

    Args:
        model_or_dataset: What to make it ready for; see `transform_config`.
        training: Whether to vary the image at random: a small rotation, shift and zoom, and a
            mirror image unless the classes tell left from right.

    Returns:
        A function of an image (see `ImageTransform`), giving float32 (C, size, size).
    """
    info = getattr(model_or_dataset, "info", getattr(model_or_dataset, "dataset", model_or_dataset))
    mirror = training and not (isinstance(info, DatasetInfo) and info.sided)
    return ImageTransform(transform_config(model_or_dataset), training, mirror)


@dataclass(frozen=True)
class ImageTransform:
    """Makes one image ready for a model: 8-bit, centre crop, resize, channels, normalise.

    Takes a PIL image of any mode, a NumPy array (H, W) or (H, W, C), or a tensor (H, W) or
    (C, H, W), of any size. The centre is cropped to the shorter side and resized by bicubic
    interpolation with antialiasing, as MedMNIST was made; an image that already has the right
    size passes unchanged. `to_uint8` tells what becomes of other depths and of transparency.

    Attributes:
        config: What the model expects.
        training: Whether images are varied at random.
        mirror: Whether that includes the mirror image.
    """

    config: TransformConfig
    training: bool = False
    mirror: bool = False

    def __call__(self, image: ImageLike) -> Tensor:
        """Return the image as float32 (channels, size, size).

        Raises:
            TypeError: If it is no image.
            ValueError: If its shape, dtype or values are none of those that are understood.
        """
        batch = _fit(to_uint8(image).unsqueeze(0), self.config)
        if self.training:
            batch = _vary(batch, self)
        return _normalise(batch, self.config)[0]


def to_uint8(image: ImageLike) -> Tensor:
    """Turn any image into 8-bit gray or RGB.

    - 16-bit (PIL's ``I;16`` and ``I``, uint16 arrays) is scaled by its full range, 65535 to 255;
      Pillow's own conversion would clip at 255. Data that uses less of the range (12-bit scans)
      should be windowed first.
    - Floats (also PIL's ``F``) are in [0, 1]; booleans are black and white.
    - Transparency is laid on black. Palettes, CMYK and the like become RGB.
    - A PIL image that says it was taken with the camera turned (EXIF) is turned upright.

    Args:
        image: A PIL image; an array (H, W) or (H, W, C); or a tensor (H, W) or (C, H, W); with 1
            (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha) channels.

    Returns:
        uint8 (1, H, W) or (3, H, W).

    Raises:
        TypeError: If it is no image.
        ValueError: If its shape, dtype or values are none of these.
    """
    if isinstance(image, Image.Image):
        tensor = _from_pil(image)
    elif isinstance(image, np.ndarray):
        if image.dtype.kind not in "biuf":
            raise ValueError(
                f"image has dtype {image.dtype}, expected uint8, uint16, bool or float"
            )
        native = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
        tensor = torch.from_numpy(native if native.flags.writeable else native.copy())
        tensor = tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor
    elif isinstance(image, Tensor):
        tensor = image.detach()
    else:
        raise TypeError(
            f"{type(image).__name__} is no image; expected a PIL image, a NumPy array or a tensor"
        )
    if tensor.ndim == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim != 3 or not 1 <= tensor.shape[0] <= 4 or tensor.numel() == 0:
        raise ValueError(
            f"image has shape {tuple(getattr(image, 'shape', tensor.shape))}, "
            "expected one image: (H, W) or (H, W, C) as array, (H, W) or (C, H, W) as tensor, with "
            "1 to 4 channels; prepare_batch takes batches"
        )
    return _lay_on_black(_to_8_bit(tensor))


def _from_pil(image: Image.Image) -> Tensor:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise ValueError(
                f"image of mode {image.mode} has values from {values.min()} to {values.max()}, "
                "expected 0 to 65535; window it to that range first"
            )
        return torch.from_numpy(values.astype(np.uint16))
    if image.mode != "F":
        transparent = image.mode.lower() in _WITH_ALPHA or "transparency" in image.info
        gray = image.mode in ("1", "L", "LA", "La")
        image = image.convert(
            ("LA" if transparent else "L") if gray else "RGBA" if transparent else "RGB"
        )
    pixels = torch.from_numpy(np.array(image))
    return pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels


def _to_8_bit(tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.uint8:
        return tensor
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8) * 255
    if tensor.dtype == torch.uint16:
        return ((tensor.to(torch.int32) + _FULL_16_BIT // 2) // _FULL_16_BIT).to(torch.uint8)
    if not tensor.is_floating_point():
        raise ValueError(
            f"image has dtype {tensor.dtype}, which does not tell its range; convert it to uint8 "
            "(0 to 255), uint16 (0 to 65535) or float (0 to 1)"
        )
    low, high = float(tensor.min()), float(tensor.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also if either is not a number
        raise ValueError(f"float image has values from {low:g} to {high:g}, expected 0 to 1")
    return (tensor.float() * 255).round().clamp(0, 255).to(torch.uint8)


def _lay_on_black(tensor: Tensor) -> Tensor:
    if tensor.shape[0] % 2:
        return tensor
    colour, alpha = tensor[:-1].int(), tensor[-1:].int()
    return ((colour * alpha + 127) // 255).to(torch.uint8)


def _fit(images: Tensor, config: TransformConfig) -> Tensor:
    """Crop and resize uint8 (N, C, H, W), after turning RGB into gray if that is wanted."""
    return to_square(adapt_channels(images, min(config.channels, images.shape[1])), config.size)


def _vary(images: Tensor, transform: ImageTransform) -> Tensor:
    from torchvision.transforms import v2

    images = adapt_channels(images, transform.config.channels)
    affine = v2.RandomAffine(
        degrees=10,
        translate=(0.05, 0.05),
        scale=(0.9, 1.1),
        interpolation=v2.InterpolationMode.BILINEAR,
        fill=[255 * mean for mean in transform.config.mean],  # zero after normalisation
    )
    images = affine(images)
    return v2.RandomHorizontalFlip()(images) if transform.mirror else images


def _normalise(images: Tensor, config: TransformConfig) -> Tensor:
    scale, bias = _scale_and_bias(config, images.device)
    # Repeated after the conversion, which would write out every copy of a gray channel.
    values = adapt_channels(images.float(), config.channels)
    return torch.addcmul(bias, values, scale).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=64)
def _scale_and_bias(config: TransformConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the two (C, 1, 1) tensors with pixel * scale + bias = (pixel / 255 - mean) / std."""
    with torch.inference_mode(False):  # the cache outlives the caller's mode
        mean, std = (
            torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (config.mean, config.std)
        )
        return (
            (1 / (255 * std)).float().to(device),
            (-mean / std).float().to(device),
        )
