"""From an image to the tensor that a model expects: size, channels, normalisation.

One image (`create_transform`) and a batch (`prepare_batch`) take the same path: every image
becomes 8-bit, as the training images are, and is then cropped, resized and normalised by the
same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from medzoo.datasets import Dataset, DatasetInfo
from medzoo.images.channels import adapt_channels
from medzoo.images.convert import ImageLike, to_uint8
from medzoo.images.resize import center_crop_resize


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
    mirror = training and not (isinstance(info, DatasetInfo) and info.has_laterality)
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


def _fit(images: Tensor, config: TransformConfig) -> Tensor:
    """Crop and resize uint8 (N, C, H, W), after turning RGB into gray if that is wanted."""
    return center_crop_resize(
        adapt_channels(images, min(config.channels, images.shape[1])), config.size
    )


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
