"""What a model is: its architecture, its classes, its input and its calibration, as one typed object.

Everything that says something about a model is made from it: weights files, exported files, the
index of published weights and timm's configuration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import Any

from medzoo.datasets import TASKS, Dataset, DatasetInfo, Task
from medzoo.errors import unknown_name


@dataclass(frozen=True)
class InputSpec:
    """The images that a model expects.

    Attributes:
        channels: 1 (gray) or 3 (RGB).
        size: Height (= width) in pixels.
        mean: Mean of each channel, for images scaled to [0, 1].
        std: Standard deviation of each channel, for images scaled to [0, 1]; above 0.

    Raises:
        ValueError: If a value does not fit.

    Example:
        >>> InputSpec(channels=1, size=28, mean=(0.5,), std=(0.25,)).shape
        (1, 28, 28)
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (_whole(self.channels, 1) and _whole(self.size, 1)):
            raise ValueError(
                f"channels={self.channels!r} and size={self.size!r} must be whole numbers, at least 1"
            )
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(
                f"mean={self.mean!r} and std={self.std!r} need one value for each of the "
                f"{self.channels} channels"
            )
        if not all(_finite(value) for value in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise ValueError(
                f"mean={self.mean!r} and std={self.std!r} must be finite numbers, std above 0"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return (self.channels, self.size, self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {
            "channels": self.channels,
            "size": self.size,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputSpec:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            ValueError: If a value is missing, unknown, or does not fit.
        """
        given = _exactly(cls, values)
        if not (isinstance(given["mean"], list | tuple) and isinstance(given["std"], list | tuple)):
            raise ValueError(f"mean={given['mean']!r} and std={given['std']!r} must be lists")
        return cls(**{**given, "mean": tuple(given["mean"]), "std": tuple(given["std"])})

    @classmethod
    def for_data(cls, data: Dataset | DatasetInfo) -> InputSpec:
        """Return the input that suits a data set.

        Args:
            data: A `Dataset` gives its size, channels, and its training images' mean and standard
                deviation; a `DatasetInfo` its smallest size, and its mean and standard deviation,
                or 0.5 as in MedMNIST's own baselines where it has none.
        """
        if isinstance(data, Dataset):
            mean, std = data.mean_std()
            # A channel that never changes has no spread to scale by.
            return cls(data.info.channels, data.size, mean, tuple(s or 1.0 for s in std))
        default = (0.5,) * data.channels
        size = min(data.sizes, default=28)
        return cls(data.channels, size, data.mean or default, data.std or default)


@dataclass(frozen=True)
class ModelSpec:
    """What a model is.

    Attributes:
        architecture: The name that builds it (``"advanced_cnn"``, ``"timm/resnet18"``); empty if
            medzoo could not build it again.
        input: The images that it expects.
        num_classes: Number of logits; 0 for a backbone without a classifier.
        model_args: The architecture's arguments other than channels and classes.
        classes: Names of the classes in the order of the logits; empty if they have no names.
        task: MedMNIST's name of the task; None if unknown, which counts as single-label.
        dataset: The data set that it was made for or trained on, which has these classes and
            this task; None if there is none.
        temperature: What logits are divided by to become probabilities; above 0.
        licence: Of the weights; empty if unknown or untrained.

    Raises:
        ValueError: If a value does not fit, or two of them contradict each other.

    Example:
        >>> spec = ModelSpec("", InputSpec(3, 28, (0.5,) * 3, (0.5,) * 3), classes=("cat", "dog"))
        >>> spec.num_classes
        2
    """

    architecture: str
    input: InputSpec
    num_classes: int = -1
    model_args: Mapping[str, Any] = field(default_factory=dict, hash=False)
    classes: tuple[str, ...] = ()
    task: Task | None = None
    dataset: DatasetInfo | None = None
    temperature: float = 1.0
    licence: str = ""

    def __post_init__(self) -> None:
        info = self.dataset
        # What the data set says need not be said again, but must not be contradicted.
        if info is not None:
            object.__setattr__(self, "classes", self.classes or info.classes)
            object.__setattr__(self, "task", self.task or info.task)
        if self.num_classes == -1:
            object.__setattr__(self, "num_classes", len(self.classes))
        # Lists, which are what JSON gives back, so that a spec survives its file.
        arguments = {name: _listed(value) for name, value in self.model_args.items()}
        object.__setattr__(self, "model_args", arguments)
        object.__setattr__(self, "temperature", check_temperature(self.temperature))
        self._check()

    def _check(self) -> None:
        if not isinstance(self.architecture, str) or not isinstance(self.licence, str):
            raise ValueError(
                f"architecture={self.architecture!r} and licence={self.licence!r} must be text"
            )
        if not _whole(self.num_classes, 0):
            raise ValueError(f"num_classes={self.num_classes!r} must be a whole number from 0")
        if not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"classes={self.classes!r} must be names")
        if self.classes and len(self.classes) != self.num_classes:
            raise ValueError(
                f"num_classes={self.num_classes} contradicts the {len(self.classes)} classes "
                f"{self.classes!r}"
            )
        if self.task is not None and self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        info = self.dataset
        if info is not None and (info.classes, info.task) != (self.classes, self.task):
            raise ValueError(
                f"classes={self.classes!r} and task={self.task!r} contradict the data set "
                f"{info.title}, which has {info.classes!r} and {info.task!r}"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes; ``"0"``, ``"1"`` and so on if they have no names."""
        return self.classes or tuple(map(str, range(self.num_classes)))

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of labels (sigmoid) instead of one class (softmax)."""
        return self.task == "multi-label, binary-class"

    def with_classes_of(self, dataset: DatasetInfo) -> ModelSpec:
        """Return the spec of the model with a new, untrained classifier for a data set.

        Args:
            dataset: What its classes are.
        """
        return replace(
            self,
            num_classes=dataset.num_classes,
            classes=dataset.classes,
            task=dataset.task,
            dataset=dataset,
            temperature=1.0,
        )

    def with_num_classes(self, num_classes: int) -> ModelSpec:
        """Return the spec of the model with a new, untrained classifier.

        Args:
            num_classes: Number of logits. As many as before keep their names; others have none.
        """
        if num_classes == self.num_classes:
            return replace(self, temperature=1.0)
        return replace(
            self, num_classes=num_classes, classes=(), task=None, dataset=None, temperature=1.0
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {
            "architecture": self.architecture,
            "model_args": dict(self.model_args),
            "num_classes": self.num_classes,
            "classes": list(self.classes),
            "task": self.task,
            "input": self.input.to_dict(),
            "dataset": self.dataset.to_dict() if self.dataset else None,
            "temperature": self.temperature,
            "licence": self.licence,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            ValueError: If a value is missing, unknown, or does not fit.
        """
        given = _exactly(cls, values)
        for name, kind in (("classes", list | tuple), ("model_args", Mapping), ("input", Mapping)):
            if not isinstance(given[name], kind):
                raise ValueError(f"{name}={given[name]!r} is a {type(given[name]).__name__}")
        if not _whole(given["num_classes"], 0):
            raise ValueError(f"num_classes={given['num_classes']!r} must be a whole number from 0")
        dataset = given["dataset"]
        return cls(
            **{
                **given,
                "classes": tuple(given["classes"]),
                "input": InputSpec.from_dict(given["input"]),
                "dataset": None if dataset is None else DatasetInfo.from_dict(dataset),
            }
        )

    def timm_config(self) -> dict[str, Any]:
        """Return what timm's `PretrainedCfg` says of input and classes, with its names of fields."""
        values: dict[str, Any] = {
            "input_size": self.input.shape,
            "mean": self.input.mean,
            "std": self.input.std,
            "num_classes": self.num_classes,
            "crop_pct": 1.0,
            "crop_mode": "center",
            "interpolation": "bicubic",
            # As the Hub spells it: cc-by-nc-4.0.
            "license": self.licence.lower().replace(" ", "-") or None,
        }
        return values | ({"label_names": self.classes} if self.classes else {})


def check_temperature(value: Any) -> float:
    """Return a temperature as a float, or say what is wrong with it.

    Args:
        value: The temperature.

    Raises:
        ValueError: If it is not a finite number above 0.
    """
    if not (_finite(value) and float(value) > 0):
        raise ValueError(
            f"temperature={value!r} must be a finite number above 0; 1.0 leaves logits as they "
            "are, and medzoo.fit_temperature finds the one that fits a model"
        )
    return float(value)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _exactly(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values if they are those of a class's fields, no more and no fewer."""
    names = {item.name for item in fields(cls)}
    if not isinstance(values, Mapping) or values.keys() != names:
        given = values.keys() if isinstance(values, Mapping) else set()
        raise ValueError(
            f"not a {cls.__name__}: missing {sorted(names - given)}, "
            f"unknown {sorted(map(str, given - names))}"
        )
    return dict(values)
