"""Learning from a teacher: its answers on an image are blended into the image's target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset
from medzoo.device import Precision, autocast
from medzoo.inference import InputAdapter, Model, logits_of, split_logits
from medzoo.spec import spec_of
from medzoo.training.records.fingerprint import digest_of_weights
from medzoo.transforms import input_spec


class Teacher:
    """A model that answers on the very batches that its student learns from.

    It sees the same images with the same random changes, mixed in the same way (Beyer et al.,
    *Knowledge distillation: A good teacher is patient and consistent*, 2022), but may see them
    larger. Its answers on training images as they are would be little more than their labels,
    which it has learnt by heart.

    Args:
        model: Any callable that `medzoo.evaluate` takes and `check_teacher` accepts. It gets the
            images in its own normalisation, size and channels. A module is moved to the device
            and put into evaluation mode.
        data: What batches are made from.
        share: Share of the target that is the teacher's answer instead of the label, in [0, 1].
        device: Where the batches are.
        precision: Precision of its computation.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        share: float,
        device: torch.device,
        precision: Precision = "auto",
    ) -> None:
        self.given = model
        self.data = data
        self.share = share
        self.device = device
        self.autocast = autocast(device, precision)
        module = model if isinstance(model, nn.Module) else _Called(model)
        own = spec_of(model).input
        self.model = InputAdapter(module, own, input_spec(data)).to(device).eval()

    @torch.no_grad()
    def blend(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return targets of which a share is the teacher's answer, where unknown all of it.

        Args:
            images: A batch, (N, C, H, W), normalised for the data.
            targets: Target probabilities, float32 (N, K); NaN is unknown.
        """
        with self.autocast:
            logits = logits_of(self.model, images).float()
        multi_label = self.data.info.multi_label
        answers = logits.sigmoid() if multi_label else logits.softmax(dim=1)
        return torch.where(targets.isnan(), answers, targets.lerp(answers, self.share))

    def fingerprint(self) -> dict[str, Any]:
        """Return what distinguishes it from other teachers when a run is resumed."""
        # Rounded, since the last bits depend on the number of threads.
        logits = logits_of_few(self.given, self.data, self.device)
        answers = [round(value, 3) for value in logits.flatten().tolist()]
        module = self.given if isinstance(self.given, nn.Module) else None
        return {"answers": answers, "weights": module and digest_of_weights(module)}


class _Called(nn.Module):
    """A callable as a module, so that its input can be adapted."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.call = model
        self.spec = spec_of(model)

    def forward(self, x: Tensor) -> Tensor:
        """Map a prepared batch, (N, C, H, W), to the callable's own logits."""
        return logits_of(self.call, x)


def check_teacher(model: Model, data: Dataset, device: torch.device) -> None:
    """Make sure that a model can teach the classes of a data set.

    Args:
        model: The teacher; it is left as it was.
        data: What batches are made from.
        device: Where to run it.

    Raises:
        TypeError: If it is not a model, or does not say what it is.
        ValueError: If it is for other classes, gives another number of logits, or cannot take the
            images.
    """
    if not callable(model):
        raise TypeError(
            f"teacher={model!r:.80} is not a model; give a callable from images to logits, or load "
            "one by name: medzoo.create_model(name, pretrained=True) or medzoo.Ensemble([names])"
        )
    spec = spec_of(model)
    if spec.classes and spec.classes != data.info.classes:
        made_for = spec.dataset.title if spec.dataset else "other images"
        raise ValueError(
            f"the teacher was made for {made_for}, whose classes are {spec.classes!r}; "
            f"expected those of {data.title}, {data.info.classes!r}. Give a teacher for these"
        )
    try:
        logits_of_few(model, data, device)
    except RuntimeError as error:
        shape = tuple(data.train.images.shape[1:])
        raise ValueError(
            f"the teacher cannot take images of {data.title}, {shape} ({error}); give a model of "
            "medzoo.create_model, whose input is adapted"
        ) from error


def logits_of_few(model: Model, data: Dataset, device: torch.device) -> Tensor:
    """Return a model's own logits for the first few training images, at most (8, K), on the CPU.

    Args:
        model: Any callable that `medzoo.evaluate` takes; it is left as it was.
        data: Whose training images.
        device: Where to run it.
    """
    few = replace(data.train, images=data.train.images[:8], labels=data.train.labels[:8])
    return split_logits(model, few, device=device, temperature=1.0)
