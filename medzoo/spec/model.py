"""What a model is: architecture, classes, input and calibration, as one typed object.

Everything that describes a model is made from it: weights files, exported files, the index of
published weights and timm's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from medzoo.datasets import TASKS, DatasetInfo, Task
from medzoo.datasets.info import names_have_laterality
from medzoo.errors import unknown_name
from medzoo.spec.checks import (
    MAX_CHANNELS,
    MAX_CLASSES,
    as_tuple,
    check_arguments,
    check_temperature,
    check_whole,
    exactly,
)
from medzoo.spec.conformal import ConformalSpec
from medzoo.spec.input import InputSpec
from medzoo.spec.selective import SelectiveSpec

if TYPE_CHECKING:
    from medzoo.datasets import Dataset, Split

_OPTIONAL: dict[str, type[ConformalSpec | SelectiveSpec]] = {
    "conformal": ConformalSpec,
    "selective": SelectiveSpec,
}
"""Fields that only calibrated models have, and that are not written otherwise."""


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
        conformal: How its prediction sets are made; None if it gives none. It was fitted to this
            model with this temperature.
        selective: How often it is wrong at most where it is confident; None if that is not known.
            As `conformal`, it was computed for this model with this temperature.

    Raises:
        TypeError: If a value has the wrong type.
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
    conformal: ConformalSpec | None = None
    selective: SelectiveSpec | None = None

    def __post_init__(self) -> None:
        self._check_types()
        info = self.dataset
        # What the data set says need not be said again, but must not be contradicted.
        if info is not None:
            object.__setattr__(self, "classes", self.classes or info.classes)
            object.__setattr__(self, "task", self.task or info.task)
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.num_classes == -1:
            object.__setattr__(self, "num_classes", len(self.classes))
        object.__setattr__(self, "model_args", check_arguments(self.model_args))
        object.__setattr__(self, "temperature", check_temperature(self.temperature))
        self._check()

    def _check_types(self) -> None:
        for name, kind in (
            ("architecture", str),
            ("licence", str),
            ("input", InputSpec),
            ("model_args", Mapping),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(
                    f"{name}={value!r:.80} is a {type(value).__name__}, expected {kind.__name__}"
                )
        if not (self.dataset is None or isinstance(self.dataset, DatasetInfo)):
            raise TypeError(
                f"dataset={self.dataset!r:.80} is a {type(self.dataset).__name__}, expected a "
                "DatasetInfo, e.g. medzoo.dataset_info('dermamnist'), or None"
            )
        for name, fitted in _OPTIONAL.items():
            value = getattr(self, name)
            if not (value is None or isinstance(value, fitted)):
                raise TypeError(
                    f"{name}={value!r:.80} is a {type(value).__name__}, expected a "
                    f"{fitted.__name__}, which medzoo.calibrate fits, or None"
                )
        if not all(isinstance(name, str) for name in as_tuple("classes", self.classes)):
            raise TypeError(f"classes={self.classes!r} must be names")

    def _check(self) -> None:
        check_whole("num_classes", self.num_classes, 0, MAX_CLASSES)
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes={self.classes!r} has a name twice; each class needs its own")
        if self.classes and len(self.classes) != self.num_classes:
            raise ValueError(
                f"num_classes={self.num_classes} contradicts the {len(self.classes)} classes "
                f"{self.classes!r}"
            )
        if self.task is not None and self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        if self.task == "binary-class" and self.num_classes not in (0, 2):
            raise ValueError(
                f"num_classes={self.num_classes} contradicts the task 'binary-class', which has 2"
            )
        info = self.dataset
        if info is not None and (info.classes, info.task) != (self.classes, self.task):
            raise ValueError(
                f"classes={self.classes!r} and task={self.task!r} contradict the data set "
                f"{info.title}, which has {info.classes!r} and {info.task!r}"
            )
        if (sets := self.conformal) is not None:
            if len(sets.thresholds) not in (1, self.num_classes) or not self.num_classes:
                raise ValueError(
                    f"conformal has {len(sets.thresholds)} thresholds, but the model has "
                    f"{self.num_classes} classes; expected one, or one per class"
                )
            if sets.method != "lac" and self.multi_label:
                raise ValueError(
                    f"method={sets.method!r} is for single-label tasks; multi-label ones have 'lac'"
                )

    @classmethod
    def for_data(cls, data: Dataset | Split | DatasetInfo, architecture: str = "") -> ModelSpec:
        """Return the spec of a model of a data set's images, in their size and normalisation.

        Args:
            data: What it was made for; see `InputSpec.for_data`.
            architecture: The name that builds it, if medzoo can build it.
        """
        info = data if isinstance(data, DatasetInfo) else data.info
        expected = InputSpec.for_data(data)
        info = replace(info, mean=expected.mean, std=expected.std)
        return cls(architecture, expected, dataset=info)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes; ``"0"``, ``"1"`` and so on if they have no names."""
        return self.classes or tuple(map(str, range(self.num_classes)))

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of labels (sigmoid), not one class (softmax)."""
        return self.task == "multi-label, binary-class"

    @property
    def has_laterality(self) -> bool:
        """Whether class names distinguish left from right, so that mirroring changes the class."""
        return names_have_laterality(self.classes)

    def with_num_classes(self, num_classes: int) -> ModelSpec:
        """Return the spec of the model with a new, untrained classifier.

        Args:
            num_classes: Number of logits. As many as before keep their names; others have none.
        """
        spec = self.uncalibrated()
        if num_classes == self.num_classes:
            return spec
        return replace(spec, num_classes=num_classes, classes=(), task=None, dataset=None)

    def uncalibrated(self) -> ModelSpec:
        """Return the spec without temperature, prediction sets and bounds of the risk."""
        return replace(self, temperature=1.0, conformal=None, selective=None)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; `conformal` and `selective` only if there are any."""
        values: dict[str, Any] = {
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
        for name in _OPTIONAL:
            if (fitted := getattr(self, name)) is not None:
                values[name] = fitted.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            TypeError: If a value has the wrong type.
            ValueError: If a value is missing, unknown, or does not fit.
        """
        if isinstance(values, Mapping):
            values = {**dict.fromkeys(_OPTIONAL), **values}
        given = exactly(cls, values)
        check_whole("num_classes", given["num_classes"], 0, MAX_CLASSES)
        if (dataset := given["dataset"]) is not None:
            dataset = DatasetInfo.from_dict(exactly(DatasetInfo, dataset))
            check_whole("dataset channels", dataset.channels, 1, MAX_CHANNELS)
        for name, kind in _OPTIONAL.items():
            if given[name] is not None:
                given[name] = kind.from_dict(given[name])
        expected = InputSpec.from_dict(given["input"])
        return cls(**given | {"input": expected, "dataset": dataset})

    def timm_config(self) -> dict[str, Any]:
        """Return input and classes as fields of timm's `PretrainedCfg`."""
        values: dict[str, Any] = {
            "input_size": self.input.shape,
            "mean": self.input.mean,
            "std": self.input.std,
            "num_classes": self.num_classes,
            "crop_pct": 1.0,
            "crop_mode": "center",
            "interpolation": "bicubic",
        }
        if self.licence:  # as the Hub spells it: cc-by-nc-4.0
            values["license"] = self.licence.lower().replace(" ", "-")
        if self.classes:
            values["label_names"] = self.classes
        return values
