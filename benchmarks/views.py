"""Other views of the same photographs, for models that are to err elsewhere than others do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur, normalize

import medzoo
from medzoo.models import Classifier
from medzoo.transforms import input_spec

_BORDER = 16  # of 255: what is darker in all channels is no part of a photograph of the retina


def local(images: Tensor) -> Tensor:
    """Leave only how each pixel differs from its surroundings (Graham, 2015).

    What is bright or dark at large, such as the light it was taken in, is gone. After the
    preprocessing that won Kaggle's Diabetic Retinopathy Detection.

    Args:
        images: (N, C, H, W), 0 to 255.
    """
    x = images.float()
    # Each of the 28 pixels a side is some 40 of the photograph's.
    return (128 + 4 * (x - gaussian_blur(x, [13, 13], [3.0, 3.0]))).round().clamp(0, 255)


def same_colours(images: Tensor) -> Tensor:
    """Give every image the same mean and deviation in each channel, its black border aside.

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
    """Give all channels their mean.

    Args:
        images: (N, C, H, W), 0 to 255.
    """
    return images.float().mean(1, keepdim=True).round().expand(images.shape)


VIEWS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "local": local,
    "same colours": same_colours,
    "gray": gray,
}


def viewing(architecture: str, view: str) -> str:
    """Name an architecture together with the view that it is given.

    Args:
        architecture: Its name.
        view: A key of `VIEWS`; empty for the images as they are.
    """
    return f"{architecture} (view: {view})" if view else architecture


def seen_as(data: medzoo.Dataset, view: str) -> medzoo.Dataset:
    """Return a data set whose training and validation images are seen in another way.

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


class Viewer(nn.Module):
    """A model that was trained on a view, given the images as they are.

    Args:
        model: The model.
        view: A key of `VIEWS`.
    """

    def __init__(self, model: Classifier, view: str) -> None:
        super().__init__()
        self.model = model
        self.view = VIEWS[view]
        self.own = input_spec(model)
        self.dataset, self.num_classes = model.dataset, model.num_classes
        self.architecture, self.licence = viewing(model.architecture, view), model.licence
        plain = {"mean": (0.0,) * self.own.channels, "std": (1.0,) * self.own.channels}
        self.pretrained_cfg = dict(model.pretrained_cfg) | plain

    def forward(self, x: Tensor) -> Tensor:
        """Map images, (N, C, H, W), 0 to 1, to logits (N, num_classes)."""
        # Differences between pixels are small: half precision would round them away.
        with torch.autocast(x.device.type, enabled=False):
            seen = self.view(255 * x.float()) / 255
        return self.model(normalize(seen, list(self.own.mean), list(self.own.std)))
