"""Transformed views of the same photographs, for ensembles whose members make different errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import gaussian_blur, normalize

import medzoo
from medzoo.models import Classifier

_BORDER = 16  # of 255; anything darker in all channels is outside the photograph of the retina


def local(images: Tensor) -> Tensor:
    """Keep only the difference between each pixel and its surroundings (Graham, 2015).

    This removes large-scale brightness, such as the lighting of the photograph. It follows the
    preprocessing that won the Diabetic Retinopathy Detection competition on Kaggle.

    Args:
        images: (N, C, H, W), 0 to 255.
    """
    x = images.float()
    # Each of the 28 pixels per side covers about 40 pixels of the photograph.
    return (128 + 4 * (x - gaussian_blur(x, [13, 13], [3.0, 3.0]))).round().clamp(0, 255)


def same_colours(images: Tensor) -> Tensor:
    """Give every image the same mean and deviation in each channel, ignoring its black border.

    Args:
        images: (N, C, H, W), 0 to 255.
    """
    x = images.float()
    seen = (x.amax(1, keepdim=True) > _BORDER).float()
    count = seen.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (x * seen).sum((2, 3), keepdim=True) / count
    spread = (((x - mean) * seen).square().sum((2, 3), keepdim=True) / count).sqrt().clamp(min=1)
    return ((128 + 48 * (x - mean) / spread) * seen).round().clamp(0, 255)


def gray(images: Tensor) -> Tensor:
    """Replace every channel by the mean of all channels.

    Args:
        images: (N, C, H, W), 0 to 255.
    """
    return images.float().mean(1, keepdim=True).round().expand(images.shape)


def stretched(images: Tensor) -> Tensor:
    """Show the middle half of each image in its whole width, as scans of half the width do.

    Args:
        images: (N, C, H, W), 0 to 255.
    """
    width = images.shape[-1]
    middle = images[..., width // 4 : width - width // 4].float()
    wide = interpolate(middle, images.shape[-2:], mode="bilinear")
    return (wide + 0.1).round()  # values are quarters, and half of one is always rounded up


VIEWS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "local": local,
    "same colours": same_colours,
    "gray": gray,
    "stretched": stretched,
}


def name_with_view(architecture: str, view: str) -> str:
    """Return the name of an architecture together with the view that it sees.

    Args:
        architecture: Name of the architecture.
        view: A key of `VIEWS`; empty for the images as they are.
    """
    return f"{architecture} (view: {view})" if view else architecture


def apply_view(data: medzoo.Dataset, view: str) -> medzoo.Dataset:
    """Return a data set with transformed training and validation images.

    Args:
        data: The data set.
        view: A key of `VIEWS`; empty for the images as they are.
    """
    if not view:
        return data
    train, val = (
        replace(split, images=VIEWS[view](split.images).byte()) for split in (data.train, data.val)
    )
    return replace(data, train=train, val=val)


class ViewClassifier(Classifier):
    """A model that was trained on a view; takes the original images and applies the view itself.

    Args:
        model: The model.
        view: A key of `VIEWS`.
    """

    def __init__(self, model: Classifier, view: str) -> None:
        super().__init__()
        self.model = model
        self.view = VIEWS[view]
        self.own = model.spec.input
        self.num_classes = model.num_classes
        channels = self.own.channels
        plain = replace(self.own, mean=(0.0,) * channels, std=(1.0,) * channels)
        architecture = name_with_view(model.architecture, view)
        self.spec = replace(model.spec, architecture=architecture, input=plain)

    def forward(self, x: Tensor) -> Tensor:
        """Map images, (N, C, H, W), 0 to 1, to logits (N, num_classes)."""
        # Differences between pixels are small; half precision would round them away.
        with torch.autocast(x.device.type, enabled=False):
            seen = self.view(255 * x.float()) / 255
        return self.model(normalize(seen, list(self.own.mean), list(self.own.std)))
