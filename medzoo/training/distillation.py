"""Learning from a teacher: what it says of an image, blended into the image's target."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset
from medzoo.device import Precision, autocast
from medzoo.inference import InputAdapter, Model, logits_of
from medzoo.inference.run import split_logits
from medzoo.spec import spec_of
from medzoo.training.fingerprint import digest_of_weights
from medzoo.transforms import input_spec


class Teacher:
    """A model that answers on the very batches that its student learns from.

    It sees the same images with the same random changes, mixed in the same way (Beyer et al.,
    *Knowledge distillation: A good teacher is patient and consistent*, 2022), but may see them
    larger. Its answers on training images as they are would be little more than their labels,
    which it has learnt by heart.

    Args:
        model: Any callable that `medzoo.evaluate` takes. A module is moved to the device and put
            into evaluation mode, and gets the images in its own normalisation, size and
            channels if it says them (``pretrained_cfg``); another callable gets them as they are.
        data: What batches are made from.
        share: Of the target that is the teacher's answer instead of the label, in [0, 1].
        device: Where the batches are.
        precision: Of its computation.

    Raises:
        ValueError: If the teacher is no model, says that it is for other classes, gives another number of logits,
            or cannot take the images.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        share: float,
        device: torch.device,
        precision: Precision = "auto",
    ) -> None:
        if not callable(model):
            raise ValueError(
                f"teacher={model!r:.80} maps no images to logits; give a model, or load what it "
                "names: medzoo.create_model(name, pretrained=True) or medzoo.Ensemble([names])"
            )
        spec = spec_of(model)
        if spec.classes and spec.classes != data.info.classes:
            made_for = spec.dataset.title if spec.dataset else "other images"
            raise ValueError(
                f"the teacher was made for {made_for}, whose classes are {spec.classes!r}; "
                f"expected those of {data.title}, {data.info.classes!r}. Give a teacher for these"
            )
        few = replace(data.train, images=data.train.images[:8], labels=data.train.labels[:8])
        try:
            logits = split_logits(model, few, device=device, temperature=1.0)
        except RuntimeError as error:
            raise ValueError(
                f"the teacher cannot take images of {data.title}, {tuple(few.images.shape[1:])} "
                f"({error}); give a model of medzoo.create_model, whose input is adapted"
            ) from error
        # Tells teachers apart when a run is resumed; rounded, since last bits depend on threads.
        answers = [round(value, 3) for value in logits.flatten().tolist()]
        weights = digest_of_weights(model) if isinstance(model, nn.Module) else None
        self.identity = {"answers": answers, "weights": weights}
        self.multi_label = data.info.multi_label
        self.share = share
        self.autocast = autocast(device, precision)
        self.temperature = spec.temperature
        self.given, self.licence = model, spec.licence
        self.model = model
        if isinstance(model, nn.Module):
            model.to(device).eval()
            adapted = InputAdapter(model, spec.input, input_spec(data))
            self.model, self.temperature = adapted.eval(), 1.0  # it divides already

    @torch.no_grad()
    def blend(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return targets of which a share is the teacher's answer.

        Args:
            images: A batch, (N, C, H, W), normalised for the data.
            targets: Target probabilities, float32 (N, K).
        """
        with self.autocast:
            logits = logits_of(self.model, images).float() / self.temperature
        answers = logits.sigmoid() if self.multi_label else logits.softmax(dim=1)
        return targets.lerp(answers, self.share)
