"""How models are run: the options that evaluation, calibration and prediction have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypedDict, get_args

import torch

from medzoo.device import Precision
from medzoo.errors import unknown_name
from medzoo.inference.tta import TTA
from medzoo.spec import ModelSpec, check_temperature

_CHOICES = {"precision": get_args(Precision), "tta": get_args(TTA)}


class InferenceOptions(TypedDict, total=False):
    """How a model is run over images.

    Attributes:
        batch_size: Images run at once.
        device: ``"auto"`` (the default: CUDA, then MPS, then CPU), a PyTorch device string, or a
            `torch.device`.
        precision: ``"float32"`` (the default), ``"bfloat16"``, or ``"auto"``.
        tta: Test-time augmentation, the views of each image whose probabilities are averaged:
            ``"none"`` (the default), ``"flip"`` (2: as it is, and left and right exchanged) or
            ``"dihedral"`` (8: each of these in 4 quarter turns).
        temperature: What logits are divided by to become probabilities; by default the
            model's own. 1.0 gives uncalibrated logits; the members of an ensemble keep theirs.
        spec: What the model is, for one that does not say it itself, or instead of what it says.
    """

    batch_size: int
    device: str | torch.device
    precision: Precision
    tta: TTA
    temperature: float | None
    spec: ModelSpec | None


class SplitOptions(InferenceOptions, total=False):
    """How a model is run over a split; the options of `InferenceOptions` and two more.

    Attributes:
        progress: Whether to show a progress bar.
        sharded: Whether the processes of an open group (see `torch.distributed`) divide the
            images among themselves: whole batches, so that each batch is the same as in a single
            process. All of them have to make the same call, and all get the same result. Without
            a group it changes nothing.
    """

    progress: bool
    sharded: bool


@dataclass(frozen=True)
class Settings:
    """Checked options, with their defaults; see `SplitOptions`.

    Raises:
        ValueError: If a value does not fit.
    """

    batch_size: int = 256
    device: str | torch.device = "auto"
    precision: Precision = "float32"
    tta: TTA = "none"
    temperature: float | None = None
    spec: ModelSpec | None = None
    progress: bool = False
    sharded: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.batch_size, SupportsIndex) and self.batch_size >= 1):
            raise ValueError(f"batch_size={self.batch_size!r} must be a whole number of at least 1")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown_name(name, getattr(self, name), choices)
        if self.temperature is not None:
            check_temperature(self.temperature)

    @classmethod
    def of(cls, options: Mapping[str, Any], kind: type = SplitOptions, **defaults: Any) -> Settings:
        """Check options that a caller gave.

        Args:
            options: Their names and values.
            kind: Which options there are: `InferenceOptions` or `SplitOptions`.
            **defaults: Defaults other than those of the class.

        Raises:
            TypeError: If a name is unknown; the message lists close matches.
            ValueError: If a value does not fit.
        """
        known = kind.__annotations__
        for name in options:
            if name not in known:
                raise TypeError(str(unknown_name("option", name, known)))
        return cls(**{**defaults, **options})


def check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that a function over a split does not have, before it does anything.

    Args:
        function: It takes `SplitOptions` besides its own options, which have to be keywords.
        options: Those that are not its own.

    Raises:
        TypeError: If a name is unknown; the message lists close matches among all of them.
    """
    known = SplitOptions.__annotations__.keys() | (function.__kwdefaults__ or {}).keys()
    for name in options:
        if name not in known:
            raise TypeError(str(unknown_name("option", name, known)))
