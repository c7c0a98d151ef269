"""The trials of the ablations, read from ``trials/ablations.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from benchmarks.reporting.toml_file import read_toml
from medzoo import Recipe
from medzoo.training import load_recipe

TRIALS = Path(__file__).with_name("trials") / "ablations.toml"


@dataclass(frozen=True)
class Member:
    """One model of an ensemble.

    Attributes:
        seed: Seed of the training.
        view: What it sees, a key of `views.VIEWS`; empty for the original images.
        model: Name of the architecture.
    """

    seed: int
    view: str = ""
    model: str = "simple_cnn"


@dataclass(frozen=True)
class Ablation:
    """One change to a base recipe.

    Attributes:
        group: Kind of change.
        name: The change, as the table shows it.
        changes: Changed fields of the base recipe.
        dataset: Name of the data set.
        model: Name of the architecture.
        size: Size of the training images, in pixels.
        evaluated: Size of the validation images, if different: smaller ones are scaled up to the
            training size, larger ones are not scaled.
        high_res: Size of the training images at which augmentation is applied; 0 for `size`.
        teachers: Number of models of other seeds, with the same recipe, that are trained first and
            used as a teacher ensemble; or ``"published"``, the teachers of the published models.
        folds: How the images are split, a key of `folds.FOLDS`.
        seeds: Number of trainings on each split, whose scores are averaged.
        view: Transform applied to all images first, a key of `views.VIEWS`; empty for none.
        also: Transform of the validation images for scores of their own, a key of `views.VIEWS`;
            empty for none.
        bundled: Whether the base is the bundled recipe of the data set.
        logit_adjustment: Factor on the logarithm of the class frequencies that are subtracted from
            the logits after training (Menon et al., *Long-tail learning via logit adjustment*,
            2021).
        oversampled: Whether training images of rare classes are repeated until all classes are
            about equally frequent.
        members: Models of an ensemble that is scored instead of one model; each is trained with
            its bundled recipe.
    """

    group: str
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = "dermamnist"
    model: str = "advanced_cnn"
    size: int = 28
    evaluated: int = 0
    high_res: int = 0
    teachers: int | Literal["published"] = 0
    folds: str = "own"
    seeds: int = 1
    view: str = ""
    also: str = ""
    bundled: bool = False
    logit_adjustment: float = 0.0
    oversampled: bool = False
    members: tuple[Member, ...] = ()

    @property
    def key(self) -> str:
        """Name of the trial in the results file."""
        model = "several" if self.members else self.model
        folds = ", folds of images that are alike" if self.folds == "alike" else ""
        return f"{self.dataset}/{model}{folds}: {self.group}: {self.name}"

    @property
    def base(self) -> Recipe:
        """The recipe that the trial changes."""
        if self.bundled:
            return load_recipe("default", self.model, self.dataset)
        content = _content()
        return Recipe.from_dict(content["base"]).with_changes(**content["datasets"][self.dataset])


@cache
def _content() -> dict[str, Any]:
    return read_toml(TRIALS)


@cache
def ablations() -> tuple[Ablation, ...]:
    """Return all trials, in the order of the file."""
    content = _content()
    trials = []
    for values in content["trial"]:
        entry = dict(values)
        shared = [content["shared"][name] for name in entry.pop("use", ())]
        changes = _merged(*shared, entry.pop("changes", {}))
        members = tuple(Member(**member) for member in entry.pop("members", ()))
        for dataset in entry.pop("datasets", ("dermamnist",)):
            trials.append(Ablation(changes=changes, dataset=dataset, members=members, **entry))
    return tuple(trials)


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge changes of a recipe, and the changes of its augmentation and model arguments."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            nested = isinstance(value, Mapping)
            merged[name] = merged.get(name, {}) | dict(value) if nested else value
    return merged
