"""Recipes: everything that decides a training run, as small typed objects that serialise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, get_args

from medzoo.device import Precision
from medzoo.errors import unknown_name
from medzoo.images.corruptions import FAMILIES, Family
from medzoo.spec.checks import check_arguments, is_finite, is_whole
from medzoo.training.optim import check_optimizer

if TYPE_CHECKING:
    from typing_extensions import Self

ClassWeights = Literal["none", "balanced"] | Sequence[float] | Mapping[str, float]
FrozenPart = Literal["none", "stem", "backbone"]


class _KnownFields:
    """Names close matches if a field is given that does not exist."""

    def __new__(cls, *_: Any, **values: Any) -> Self:
        for name in values:
            if name not in (known := [item.name for item in fields(cls)]):  # type: ignore[arg-type]
                raise TypeError(str(unknown_name(f"{cls.__name__} field", name, known)))
        return super().__new__(cls)


@dataclass(frozen=True)
class Augmentation(_KnownFields):
    """Random changes to a training batch, all symmetric around "no change" except `widen`.

    Attributes:
        horizontal_flip: Probability of a left-right flip.
        vertical_flip: Probability of an upside-down flip.
        rotation: Largest angle in degrees; 180 is any orientation.
        scale: Largest relative change of size, in [0, 1).
        widen: Largest relative widening: images are stretched horizontally by a factor from 1 to
            1 + `widen`, spread evenly on a logarithmic scale, and cropped. For scans whose
            resolution differs along one axis.
        shift: Largest shift as a fraction of the image's side.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        saturation: Largest relative change of saturation (colour images only).
        noise: Standard deviation of speckle noise: every pixel is multiplied by 1 plus a normal
            random number of this spread.
        erasing: Probability that a rectangle is replaced by the mean colour
            (random erasing, Zhong et al., 2020).
        mixup: Beta parameter of mixup (Zhang et al., 2018); 0 is off. It mixes nothing without
            a `mix_probability`.
        cutmix: Beta parameter of CutMix (Yun et al., 2019); 0 is off. It mixes nothing without
            a `mix_probability`.
        mix_probability: Share of images that are mixed with another one of their batch, 0 for
            none; if both mixup and CutMix are on, each batch uses one of them.
        corruption: Probability that an image is damaged by one of MedMNIST-C's corruptions of its
            data set, at a random severity.
        corruptions: Families of these corruptions, e.g. ``("noise", "blur")``; see
            `medzoo.images.corruptions_for`. Errors on damage of the same families then say little
            about other damage.
        corruptions_like: For your own data, the MedMNIST data set whose corruptions are used.
    """

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    widen: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    noise: float = 0.0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_probability: float = 0.0
    corruption: float = 0.0
    corruptions: Sequence[Family] = ()
    corruptions_like: str = ""

    def __post_init__(self) -> None:
        shares = ("horizontal_flip", "vertical_flip", "erasing", "mix_probability", "corruption")
        for name in shares:
            _require(self, name, 0 <= _number(self, name) <= 1, "a probability in [0, 1]")
        for name in ("scale", "shift", "brightness", "contrast", "saturation"):
            _require(self, name, 0 <= _number(self, name) < 1, "a fraction in [0, 1)")
        for name in ("rotation", "widen", "noise", "mixup", "cutmix"):
            _require(self, name, _number(self, name) >= 0, "0 or more")
        families = self.corruptions
        known = isinstance(families, list | tuple) and all(one in FAMILIES for one in families)
        _require(self, "corruptions", known, f"a list of {', '.join(map(repr, FAMILIES))}")
        object.__setattr__(self, "corruptions", tuple(families))
        both = bool(families) == (self.corruption > 0)
        _require(self, "corruption", both, "above 0 together with corruptions, else 0")
        like = isinstance(self.corruptions_like, str)
        _require(self, "corruptions_like", like, "the name of a data set")


@dataclass(frozen=True)
class Recipe(_KnownFields):
    """How a model is trained.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images per step.
        optimizer: timm's name of an optimiser (``"adamw"``, ``"sgd"``, ``"muon"``, ...); not those
            that need other packages or second derivatives, nor ``"kron"``.
        learning_rate: Peak learning rate.
        weight_decay: Decay of convolution and linear weights; biases and norms have none.
        warmup: Share of all steps over which the rate rises linearly to its peak, in [0, 1);
            after it the rate follows a cosine to zero.
        label_smoothing: Share of the target spread over all classes, in [0, 1); for ordinal sets
            over the neighbouring grades, for multi-label ones half of it moves labels towards 0.5.
        class_weights: ``"balanced"`` weighs classes by inverse frequency. Or one number above 0 for
            each class: by name, as ``{"melanoma": 3.0}``, where all others count 1, or as a list in
            their order. They are the factors on the loss of the images of a class, for multi-label
            sets on that of the labels which an image has.
        distillation: Share of the target that is the teacher's answer instead of the label, in
            [0, 1] (Hinton et al., *Distilling the Knowledge in a Neural Network*, 2015). Above 0
            the Trainer needs a teacher.
        ema_decay: Decay of the moving average of the weights, which is what is validated and
            kept; 0 is off.
        clip_gradient: Largest norm of the gradient, or None.
        patience: Stop after this many epochs without a better validation AUC, or None.
        validate_every: Epochs from one validation to the next; the last epoch is always validated.
        precision: ``"auto"`` takes bfloat16 where the device computes it faster.
        seed: Of the initial weights (when the command line or a benchmark builds the model),
            the order of images, augmentation and dropout; in [0, 2**32).
        augmentation: Random changes to training images.
        model_args: Arguments of the architecture, e.g. ``{"drop_rate": 0.2}``, for the code that
            builds the model with `medzoo.create_model`.
        backbone: Checkpoint or weights file that all but the classifier starts from, e.g.
            ``"advanced_cnn.dermamnist"``, for the code that builds the model; empty for random
            weights.
        freeze: What stays as it is, batch norms' statistics included: ``"none"``, ``"stem"``,
            ``"backbone"`` (all but the classifier), or how many stages, from 1, behind the stem.
        layer_decay: Factor on the learning rate from one layer to the one before, in (0, 1]: the
            classifier learns at the full rate, the stem slowest. Layers are medzoo's stages, and
            what timm's own networks call so (``group_matcher``).
    """

    epochs: int = 30
    batch_size: int = 128
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.2
    label_smoothing: float = 0.1
    class_weights: ClassWeights = field(default="none", hash=False)
    distillation: float = 0.0
    ema_decay: float = 0.995
    clip_gradient: float | None = None
    patience: int | None = None
    validate_every: int = 1
    precision: Precision = "auto"
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    model_args: Mapping[str, Any] = field(default_factory=dict, hash=False)
    backbone: str = ""
    freeze: FrozenPart | int = "none"
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "validate_every", "seed", "freeze"):
            value = getattr(self, name)
            if isinstance(value, Integral) and type(value) not in (int, bool):  # NumPy's
                object.__setattr__(self, name, int(value))
        for name in ("epochs", "batch_size", "patience", "validate_every"):
            value = getattr(self, name)
            whole = is_whole(value, 1) and value < 1 << 31
            absent = name == "patience" and value is None
            _require(self, name, whole or absent, "a whole number from 1 (and below 2**31)")
        seeds = is_whole(self.seed, 0) and self.seed < 1 << 32
        _require(self, "seed", seeds, "a whole number from 0 to 2**32 - 1")
        parts = get_args(FrozenPart)
        stages = type(self.freeze) is int and self.freeze >= 1
        expected = f"{', '.join(map(repr, parts))}, or a number of stages from 1"
        _require(self, "freeze", stages or self.freeze in parts, expected)
        _require(self, "learning_rate", _number(self, "learning_rate") > 0, "above 0")
        _require(self, "weight_decay", _number(self, "weight_decay") >= 0, "0 or more")
        for name in ("warmup", "label_smoothing", "ema_decay"):
            _require(self, name, 0 <= _number(self, name) < 1, "in [0, 1)")
        _require(self, "layer_decay", 0 < _number(self, "layer_decay") <= 1, "in (0, 1]")
        _require(self, "distillation", 0 <= _number(self, "distillation") <= 1, "in [0, 1]")
        if self.clip_gradient is not None:
            _require(self, "clip_gradient", _number(self, "clip_gradient") > 0, "above 0, or None")
        check_optimizer(self.optimizer)
        _require(self, "backbone", isinstance(self.backbone, str), "a name or a file, as text")
        for name, kind in (("augmentation", Augmentation), ("model_args", Mapping)):
            _require(self, name, isinstance(getattr(self, name), kind), f"a {kind.__name__}")
        object.__setattr__(self, "model_args", check_arguments(self.model_args))
        self._check_class_weights()
        if self.precision not in get_args(Precision):
            raise unknown_name("precision", self.precision, get_args(Precision))

    def _check_class_weights(self) -> None:
        """Check class weights, and store numbers as a tuple, those by name as a dictionary."""
        weights: Any = self.class_weights
        if isinstance(weights, str):
            if weights not in ("none", "balanced"):
                raise unknown_name("class_weights", weights, ("none", "balanced"))
            return
        by_name = isinstance(weights, Mapping)
        values = list(weights.values()) if by_name else weights
        values = values.tolist() if hasattr(values, "tolist") else values  # an array or tensor
        holds = isinstance(values, list | tuple) and bool(values)
        holds = holds and all(is_finite(value) and value > 0 for value in values)
        holds = holds and (not by_name or all(isinstance(name, str) for name in weights))
        expected = (
            "'none', 'balanced', numbers above 0 by names of classes, or a list of such numbers, "
            "one for each class"
        )
        _require(self, "class_weights", holds, expected)
        numbers = tuple(map(float, values))
        own = dict(zip(weights, numbers, strict=True)) if by_name else numbers
        object.__setattr__(self, "class_weights", own)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-safe values."""
        values = asdict(self) | {"model_args": dict(self.model_args)}
        values["augmentation"]["corruptions"] = list(self.augmentation.corruptions)
        if isinstance(self.class_weights, tuple):
            values["class_weights"] = list(self.class_weights)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Build a recipe from `to_dict`'s values, or from some of them.

        Args:
            values: Field names and values; fields that are absent keep their defaults.

        Raises:
            ValueError: If a name is unknown or a value is out of its range.
        """
        own = known_fields(cls, values)
        augmentation = Augmentation(**known_fields(Augmentation, own.get("augmentation", {})))
        return cls(**(own | {"augmentation": augmentation}))

    def with_changes(self, **changes: Any) -> Recipe:
        """Return a copy with some fields changed.

        Args:
            **changes: Field names and new values. A mapping for `augmentation`, `model_args` or
                `class_weights` changes what it names and keeps the rest.

        Raises:
            ValueError: If a name is unknown or a value is out of its range.
        """
        if isinstance(changes.get("augmentation"), Augmentation):
            changes["augmentation"] = asdict(changes["augmentation"])
        return type(self).from_dict(merge(self.to_dict(), known_fields(type(self), changes)))


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; later layers win, key by key.

    Args:
        *layers: Mappings whose values may be mappings.

    Raises:
        ValueError: If they are nested too deeply.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            nested = isinstance(old, Mapping) and isinstance(value, Mapping)
            try:
                merged[key] = merge(old, value) if nested else value  # type: ignore[arg-type]
            except RecursionError:
                raise ValueError(f"{key!r:.80} is nested too deeply for a recipe") from None
    return merged


def known_fields(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a dictionary, if all are fields of a dataclass.

    Args:
        cls: The dataclass.
        values: Field names with values.

    Raises:
        ValueError: If a name is unknown, or this is not a mapping.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{cls.__name__} is {values!r:.200}; expected field names with values")
    names = [item.name for item in fields(cls)]
    for name in values:
        if name not in names:
            raise unknown_name(f"{cls.__name__} field", name, names)
    return dict(values)


def _number(owner: object, name: str) -> float:
    """Return a field that must be a finite number; NumPy's become Python's, for JSON."""
    value: Any = getattr(owner, name)
    _require(owner, name, is_finite(value), "a finite number")
    if type(value) not in (int, float):
        value = float(value)
        object.__setattr__(owner, name, value)
    return value


def _require(owner: object, name: str, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(
            f"{type(owner).__name__}.{name}={getattr(owner, name)!r:.200} does not fit; "
            f"expected {expected}"
        )
