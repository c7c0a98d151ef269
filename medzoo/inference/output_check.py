"""Recognising models that give probabilities where logits are expected."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medzoo.inference.model import logits_of
from medzoo.spec import InputSpec, ModelSpec

_ROUNDING = 1e-5  # of sums in float32; half precision is as coarse as its own steps
_MANY_LABELS = 8


class OutputCheck:
    """Finds out whether all outputs of a call are probabilities instead of logits.

    A softmax or sigmoid inside a model leaves its most probable class as it is, but a second one
    on top of it makes every probability wrong. All rows of a call are considered together, since
    a single row of logits may look like probabilities by chance:

    - Rows of a softmax have no negative value and sum to 1, within rounding.
    - For multi-label models, values of a sigmoid lie in [0, 1]. So may the logits of a model that
      has just begun to learn. They count as probabilities if there are at least 8 labels, or if
      values both below 0.1 and above 0.5 occur, which as logits would stand for decisions for
      every label of every image, all of them uncertain.

    Outputs that are all the same number, as of a classifier initialised with zeros, are accepted.

    Args:
        multi_label: Whether the model's probabilities are sigmoids instead of a softmax.
    """

    def __init__(self, multi_label: bool) -> None:
        self.multi_label = multi_label
        self.suspects: list[Tensor] = []  # per batch: whether it looks like probabilities
        self.extremes: list[Tensor] = []
        self.labels = 0

    def add(self, outputs: Tensor) -> None:
        """Take note of a batch of outputs, without waiting for the device.

        Args:
            outputs: What the model gave, (N, K), before any calibration.
        """
        self.labels = outputs.shape[1]
        if not outputs.numel() or not outputs.is_floating_point():
            return
        least, most = outputs.aminmax()
        if self.multi_label:
            suspect = (least >= 0) & (most <= 1)
        else:
            tolerance = max(_ROUNDING, 2 * torch.finfo(outputs.dtype).eps)
            sums = outputs.sum(dim=1, dtype=torch.float32)
            suspect = (least >= 0) & ((sums - 1).abs() <= tolerance).all()
        self.suspects.append(suspect)
        self.extremes.append(torch.stack([least, most]).float())

    def finish(self) -> None:
        """Decide, over everything that was added.

        Raises:
            ValueError: If the outputs are probabilities.
        """
        if self.labels < 2 or not self.suspects or not all(map(bool, self.suspects)):
            return
        extremes = torch.stack(self.extremes)
        least, most = float(extremes[:, 0].min()), float(extremes[:, 1].max())
        if least == most:
            return
        if self.multi_label and self.labels < _MANY_LABELS and not (least < 0.1 and most > 0.5):
            return
        what = (
            "its outputs all lie in [0, 1]"
            if self.multi_label
            else "every row of outputs sums to 1"
        )
        name, inverse = ("sigmoid", "logit") if self.multi_label else ("softmax", "log")
        raise ValueError(
            f"the model gives probabilities, not logits ({what}), and a second {name} would make "
            f"them wrong; remove the {name} from the model, or undo it: give a function that "
            f"returns model(x).{inverse}(), with spec="
        )


def refuse_probabilities(outputs: Tensor, multi_label: bool) -> None:
    """Refuse outputs that are probabilities; see `OutputCheck`.

    Args:
        outputs: What a model gave, (N, K).
        multi_label: Whether the model's probabilities are sigmoids instead of a softmax.

    Raises:
        ValueError: If they are.
    """
    check = OutputCheck(multi_label)
    check.add(outputs)
    check.finish()


def check_gives_logits(model: nn.Module, spec: ModelSpec) -> None:
    """Refuse a network that gives probabilities for noise.

    For networks whose own outputs nobody sees later, like the members of an ensemble.

    Args:
        model: The network, in evaluation mode.
        spec: What it is.

    Raises:
        ValueError: If its outputs are not logits.
    """
    home = next((parameter.device for parameter in model.parameters()), None)
    with torch.inference_mode():
        outputs = logits_of(model, noise_images(*spec.input.shape).to(home))
    refuse_probabilities(outputs, spec.multi_label)


def noise_images(channels: int, height: int, width: int) -> Tensor:
    """Return images of noise, from none to strong, on which few logits look like probabilities.

    Args:
        channels: Channels of the images.
        height: Height in pixels.
        width: Width in pixels.

    Returns:
        Normalised images, float32 (8, channels, height, width); always the same ones.
    """
    generator = torch.Generator().manual_seed(0)
    strengths = torch.arange(8.0)[:, None, None, None]
    return strengths * torch.randn(8, channels, height, width, generator=generator)


def example_images(expected: InputSpec) -> Tensor:
    """Return two images of noise in a model's input shape; always the same ones.

    Args:
        expected: What the model expects of its input.
    """
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, *expected.shape, generator=generator)
