"""The weights file: safetensors that carry what is needed to rebuild and feed the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from medzoo.datasets import DatasetInfo
from medzoo.errors import WeightsError
from medzoo.files import write_atomically
from medzoo.weights.licence import licence_of
from medzoo.weights.temperature import check_temperature, temperature_of

_KEY = "medzoo"
"""The header entry of a weights file that holds its `WeightsConfig`, as JSON."""


@dataclass(frozen=True)
class WeightsConfig:
    """What a weights file says about itself.

    Attributes:
        architecture: Name of the registered architecture, e.g. ``"advanced_cnn"``.
        model_args: The architecture's arguments other than channels and classes.
        num_classes: Number of logits.
        input_size: Channels, height and width of the images it was trained on.
        mean: Of each channel, images scaled to [0, 1].
        std: Of each channel, likewise.
        dataset: What it was trained on, or None.
        training: How it was trained: recipe, seed, data and their md5, scores, licence, teacher and
            larger images.
        temperature: What its logits are divided by to become probabilities; files without it
            read as 1.0.

    Raises:
        ValueError: If the temperature is not finite or not above 0.
    """

    architecture: str
    num_classes: int
    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    model_args: Mapping[str, Any] = field(default_factory=dict)
    dataset: DatasetInfo | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    @property
    def licence(self) -> str:
        """The licence of the weights: what training wrote, else the images'; empty if unknown."""
        return self.training.get("licence") or (self.dataset.licence if self.dataset else "")

    @classmethod
    def of(cls, model: nn.Module, training: Mapping[str, Any] | None = None) -> WeightsConfig:
        """Read the configuration off a model that `medzoo.create_model` made.

        Args:
            model: The model.
            training: How it was trained; if it does not name a licence, the model's is kept.

        Raises:
            ValueError: If the model was not made by `medzoo.create_model`, or its temperature is
                not finite or not above 0.
        """
        cfg = getattr(model, "pretrained_cfg", None)
        if not cfg or not hasattr(model, "architecture") or not hasattr(model, "get_classifier"):
            raise ValueError(
                f"{type(model).__name__} does not say how it was built or is no classifier; make "
                "models with medzoo.create_model so that their weights can be loaded again"
            )
        # reset_classifier changes the model, but neither its configuration nor its data set.
        num_classes = int(getattr(model, "num_classes", cfg["num_classes"]))
        info = getattr(model, "dataset", None)
        licence = licence_of(model)
        return cls(
            architecture=str(model.architecture),
            num_classes=num_classes,
            input_size=tuple(cfg["input_size"]),
            mean=tuple(cfg["mean"]),
            std=tuple(cfg["std"]),
            # Lists, which are what JSON gives back, so that a configuration survives its file.
            model_args={
                name: list(value) if isinstance(value, tuple) else value
                for name, value in getattr(model, "model_args", {}).items()
            },
            dataset=info if info and info.num_classes == num_classes else None,
            training=({"licence": licence} if licence else {}) | dict(training or {}),
            temperature=temperature_of(model),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {
            "model_args": dict(self.model_args),
            "dataset": self.dataset.to_dict() if self.dataset else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WeightsConfig:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Returns:
            The configuration; what a file from before a field existed does not say has the
            field's default.

        Raises:
            KeyError: If a field is missing.
            TypeError: If a value is of the wrong kind.
        """
        dataset = values.get("dataset")
        channels, height, width = _expect(values, "input_size", "positive whole numbers")
        return cls(
            architecture=_expect(values, "architecture", "a text"),
            num_classes=_expect(values, "num_classes", "a whole number"),
            input_size=(channels, height, width),
            mean=tuple(_expect(values, "mean", "numbers")),
            std=tuple(_expect(values, "std", "numbers")),
            model_args=_expect({"model_args": {}, **values}, "model_args", "an object"),
            dataset=DatasetInfo.from_dict(dataset) if dataset else None,
            training=_renamed(_expect({"training": {}, **values}, "training", "an object")),
            temperature=values.get("temperature", 1.0),
        )


def save_weights(
    model: nn.Module,
    path: str | Path,
    *,
    training: Mapping[str, Any] | None = None,
    half: bool = False,
) -> Path:
    """Write a model's weights and configuration into one safetensors file, atomically.

    Args:
        model: A model that `medzoo.create_model` made.
        path: The file to write, ``*.safetensors``.
        training: How it was trained, kept in the file's header.
        half: Store convolution and linear weights in half precision. Normalisation layers'
            parameters and statistics, whose ranges are wide, stay exact.

    Returns:
        The path.

    Raises:
        ValueError: If the model was not made by `medzoo.create_model`, its temperature is not
            finite or not above 0, or the file's name does not end in ``.safetensors``.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"weights file {str(path)!r} must be named *.safetensors")
    config = WeightsConfig.of(model, training)
    tensors = {
        name: (tensor.half() if half and tensor.ndim > 1 else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    # One header entry only: safetensors writes several in random order, and the same weights
    # should give the same bytes.
    content = save(tensors, {_KEY: json.dumps(config.to_dict(), sort_keys=True)})
    return write_atomically(path, content)


def read_config(path: str | Path) -> WeightsConfig:
    """Read what a weights file says about itself, without its tensors.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read or was not written by medzoo.
    """
    with _opened(path) as file:
        header = (file.metadata() or {}).get(_KEY)
    if header is None:
        raise WeightsError(
            f"{path} is a safetensors file but holds no medzoo configuration; "
            "load its tensors into a model of your own with safetensors.torch.load_model"
        )
    try:
        return WeightsConfig.from_dict(json.loads(header))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} holds a configuration that this version of medzoo cannot read ({error!r}); "
            "fetch the file again or update medzoo"
        ) from error


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a weights file's tensors; those stored in half precision come back as float32.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
    }


def _renamed(training: Mapping[str, Any]) -> dict[str, Any]:
    """Map what earlier versions called otherwise."""
    values = dict(training)
    if "larger" in values:
        values["high_res"] = values.pop("larger")
    recipe = values.get("recipe")
    if isinstance(recipe, dict) and "trunk" in recipe:
        values["recipe"] = {"backbone": recipe["trunk"]} | {
            name: value for name, value in recipe.items() if name != "trunk"
        }
    return values


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a text": lambda value: isinstance(value, str),
    "an object": lambda value: isinstance(value, dict),
    "a whole number": lambda value: _whole(value, 0),
    "numbers": lambda value: (
        isinstance(value, list | tuple) and all(isinstance(item, int | float) for item in value)
    ),
    "positive whole numbers": lambda value: (
        isinstance(value, list | tuple) and all(_whole(item, 1) for item in value)
    ),
}
"""What a value can be expected to be, and how to tell."""


def _expect(values: Mapping[str, Any], name: str, kind: str) -> Any:
    if not _KINDS[kind](values[name]):
        raise TypeError(f"{name}={values[name]!r}, expected {kind}")
    return values[name]


def _opened(path: str | Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} does not exist; check the path") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"weights file {path} is not a readable safetensors file ({error}); "
            "delete it and fetch it again"
        ) from error
