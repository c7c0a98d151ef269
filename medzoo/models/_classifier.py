"""The base class of everything that `create_model` returns: a network that carries its spec."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from dataclasses import replace
from functools import cache, wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from medzoo.spec import ModelSpec, SpecCarrier, input_of_timm, spec_of
from medzoo.spec.carrier import without_outdated
from medzoo.weights import OODDetector

_RESERVED = ("spec", "architecture", "dataset", "temperature", "licence", "ood_detector")


class Classifier(SpecCarrier, nn.Module):
    """A network with timm's interface that says in its `spec` what it is.

    Attributes:
        num_classes: Number of logits; 0 when the classifier is removed.
        num_features: Channels of the final feature map.
        ood_detector: What recognises images of another kind (see `medzoo.fit_ood_detector`), or
            None. A new classifier and training remove it.
    """

    # TorchScript would compile them, and cannot.
    __jit_unused_properties__ = (*_RESERVED, "pretrained_cfg", "default_cfg")

    # timm's interface, which every subclass has. TorchScript cannot read such annotations either.
    if TYPE_CHECKING:
        num_classes: int
        num_features: int

        def forward_features(self, x: Tensor) -> Tensor: ...
        def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor: ...
        def get_classifier(self) -> nn.Module: ...
        def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None: ...

    @property
    def ood_detector(self) -> OODDetector | None:
        """What recognises images of another kind, or None."""
        return self.__dict__.get("ood_detector")

    @ood_detector.setter
    def ood_detector(self, detector: OODDetector | None) -> None:
        if not isinstance(detector, OODDetector | None):
            raise TypeError(
                f"ood_detector={detector!r:.80} is a {type(detector).__name__}; give what "
                "medzoo.fit_ood_detector returns, or None"
            )
        self.__dict__["ood_detector"] = detector

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network; say what images have to become if they are given as they are."""
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError:
            if args and isinstance(args[0], Tensor):
                check_prepared(args[0])
            raise

    @property
    def spec(self) -> ModelSpec:
        """What the model is; `create_model` and training set it."""
        return spec_of(self)

    @spec.setter
    def spec(self, spec: ModelSpec) -> None:
        before, after = self.__dict__.get("_spec"), spec_of(self, spec)
        if before is not None and before.input != after.input:
            self.ood_detector = None  # it knows the features of images as they were
        self.__dict__["_spec"] = without_outdated(before, after)

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """Timm's configuration: what timm wrote, with input and classes as in the spec.

        Setting it changes the spec's input; prediction sets and detector were fitted to the
        earlier one, and are dropped.
        """
        written = dict(self.__dict__.get("pretrained_cfg") or {})
        spec = self.__dict__.get("_spec")
        return written | spec.timm_config() if spec else written

    @pretrained_cfg.setter
    def pretrained_cfg(self, cfg: dict[str, Any]) -> None:
        self.__dict__["pretrained_cfg"] = cfg
        if (spec := self.__dict__.get("_spec")) is not None:
            self.spec = replace(spec, input=input_of_timm(cfg))

    @property
    def default_cfg(self) -> dict[str, Any]:
        """The same as `pretrained_cfg`, under timm's older name."""
        return self.pretrained_cfg

    @default_cfg.setter
    def default_cfg(self, cfg: dict[str, Any]) -> None:
        """Accept what timm writes; it is the same as `pretrained_cfg`."""


def with_spec(model: nn.Module, spec: ModelSpec) -> Classifier:
    """Make a network a `Classifier` that carries a spec, in place.

    A network of another class (timm's, or a user's own) becomes an instance of a subclass of
    both, so that it stays what it was. Its weights are not touched.

    Args:
        model: Any module.
        spec: What it is.

    Raises:
        ValueError: If the module already has attributes with the names of a classifier's.
    """
    if not isinstance(model, Classifier):
        taken = [name for name in _RESERVED if name in vars(model) or hasattr(type(model), name)]
        if taken:
            raise ValueError(
                f"{type(model).__name__} has attributes with names that medzoo's models use: "
                f"{', '.join(taken)}; rename them, or hold the network in a module without them"
            )
        kind: Any = type(model)
        model.__class__ = _adopted(kind)
    assert isinstance(model, Classifier)
    model.spec = spec
    return model


def with_new_classifier(spec: ModelSpec, num_classes: int, global_pool: str | None) -> ModelSpec:
    """Return the spec of a model after `reset_classifier`.

    Args:
        spec: Its spec before.
        num_classes: Number of logits.
        global_pool: The new pooling, which every architecture's constructor takes; None if the
            pooling is the same as before.
    """
    if global_pool is not None:
        spec = replace(spec, model_args={**spec.model_args, "global_pool": global_pool})
    return spec.with_num_classes(num_classes)


def check_prepared(batch: Tensor) -> None:
    """Check that a batch is not of images as they are.

    Args:
        batch: What was given to a model.

    Raises:
        TypeError: If it is not of floats, or not dense.
    """
    is_dense = batch.layout is torch.strided
    if not batch.is_floating_point() or not is_dense:
        raise TypeError(
            f"the batch is {batch.dtype if is_dense else batch.layout}, but models take normalised "
            "floats (N, C, H, W); give images to medzoo.predict, or prepare each with "
            "medzoo.create_transform(model)"
        )


class Specified(nn.Module):
    """Any callable from a float batch to logits, with a spec that says what it is.

    For models without a spec as members of a `medzoo.Ensemble` or as a teacher.

    Args:
        model: A module, or any other callable from a float batch (N, C, H, W) to logits (N, K).
        spec: What it is.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], spec: ModelSpec) -> None:
        super().__init__()
        self.model = model
        self.spec = spec_of(model, spec)
        self.num_classes = spec.num_classes

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch (N, C, H, W) to logits (N, K)."""
        return self.model(x)


class _Adopted(Classifier):
    """Base of the classes that `with_spec` makes for networks of other classes."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        make, arguments, *state = cast(tuple[Any, ...], super().__reduce_ex__(protocol))
        if make is not copyreg.__newobj__:  # type: ignore[attr-defined]  # its own __reduce__
            return (make, arguments, *state)
        return (_new, (type(self).__bases__[1],), *state)


@cache
def _adopted(cls: Any) -> type[nn.Module]:
    """Return the subclass of `Classifier` and of another class, under the latter's name."""
    about = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    if original := getattr(cls, "reset_classifier", None):

        @wraps(original)
        def reset_classifier(self: Any, num_classes: int, *args: Any, **kwargs: Any) -> None:
            original(self, num_classes, *args, **kwargs)
            given = signature(original).bind(self, num_classes, *args, **kwargs).arguments
            self.spec = with_new_classifier(self.spec, num_classes, given.get("global_pool"))
            self.ood_detector = None

        about["reset_classifier"] = reset_classifier
    adopted: type[nn.Module] = type(cls.__name__, (_Adopted, cls), about)
    return adopted


def _new(cls: type[nn.Module]) -> nn.Module:
    """Make an empty adopted instance, which `pickle` fills."""
    kind: Any = cls
    return _adopted(kind).__new__(_adopted(kind))
