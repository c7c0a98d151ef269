"""Ensembles: several models whose probabilities are averaged, used like one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from medzoo.errors import warn_caller
from medzoo.inference.input_adapter import InputAdapter
from medzoo.inference.output_check import check_gives_logits
from medzoo.inference.tta import average_logits
from medzoo.models import Classifier, create_model
from medzoo.spec import ConformalSpec, InputSpec, ModelSpec, SelectiveSpec, network_of, spec_of
from medzoo.weights.licence import strictest


class Ensemble(Classifier):
    """Several models as one, whose probabilities are the mean of theirs.

    Give it to `medzoo.evaluate`, `medzoo.predict`, `medzoo.create_transform` or `medzoo.compile`
    like any model. Each member's temperature counts, and each gets images in its own
    normalisation and size. It infers only: members are put into evaluation mode, and what is
    saved are the members.

    Args:
        members: Models of any architecture, or names of checkpoints or weights files, which
            `medzoo.create_model` loads. The first decides size and normalisation of the batches.

    Attributes:
        spec: What the ensemble is: architecture ``"ensemble"``, input of the first member,
            the strictest of the members' licences, and a temperature of the ensemble as a whole
            in addition to its members'; 1.0 at first. Prediction sets and risks are those of the
            ensemble as a whole, which `medzoo.calibrate` fits; they are dropped, with a warning,
            once a member's temperature or input has changed.
        num_classes: Number of logits.
        sources: The names and files that members were loaded from.

    Raises:
        TypeError: If `members` is not a list, or a member is not a module or does not say what
            it is.
        ValueError: If there are no members, or one of them does not fit the first: it is for
            another data set, task, number of classes or of channels, or gives probabilities.
        WeightsError: If a member's weights do not exist or cannot be read.

    Example:
        >>> import medzoo
        >>> both = medzoo.Ensemble(["simple_cnn.dermamnist", "efficientnet.dermamnist"])
        >>> both.num_classes
        7
    """

    _fitted: tuple[ConformalSpec | None, SelectiveSpec | None] = (None, None)
    _fitted_to: tuple[object, ...] = ()

    def __init__(self, members: Iterable[nn.Module | str | Path]) -> None:
        super().__init__()
        if isinstance(members, str | Path) or not isinstance(members, Iterable):
            raise TypeError(f"members={members!r} is not a list; give a list of models or names")
        given = list(members)
        if not given:
            raise ValueError(
                "an ensemble needs at least one member; give a list of models or names"
            )
        models = [
            create_model(one, pretrained=True) if isinstance(one, str | Path) else one
            for one in given
        ]
        self.sources = tuple(str(one) for one in given if isinstance(one, str | Path))
        names = [_name(*pair) for pair in enumerate(given)]
        specs = [_spec(*pair) for pair in zip(names, models, strict=True)]
        # Each with each: the first one may not say what the others are for.
        for (first, expected), (name, spec) in combinations(zip(names, specs, strict=True), 2):
            _check_fit(name, spec, first, expected)
        self.parts = _parts(models, specs[0].input)
        self.num_classes = specs[0].num_classes
        self.spec = replace(
            specs[0].uncalibrated(),
            architecture="ensemble",
            model_args={},
            # Any member may say what the others leave open.
            task=next((spec.task for spec in specs if spec.task), None),
            classes=next((spec.classes for spec in specs if spec.classes), ()),
            dataset=next((spec.dataset for spec in specs if spec.dataset), None),
            licence=strictest(*(spec.licence for spec in specs)),
        )
        self.eval()
        for name, model, spec in zip(names, models, specs, strict=True):
            try:
                check_gives_logits(model, spec)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    @property
    def members(self) -> tuple[nn.Module, ...]:
        """The models, in the order in which they were given."""
        return tuple(part.model for part in self.parts)  # type: ignore[misc]

    @property
    def spec(self) -> ModelSpec:
        """What the ensemble is; `medzoo.calibrate` sets it."""
        return spec_of(self)

    @spec.setter
    def spec(self, spec: ModelSpec) -> None:
        cast(Any, Classifier.spec).fset(self, spec)
        after = self.__dict__["_spec"]
        self._adapt(after)
        conformal, selective = self._fitted
        # The same objects in another spec were not fitted again.
        if after.conformal is not conformal or after.selective is not selective:
            self._fitted = (after.conformal, after.selective)
            self._fitted_to = _settings_of(self.members)

    def current_spec(self, spec: ModelSpec) -> ModelSpec:
        """Return the spec without what was fitted to members that have changed since.

        Members whose input has changed get their images as they expect them now.
        """
        self._adapt(spec)
        is_fitted = spec.conformal is not None or spec.selective is not None
        if not is_fitted or self._fitted_to == _settings_of(self.members):
            return spec
        warn_caller(
            "a member's temperature or input has changed, so prediction sets and risks of the "
            "ensemble, which were fitted to other probabilities, are dropped; medzoo.calibrate "
            "fits them again"
        )
        self.__dict__["_spec"] = spec = replace(spec, conformal=None, selective=None)
        return spec

    def _adapt(self, spec: ModelSpec) -> None:
        """Follow changes of the ensemble's input and of its members' inputs."""
        inputs = [(spec_of(part.model).input, spec.input) for part in self.parts]
        if inputs != [(part.own, part.shared) for part in self.parts]:
            self.parts = _parts(self.members, spec.input)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W), normalised for the first member, to logits (N, num_classes).

        Their softmax (for multi-label tasks their sigmoid) is the mean of the members'
        probabilities.
        """
        multi_label = self.spec.multi_label  # first, since this may exchange the parts
        return average_logits([part(x) for part in self.parts], multi_label)


def _parts(models: Iterable[nn.Module], shared: InputSpec) -> nn.ModuleList:
    """Make each model take batches that were prepared for another input."""
    return nn.ModuleList(InputAdapter(model, spec_of(model).input, shared) for model in models)


def _settings_of(members: Iterable[nn.Module]) -> tuple[object, ...]:
    """Return what, besides their weights, decides the members' probabilities."""
    found: list[object] = []
    for member in members:
        spec, network = spec_of(member), network_of(member)
        inner = _settings_of(network.members) if isinstance(network, Ensemble) else ()
        found.append((spec.input, spec.temperature, inner))
    return tuple(found)


def _name(index: int, member: object) -> str:
    """Name a member in errors: its place, from 0, and what was given or its class."""
    what = repr(str(member)) if isinstance(member, str | Path) else type(member).__name__
    return f"member {index} ({what})"


def _spec(name: str, model: object) -> ModelSpec:
    """Return what a member is; refuse what is not a classifier."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"{name} is not a PyTorch module; give models that create_model returns (and compile "
            "the ensemble, not its members)"
        )
    try:
        spec = spec_of(model)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name}: {error}; as a member, in medzoo.models.Specified(model, spec)"
        ) from error
    if not spec.num_classes:
        raise ValueError(f"{name} has no classifier; make it with create_model(..., dataset=...)")
    return spec


def _check_fit(name: str, spec: ModelSpec, first_name: str, first: ModelSpec) -> None:
    """Refuse a member whose logits do not mean what those of one before it do."""
    info, first_info = spec.dataset, first.dataset
    for what, one, other in (
        ("data set", info and info.name, first_info and first_info.name),
        ("task", spec.task, first.task),
        ("classes", spec.classes, first.classes),
    ):
        if one and other and one != other:
            raise ValueError(
                f"{name} was made for another {what} than {first_name}: {one!r}, not {other!r}; "
                "members have to answer the same question"
            )
    for what, count, expected in (
        ("classes", spec.num_classes, first.num_classes),
        ("channels", spec.input.channels, first.input.channels),
    ):
        if count != expected:
            raise ValueError(
                f"{name} has {count} {what}, but {first_name} has {expected}; make them with "
                "create_model(..., dataset=...) for the same data set"
            )
