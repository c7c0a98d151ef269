"""Class activation maps: which places of an image support a class."""

from __future__ import annotations

import copy
import math
import operator
import textwrap
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from medzoo.deployment import load_model
from medzoo.errors import unknown_name
from medzoo.escape import for_display
from medzoo.files import write_atomically
from medzoo.images.channels import adapt_channels
from medzoo.images.convert import to_uint8
from medzoo.images.depth import DepthCheck
from medzoo.images.encode import encode_picture
from medzoo.images.shape import check_one_image
from medzoo.inference.model import in_precision_of
from medzoo.inference.modes import for_inference
from medzoo.inference.output_check import refuse_probabilities
from medzoo.inference.run import probabilities
from medzoo.prediction.decide import check_classifier, class_names
from medzoo.prediction.predict import ModelSource
from medzoo.prediction.sources import ImageSource, load_image
from medzoo.spec import ModelSpec, network_of, spec_of
from medzoo.transforms import prepare_batch

# Viridis: readable with colour blindness, and visible on skin as well as on gray.
_COLOURS = ((68, 1, 84), (49, 104, 142), (53, 183, 121), (253, 231, 37))
_OPACITY = 0.6  # of the heat where it is greatest
_PANEL = 256  # pixels that the shorter side of an image in a figure has at least
_LARGEST = 8192  # pixels of a side up to which an image is enlarged
_GAP = 8  # pixels between the parts of a figure
_FINE_ENOUGH = 7  # places per side: a map of 2 x 2 says no more than places chosen at random


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where an image supports a class, according to one model.

    Attributes:
        label: The class that is explained.
        probability: What the model gives it.
        image: The image (RGB), in its own size.
        heatmap: float32 (H, W) in [0, 1], of the image's own size: 1 at the place that raises the
            class's logit most, 0 where nothing does, and outside of what the model saw. All 0 if
            no place supports the class.
        overlay: The image (RGB) under the heat, from violet over green to yellow.
    """

    label: str
    probability: float
    image: Image.Image
    heatmap: np.ndarray
    overlay: Image.Image

    def figure(self) -> Image.Image:
        """Return image and overlay side by side, under the class and its probability.

        Small images are enlarged, each pixel to a square.
        """
        factor = math.ceil(_PANEL / min(self.image.size))
        factor = min(factor, max(1, _LARGEST // max(self.image.size)))
        width, height = (factor * side for side in self.image.size)
        total = 2 * width + _GAP
        font = ImageFont.load_default(max(16, height // 16))
        title = f"{for_display(self.label)}: {self.probability:.1%}"
        lines = textwrap.wrap(title, max(1, int(total / font.getlength("n"))))
        text = "\n".join(lines)
        box = ImageDraw.Draw(self.image).multiline_textbbox((0, 0), text, font)
        top = math.ceil(box[3]) + 2 * _GAP
        sheet = Image.new("RGB", (total, top + height), "white")
        ImageDraw.Draw(sheet).multiline_text((_GAP, _GAP), text, "black", font)
        for left, panel in ((0, self.image), (width + _GAP, self.overlay)):
            enlarged = panel.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (left, top))
        return sheet

    def layer(self) -> Image.Image:
        """Return the heat alone (RGBA), to lay over the image: the more heat, the more opaque."""
        values = np.dstack([_colours(self.heatmap), 255 * self.heatmap])
        return Image.fromarray(values.round().astype(np.uint8))

    def save(self, path: str | Path) -> Path:
        """Write `figure` into an image file.

        Args:
            path: The file; its suffix decides the format.

        Returns:
            The path.

        Raises:
            ValueError: If Pillow writes no colours in a format of that suffix.
        """
        return write_atomically(path, self.encoded(path), "the heat map")

    def encoded(self, path: str | Path) -> bytes:
        """Return what `save` writes.

        Args:
            path: The file; its suffix decides the format.

        Raises:
            ValueError: If Pillow writes no colours in a format of that suffix.
        """
        return encode_picture(self.figure(), path)


def explain(
    model: ModelSource,
    image: ImageSource,
    target: str | int | None = None,
    *,
    spec: ModelSpec | None = None,
) -> Explanation:
    """Show which places of an image support a class, by HiResCAM.

    A feature map's channels are weighed by the gradient of the class's logit and summed; what is
    negative counts as 0 (Draelos and Carin, *Use HiResCAM instead of Grad-CAM*, 2020, as captum
    computes it). For the final map of a network that averages it before the classifier this is
    Grad-CAM (Selvaraju et al., 2017). The map is the network's last one of at least 7 x 7 places,
    and is enlarged smoothly. It shows what moved *this network*, not where disease is.

    Args:
        model: A convolutional network, medzoo's or timm's, or the name or weights file of one. It
            computes on the device where it is.
        image: A file, the content of a file (bytes, or a binary file that was opened), a PIL image,
            an array or a tensor.
        target: Name or number of the class; by default the most probable one.
        spec: What the model is, for one that does not say it itself.

    Returns:
        Label, heat map and overlay.

    Raises:
        ImportError: If captum is not installed (``pip install 'medzoo[explain]'``).
        FileNotFoundError: If the file does not exist.
        DatasetError: If it is not a readable image.
        ValueError: If the model has no final feature map (ensembles, compiled models, vision
            transformers) or no classifier, or no such class.
    """
    runs: Any = load_model(model)
    spec = spec_of(runs, spec)
    check_classifier(spec)
    network = _Split(network_of(runs))
    check_one_image(image, spec.input.channels)
    depth = DepthCheck()
    pixels = to_uint8(load_image(image, depth), depth=depth)
    depth.finish()
    device = next((parameter.device for parameter in runs.parameters()), torch.device("cpu"))
    batch = prepare_batch(pixels.unsqueeze(0), spec.input).to(device)
    batch = in_precision_of(network.model, batch)
    with for_inference(runs, device):
        with torch.no_grad():
            outputs = network(batch)
        refuse_probabilities(outputs, spec.multi_label)
        logits = outputs.double() / spec.temperature
        scores = probabilities(logits, spec.task)[0]
        names = class_names(spec, len(scores))
        index = int(scores.argmax()) if target is None else _index(names, target)
        # In float32 and with gradients, whatever the caller has switched on around this.
        with torch.inference_mode(False), torch.enable_grad():
            heat = _heat(_own_layers(network), batch.clone(), index)
    heatmap = _on_image(heat, pixels.shape[-2], pixels.shape[-1]).numpy()
    heatmap /= max(heatmap.max(), np.finfo(heatmap.dtype).tiny)
    original = adapt_channels(pixels.cpu(), 3).permute(1, 2, 0).numpy()
    return Explanation(
        label=names[index],
        probability=float(scores[index]),
        image=Image.fromarray(original),
        heatmap=heatmap,
        overlay=_overlay(original, heatmap),
    )


class _Split(nn.Module):
    """A network whose final feature map is the output of a module, which captum can hook."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        if not (hasattr(model, "forward_features") and hasattr(model, "forward_head")):
            raise ValueError(
                f"{type(model).__name__} has no final feature map to explain; give a single "
                "network of create_model (of an ensemble, one of its members)"
            )
        self.model = model
        self.features = nn.Identity()
        self.side = 0  # height (= width) of the final map, known after the first pass

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(self.model.forward_features(x))
        if features.ndim != 4 or features.shape[1] != self.model.num_features:
            raise ValueError(
                f"the final features of {type(self.model).__name__} have the shape "
                f"{tuple(features.shape)}, expected a map (N, {self.model.num_features}, h, w); "
                "explain is for convolutional networks"
            )
        self.side = features.shape[-1]
        return self.model.forward_head(features)


def _index(names: list[str], target: str | int) -> int:
    if isinstance(target, str):
        if target not in names:
            raise unknown_name("class", target, names)
        return names.index(target)
    try:
        index = operator.index(target)  # also of NumPy's integers
    except TypeError:
        index = -1
    if not 0 <= index < len(names):
        raise ValueError(f"target={target!r} must be 0 to {len(names) - 1}, or a class's name")
    return index


def _own_layers(network: _Split) -> _Split:
    """Return a network of new layers over the same tensors.

    captum hooks a layer, and a hook also runs when another thread uses the layer.
    """
    tensors = chain(network.parameters(), network.buffers())
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


def _heat(network: _Split, batch: Tensor, index: int) -> Tensor:
    """Return what each place adds to a class's logit, (1, 1, h, w), at least 0."""
    try:
        from captum.attr import LayerGradientXActivation
    except ImportError as error:
        raise ImportError(
            f"explain needs the package captum ({error}); "
            "install it with: pip install 'medzoo[explain]'"
        ) from error
    layer = _fine_map(network, batch.shape[-1])
    parts = LayerGradientXActivation(network, layer).attribute(batch, target=index)
    return parts.detach().sum(1, keepdim=True).relu().float().cpu()


def _fine_map(network: _Split, size: int) -> nn.Module:
    """Return the module of the last feature map that is fine enough, if there is one."""
    levels = getattr(network.model, "feature_info", None)
    if network.side >= _FINE_ENOUGH or not isinstance(levels, list):
        return network.features
    fine = [level for level in levels if size / level["reduction"] >= _FINE_ENOUGH]
    return network.model.get_submodule((fine or levels[:1])[-1]["module"])


def explained_map(model: nn.Module, batch: Tensor) -> Tensor:
    """Return the feature map that `explain` weighs, before it does.

    Args:
        model: A convolutional network, in evaluation mode.
        batch: Prepared images (N, C, H, W).

    Returns:
        (N, channels, h, w).

    Raises:
        ValueError: If the network has no final feature map; see `explain`.
    """
    network, found = _Split(model), []
    with torch.no_grad():
        network(batch)
        layer = _fine_map(network, batch.shape[-1])
        hook = layer.register_forward_hook(lambda *values: found.append(values[-1]))
        try:
            network(batch)
        finally:
            hook.remove()
    return found[-1]


def _on_image(heat: Tensor, height: int, width: int) -> Tensor:
    """Enlarge a square map to the centre that the transform cropped; (H, W), 0 around it."""
    side = min(height, width)
    centre = F.interpolate(heat, (side, side), mode="bilinear", align_corners=False)[0, 0]
    left, top = (width - side) // 2, (height - side) // 2
    return F.pad(centre, (left, width - side - left, top, height - side - top))


def _overlay(image: np.ndarray, heatmap: np.ndarray) -> Image.Image:
    """Blend an image, uint8 (H, W, 3), with the heat; where there is none it stays as it is."""
    opacity = _OPACITY * heatmap[..., None]
    blended = (1 - opacity) * image + opacity * _colours(heatmap)
    return Image.fromarray(blended.round().astype(np.uint8))


def _colours(heatmap: np.ndarray) -> np.ndarray:
    """Return the colour of each place, (H, W, 3) from 0 to 255."""
    steps = np.linspace(0, 1, len(_COLOURS))
    return np.stack(
        [np.interp(heatmap, steps, channel) for channel in zip(*_COLOURS, strict=True)], axis=-1
    )
