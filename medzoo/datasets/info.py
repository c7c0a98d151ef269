"""The description of a data set: task, classes, channels, sizes and licence."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from medzoo.errors import unknown_name

Task = Literal["multi-class", "binary-class", "ordinal-regression", "multi-label, binary-class"]
TASKS: tuple[Task, ...] = get_args(Task)
SplitName: TypeAlias = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)
DEFAULT_SIZE = 28
"""Height (= width) in pixels of MedMNIST's own images; it offers larger ones as well."""
ClassNames: TypeAlias = "Sequence[str | int] | Mapping[int, str] | Mapping[str, str]"
"""What is accepted as the names of classes; see `class_names`."""

_BETWEEN_WORDS = re.compile(r"[\W\d_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class DatasetInfo:
    """Everything that a model or a report needs to know about a data set, except its images.

    Attributes:
        name: Short name, as `load_dataset` takes it: ``"dermamnist"``.
        title: Name for display: ``"DermaMNIST"``.
        task: The task as MedMNIST names it. A binary data set has two classes, and models return
            two logits for it, as in the baselines of MedMNIST.
        classes: Class (or, if multi-label, label) names, in the order of the label values.
        channels: 1 for gray images, 3 for RGB.
        licence: Licence of the images; empty if unknown.
        description: What the images show and where they come from.
        sizes: Heights (= widths) in pixels in which the data set is available.
        n_samples: Number of images of each split.
        mean: Mean of each channel over the training split, images scaled to [0, 1];
            None until computed (`Dataset.mean_std`).
        std: Standard deviation of each channel, computed in the same way.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If the task is unknown, the number of classes is not possible for it, or
            another value does not fit.
    """

    name: str
    title: str
    task: Task
    classes: tuple[str, ...]
    channels: int
    licence: str
    description: str = ""
    sizes: tuple[int, ...] = ()
    n_samples: Mapping[str, int] = field(default_factory=dict, hash=False)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(
                f"classes={self.classes!r} contains a name twice; names must be unique"
            )
        fewest = 1 if self.multi_label else 2
        if len(self.classes) < fewest or (self.task == "binary-class" and len(self.classes) > 2):
            expected = "exactly 2" if self.task == "binary-class" else f"at least {fewest}"
            raise ValueError(
                f"{self.name}: a {self.task!r} data set needs {expected} classes, "
                f"got {self.classes!r}"
            )

    def _check_types(self) -> None:
        object.__setattr__(self, "classes", class_names(self.classes))
        for name in ("name", "title", "licence", "description"):
            if not isinstance(value := getattr(self, name), str):
                raise TypeError(f"{name}={value!r:.80} is a {type(value).__name__}, expected text")
        if "\0" in self.name or any("\0" in name for name in self.classes):
            raise ValueError(
                f"name={self.name!r} or classes={self.classes!r:.200} contains the character NUL, "
                "which no file can have in its name; remove it"
            )
        numbers = {"channels": [self.channels], "sizes": self.sizes}
        for name, values in numbers.items():
            if not all(_is_integer(value) and value >= 1 for value in values):
                raise ValueError(f"{name}={getattr(self, name)!r:.80} must be whole numbers from 1")
        if not isinstance(self.n_samples, Mapping):
            raise TypeError(f"n_samples={self.n_samples!r:.80} must map splits to numbers")
        for name in ("mean", "std"):
            if not ((value := getattr(self, name)) is None or _are_finite(value, self.channels)):
                raise ValueError(
                    f"{name}={value!r:.80} must be a finite number for each of the "
                    f"{self.channels} channels"
                )
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std={self.std!r} must be above 0")

    @property
    def num_classes(self) -> int:
        """Number of classes (labels, if multi-label), which is the number of logits."""
        return len(self.classes)

    @property
    def multi_label(self) -> bool:
        """Whether an image has any number of labels (sigmoid) instead of one class (softmax)."""
        return self.task == "multi-label, binary-class"

    @property
    def has_laterality(self) -> bool:
        """Whether class names contain left or right, so that mirroring changes the class."""
        return names_have_laterality(self.classes)

    def tag(self, size: int) -> str:
        """Return how medmnist names the data set in a size: ``"dermamnist_64"``.

        Checkpoints trained on images of that size have the same tag. 28 pixels have no suffix,
        and neither have data sets that MedMNIST does not offer in larger sizes.

        Args:
            size: Height (= width) of the images in pixels.
        """
        return f"{self.name}_{size}" if self._is_larger(size) else self.name

    def title_at(self, size: int) -> str:
        """Return the title with the size that `tag` names: ``"DermaMNIST, 64 px"``.

        Args:
            size: Height (= width) of the images in pixels.
        """
        return f"{self.title}, {size} px" if self._is_larger(size) else self.title

    def _is_larger(self, size: int) -> bool:
        return size != DEFAULT_SIZE and {size, DEFAULT_SIZE} <= set(self.sizes)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-safe values (tuples become lists)."""
        values = asdict(self)
        values["n_samples"] = dict(self.n_samples)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DatasetInfo:
        """Restore a description from the result of `to_dict`; unknown keys are ignored.

        Args:
            values: The fields by name; lists are converted to tuples.

        Raises:
            ValueError: If a required field is missing or invalid.
        """
        known = {f.name for f in fields(cls)}
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in values.items()
            if key in known
        }
        try:
            return cls(**given)
        except TypeError as error:
            raise ValueError(f"not a DatasetInfo: {dict(values)!r}; {error}") from error


def class_names(classes: object) -> tuple[str, ...]:
    """Return the names of classes, in the order of their numbers.

    Args:
        classes: Names in that order; or a mapping from each number to its name, as medmnist gives
            it (``{"0": "benign", "1": "malignant"}``, or with integers). Integers count as names.

    Raises:
        TypeError: If it is a single string, has no order (a set), or holds anything else.
        ValueError: If a mapping lacks a number from 0 on, or has other keys.
    """
    if isinstance(classes, Mapping):
        numbered = {_number_of(key): name for key, name in classes.items()}
        if sorted(numbered) != list(range(len(classes))):
            raise ValueError(
                f"classes={classes!r:.200} must map each of the numbers 0 to {len(classes) - 1} "
                "to a name"
            )
        return class_names([numbered[number] for number in range(len(numbered))])
    if isinstance(classes, str | bytes | Set) or not isinstance(classes, Iterable):
        what = "a single string" if isinstance(classes, str) else f"a {type(classes).__name__}"
        raise TypeError(
            f"classes={classes!r:.200} is {what}; give a list of names, in the order of the labels"
        )
    names = list(classes)
    for name in names:
        if not (isinstance(name, str) or _is_integer(name)):
            raise TypeError(f"classes={classes!r:.200}: {name!r:.80} is not a name; give strings")
    return tuple(str(name) for name in names)


def _number_of(key: object) -> int:
    """Return a key of a mapping of classes as a number, or -1 if it is not one."""
    text = str(key) if isinstance(key, str) or _is_integer(key) else ""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else -1


def _are_finite(values: Any, count: int) -> bool:
    try:
        return len(values) == count and all(map(math.isfinite, values))
    except (TypeError, OverflowError):
        return False


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and type(value) is not bool


def names_have_laterality(names: Iterable[str]) -> bool:
    """Return whether names of classes distinguish left from right.

    Args:
        names: The names, e.g. ``"kidney-left"`` or ``"leftKidney"``.
    """
    words = {word.lower() for name in names for word in _BETWEEN_WORDS.split(name)}
    return bool(words & {"left", "right"})


@cache
def _load_info_module() -> Any:
    # Loaded by file, because importing the package also imports pandas and scikit-learn, which
    # takes seconds.
    package = find_spec("medmnist")
    if package is None or not package.submodule_search_locations:
        raise ImportError("medzoo needs the package medmnist: pip install medmnist")
    path = Path(package.submodule_search_locations[0]) / "info.py"
    spec = spec_from_file_location("medzoo._medmnist_info", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def medmnist_info() -> Any:
    """Return the ``info`` module of the package medmnist (``INFO``, ``DEFAULT_ROOT``)."""
    return sys.modules.get("medmnist.info") or _load_info_module()


def list_datasets() -> list[str]:
    """Return the names of the 2D data sets of MedMNIST, in the order of the package medmnist."""
    entries = medmnist_info().INFO.items()
    return [name for name, entry in entries if not entry["python_class"].endswith("3D")]


def split_tag(tag: str) -> tuple[str, int]:
    """Return name and size of the data set that a tag means: the inverse of `DatasetInfo.tag`.

    Args:
        tag: ``"dermamnist_64"``; any other name comes back with 28 pixels.
    """
    name, _, digits = tag.rpartition("_")
    if name in list_datasets() and digits.isdigit():
        info = dataset_info(name)
        if info.tag(int(digits)) == tag != name:
            return name, int(digits)
    return tag, DEFAULT_SIZE


def dataset_info(name: str) -> DatasetInfo:
    """Return the description of a 2D data set of MedMNIST, as the package medmnist defines it.

    Args:
        name: One of `list_datasets`; case does not matter.

    Returns:
        The description, without mean and standard deviation, which require the images.

    Raises:
        ValueError: If there is no such data set; the message lists close matches.
    """
    known = list_datasets()
    key = str(name).lower()
    if key not in known:
        raise unknown_name("dataset", name, known)
    entry = medmnist_info().INFO[key]
    larger = [int(match[1]) for match in (re.fullmatch(r"MD5_(\d+)", k) for k in entry) if match]
    return DatasetInfo(
        name=key,
        title=entry["python_class"],
        task=entry["task"],
        classes=tuple(entry["label"][str(i)] for i in range(len(entry["label"]))),
        channels=entry["n_channels"],
        licence=entry["license"],
        description=entry["description"],
        sizes=(28, *sorted(larger)),
        n_samples=dict(entry["n_samples"]),
    )
