"""The header of a weights file: a model's spec and how it was trained, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from medzoo.datasets import DatasetInfo
from medzoo.files import parse_json
from medzoo.spec import InputSpec, ModelSpec, network_of, spec_of
from medzoo.spec.checks import MAX_CLASSES, check_whole
from medzoo.weights.digest import NO_DIGEST
from medzoo.weights.ood import OODDetector
from medzoo.weights.precision import Precision

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class WeightsConfig:
    """What a weights file says about itself.

    Attributes:
        spec: What the model is.
        training: How it was trained: recipe, data and their md5, scores, teacher and
            high-resolution images; empty if unknown.
        ood_values: The detector of images of another kind, as `OODDetector.to_dict` gives it; None
            if there is none.
        precision: How the file stores convolution and linear weights; not part of the header.
    """

    spec: ModelSpec
    training: Mapping[str, Any] = field(default_factory=dict)
    ood_values: Mapping[str, Any] | None = field(default=None, compare=False)
    precision: Precision = field(default="float32", compare=False)

    @classmethod
    def of(cls, model: nn.Module, training: Mapping[str, Any] | None = None) -> WeightsConfig:
        """Return the configuration with which a model's weights are saved.

        Args:
            model: A model that medzoo can build again; wrappers are looked through.
            training: How it was trained.

        Returns:
            The model's spec and the training. The licence that `training` names is the spec's;
            weights whose licence is unknown have that of the images that they were trained on.

        Raises:
            TypeError: If the model does not say what it is.
            ValueError: If medzoo could not build it again.
        """
        spec = spec_of(model)
        # Ensembles, feature extractors and `Specified` carry a spec as well, but their tensors
        # are not those of the architecture. The class is asked, because torch.compile's module
        # passes attributes of the instance on.
        network = network_of(model)
        if not spec.architecture or not hasattr(type(network), "get_classifier"):
            raise ValueError(
                f"medzoo cannot build a {type(model).__name__} again, so its weights could not be "
                "loaded; save a model that medzoo.create_model made, without features_only"
            )
        about = dict(training or {})
        licence = about.pop("licence", "") or spec.licence
        if not licence and spec.dataset:
            licence = spec.dataset.licence
        detector = vars(network).get("ood_detector")
        return cls(replace(spec, licence=licence), about, detector and detector.to_dict())

    @cached_property
    def ood_detector(self) -> OODDetector | None:
        """The detector; it is made when it is asked for, since its numbers need PyTorch.

        Raises:
            TypeError: If a value has the wrong type.
            ValueError: If a value is missing, unknown, or does not fit.
        """
        return OODDetector.from_dict(self.ood_values) if self.ood_values is not None else None

    @property
    def validation(self) -> dict[str, float]:
        """AUC and ACC on the validation split, as far as the training recorded them."""
        recorded = {score: self.training.get(f"val_{score}") for score in ("auc", "acc")}
        return {score: value for score, value in recorded.items() if isinstance(value, float)}

    def to_json(self) -> str:
        """Return the text of the header; a place for the file's digest comes first."""
        values = {"spec": self.spec.to_dict(), "training": dict(self.training)}
        if self.ood_values is not None:
            values["ood_detector"] = dict(self.ood_values)
        return json.dumps({"digest": NO_DIGEST} | values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> WeightsConfig:
        """Read the text of a header.

        Args:
            text: What `to_json` gave, or the header of a file from before there were digests or
                specs. The digest is not checked here.

        Raises:
            TypeError: If a value has the wrong type.
            ValueError: If it is not JSON, a value is missing or unknown, or values do not fit
                each other.
        """
        values = parse_json(text)
        if not isinstance(values, dict):
            raise TypeError(f"expected an object, found {text!r:.40}")
        values.pop("digest", None)
        if "spec" not in values:
            return _from_first_format(values)
        detector = values.pop("ood_detector", None)
        if values.keys() != {"spec", "training"}:
            raise ValueError(f"expected spec and training, found {sorted(values)}")
        return cls(
            ModelSpec.from_dict(values["spec"]),
            _object(values, "training"),
            detector,
        )


_FIRST_FORMAT = ("architecture", "num_classes", "input_size", "mean", "std")


def _from_first_format(values: Mapping[str, Any]) -> WeightsConfig:
    """Map the header of a file from before there were specs onto one."""
    known = {*_FIRST_FORMAT, "model_args", "dataset", "training", "temperature"}
    if values.keys() - known or set(_FIRST_FORMAT) - values.keys():
        raise ValueError(
            f"missing {sorted(set(_FIRST_FORMAT) - values.keys())}, "
            f"unknown {sorted(values.keys() - known)}"
        )
    for name in ("input_size", "mean", "std"):
        if not isinstance(values[name], list):
            raise TypeError(f"{name}={values[name]!r} must be a list")
    size = values["input_size"]
    if len(size) != 3 or size[1] != size[2]:
        raise ValueError(f"input_size={size!r} must be channels, height and the same width")
    check_whole("num_classes", values["num_classes"], 0, MAX_CLASSES)
    info = None
    if values.get("dataset") is not None:
        info = DatasetInfo.from_dict(_object(values, "dataset"))
    training = _renamed(_object(values, "training"))
    spec = ModelSpec(
        architecture=values["architecture"],
        input=InputSpec(size[0], size[1], values["mean"], values["std"]),
        num_classes=values["num_classes"],
        model_args=_object(values, "model_args"),
        dataset=info,
        temperature=values.get("temperature", 1.0),
        licence=training.get("licence") or (info.licence if info else ""),
    )
    return WeightsConfig(spec, training)


def _renamed(training: Mapping[str, Any]) -> dict[str, Any]:
    """Rename values to what they are called today."""
    values = dict(training)
    if "larger" in values:
        values["high_res"] = values.pop("larger")
    recipe = values.get("recipe")
    if isinstance(recipe, dict) and "trunk" in recipe:
        values["recipe"] = {
            "backbone" if name == "trunk" else name: "backbone" if value == "trunk" else value
            for name, value in recipe.items()
        }
    return values


def _object(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name, {})
    if not isinstance(value, dict):
        raise TypeError(f"{name}={value!r} must be an object")
    return value
