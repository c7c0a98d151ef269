"""Ensembles: several models whose probabilities are averaged, used like one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medzoo.models._base import dataset_of
from medzoo.models._factory import create_model
from medzoo.transforms import TransformConfig, prepare_batch, transform_config
from medzoo.weights.licence import licence_of, strictest
from medzoo.weights.temperature import temperature_of


def average_logits(logits: Sequence[Tensor], multi_label: bool) -> Tensor:
    """Return logits whose probabilities are the mean of those of several logits.

    Computed from logarithms throughout, so that they are finite wherever the given ones are.

    Args:
        logits: Of the same images, (N, K) each; at least one.
        multi_label: Whether probabilities are the sigmoid of each logit instead of the softmax
            over classes.

    Returns:
        float32 (N, K): the logarithm of the mean probability; for multi-label tasks its logit.
    """
    given = torch.stack([one.float() for one in logits])
    if multi_label:  # log(p / (1 - p)); the number of members cancels out
        return F.logsigmoid(given).logsumexp(0) - F.logsigmoid(-given).logsumexp(0)
    return given.log_softmax(dim=2).logsumexp(0) - math.log(len(logits))


class Ensemble(nn.Module):
    """Several models as one, whose probabilities are the mean of theirs.

    Give it to `medzoo.evaluate`, `medzoo.predict`, `medzoo.create_transform` or `medzoo.compile`
    like any model. Each member's temperature counts, and each gets images in its own
    normalisation and size. It infers only: members are put into evaluation mode, and what is
    saved are the members.

    Args:
        members: Models of any architecture; or names of checkpoints or weights files, which
            `medzoo.create_model` loads. The first decides size and normalisation of the batches.

    Attributes:
        architecture: ``"ensemble"``.
        dataset: The data set that the members were made for, or None.
        num_classes: Number of logits.
        pretrained_cfg: That of the first member: input size, mean, std, number of classes.
        temperature: Of the ensemble as a whole, on top of its members'; 1.0 at first.
        licence: The strictest of its members'.

    Raises:
        ValueError: If there is no member, or one of them does not fit the first: it is for
            another data set, task, number of classes or of channels.
        WeightsError: If a member's weights do not exist or cannot be read.
    """

    def __init__(self, members: Iterable[nn.Module | str | Path]) -> None:
        super().__init__()
        if isinstance(members, str | Path) or not isinstance(members, Iterable):
            raise ValueError(f"members={members!r} is no list; give a list of models or names")
        given = list(members)
        if not given:
            raise ValueError(
                "an ensemble needs at least one member; give a list of models or names"
            )
        models = [
            create_model(one, pretrained=True) if isinstance(one, str | Path) else one
            for one in given
        ]
        names = [_name(*pair) for pair in enumerate(given)]
        configs = [_config(*pair) for pair in zip(names, models, strict=True)]
        for name, model, config in zip(names, models, configs, strict=True):
            _check_fit(name, model, config, names[0], models[0], configs[0])

        self.parts = nn.ModuleList(
            InputAdapter(model, config, configs[0])
            for model, config in zip(models, configs, strict=True)
        )
        self.architecture = "ensemble"
        self.dataset = next(filter(None, map(dataset_of, models)), None)
        self.num_classes = int(models[0].num_classes)  # type: ignore[arg-type]
        self.pretrained_cfg: dict[str, Any] = dict(models[0].pretrained_cfg)  # type: ignore[arg-type]
        self.default_cfg = self.pretrained_cfg
        self.temperature = 1.0
        self.eval()

    @property
    def members(self) -> tuple[nn.Module, ...]:
        """The models, in the order in which they were given."""
        return tuple(part.model for part in self.parts)  # type: ignore[misc]

    @property
    def licence(self) -> str:
        """The strictest of the members' licences; empty if none is known."""
        return strictest(*map(licence_of, self.members))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W), normalised for the first member, to logits (N, num_classes).

        Their softmax (for multi-label tasks their sigmoid) is the mean of the members'
        probabilities.
        """
        multi_label = self.dataset is not None and self.dataset.multi_label
        return average_logits([part(x) for part in self.parts], multi_label)


class InputAdapter(nn.Module):
    """A model, and the way from batches that were prepared for another one to its own.

    Args:
        model: The model.
        own: What it expects of its input.
        shared: What batches are prepared for.
    """

    scale: Tensor | None
    bias: Tensor | None

    def __init__(self, model: nn.Module, own: TransformConfig, shared: TransformConfig) -> None:
        super().__init__()
        self.model = model
        self.own = own
        # Size and channels are adapted as those of any image: from 8-bit pixels.
        self.restarts = (own.size, own.channels) != (shared.size, shared.channels)
        factors: tuple[Tensor | None, Tensor | None] = (None, None)
        if self.restarts or (own.mean, own.std) != (shared.mean, shared.std):
            mean, std = _columns(shared)
            # To 8-bit pixels, if the transform has to start again; else to its normalisation.
            to_mean, to_std = (0.0, 1 / 255) if self.restarts else _columns(own)
            factors = ((std / to_std).float(), ((mean - to_mean) / to_std).float())
        # Buffers, to go along to other devices; they are made anew, so no part of the weights.
        home = next((parameter.device for parameter in model.parameters()), None)
        for name, factor in zip(("scale", "bias"), factors, strict=True):
            moved = factor if factor is None else factor.to(home)
            self.register_buffer(name, moved, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map such a batch, (N, C, H, W), to the model's logits divided by its temperature."""
        if self.scale is not None and self.bias is not None:
            x = torch.addcmul(self.bias, x, self.scale)
        if self.restarts:
            x = prepare_batch(x.round().clamp(0, 255).to(torch.uint8), self.own)
        return self.model(x) / temperature_of(self.model)

    def extra_repr(self) -> str:
        """What the tensors do not tell, for people and for the cache of compiled models."""
        return f"{self.own}, temperature={temperature_of(self.model)!r}"


def _columns(config: TransformConfig) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, float64 (C, 1, 1)."""
    mean, std = torch.tensor([config.mean, config.std], dtype=torch.float64)[..., None, None]
    return mean, std


def _name(index: int, member: object) -> str:
    """Name a member in errors: its place, from 0, and what was given or its architecture."""
    if isinstance(member, str | Path):
        return f"member {index} ({str(member)!r})"
    return f"member {index} ({getattr(member, 'architecture', type(member).__name__)})"


def _config(name: str, model: object) -> TransformConfig:
    """Return what a member expects of its input; refuse what is no classifier."""
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"{name} is no PyTorch module; give models that create_model returns (and compile the "
            "ensemble, not its members)"
        )
    if not getattr(model, "num_classes", 0):
        raise ValueError(f"{name} has no classifier; make it with create_model(..., dataset=...)")
    try:
        return transform_config(model)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def _check_fit(
    name: str,
    model: nn.Module,
    config: TransformConfig,
    first_name: str,
    first: nn.Module,
    first_config: TransformConfig,
) -> None:
    """Refuse a member whose logits do not mean what the first one's do."""
    info, first_info = dataset_of(model), dataset_of(first)
    if info and first_info:
        for what, one, other in (
            ("data set", info.name, first_info.name),
            ("task", info.task, first_info.task),
            ("classes", info.classes, first_info.classes),
        ):
            if one != other:
                raise ValueError(
                    f"{name} was made for another {what} than {first_name}: {one!r}, not "
                    f"{other!r}; members have to answer the same question"
                )
    for what, count, expected in (
        ("classes", model.num_classes, first.num_classes),
        ("channels", config.channels, first_config.channels),
    ):
        if count != expected:
            raise ValueError(
                f"{name} has {count} {what}, but {first_name} has {expected}; make them with "
                "create_model(..., dataset=...) for the same data set"
            )
