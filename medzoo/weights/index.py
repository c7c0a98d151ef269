"""The index of published weights: which exist, what they contain, how they were made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from medzoo.datasets import list_datasets
from medzoo.errors import WeightsError, did_you_mean
from medzoo.files import parse_json, regular_file, write_atomically
from medzoo.spec import ModelSpec
from medzoo.spec.checks import check_whole

INDEX = Path(str(resources.files("medzoo.weights").joinpath("index.json")))
"""The index that comes with the package."""


_BASE_NAME = re.compile(r"[\w-][\w.-]*")
_SHA256 = re.compile("[0-9a-f]{64}")
_TEXT = re.compile(r"\S+")
_MAX_NUMBER = 1 << 48


@dataclass(frozen=True)
class WeightsEntry:
    """One published checkpoint.

    Attributes:
        name: ``architecture.tag``, e.g. ``"advanced_cnn.dermamnist"``.
        file: Base name of the weights file.
        sha256: Of the file; checked before anything is read from it.
        bytes: Size of the file.
        spec: What the model is, as in the file's header.
        parameters: Number of parameters.
        data: Provenance of the training data: file, md5, whether it is the official file, title.
        recipe: The recipe it was trained with, as `medzoo.Recipe.to_dict` gives it.
        seed: Of the training run.
        metrics: Reports on the shipped file, by split, as `medzoo.Report.to_dict` gives them;
            empty for a backbone.
        seed_stats: Mean and standard deviation of test AUC and ACC over several seeds, if this
            is the run with the best validation AUC among them; None if unknown.
        teacher: Architecture, input size, data set and parameters of each member of the teacher;
            None if there was no teacher.
        high_res: Size and md5 of the larger images that were augmented instead of the data's own;
            None if there were none.
        hub: ``{"repo_id", "revision"}`` of the copy on the Hugging Face Hub, or None if it was
            not published there.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    spec: ModelSpec
    parameters: int
    data: Mapping[str, Any]
    recipe: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, Mapping[str, Any]]
    seed_stats: Mapping[str, Any] | None = None
    teacher: Sequence[Mapping[str, Any]] | None = None
    high_res: Mapping[str, Any] | None = None
    hub: Mapping[str, str] | None = None

    @property
    def architecture(self) -> str:
        """Name of the architecture."""
        return self.spec.architecture

    @property
    def tag(self) -> str:
        """Name of the weights among those of the same architecture."""
        return self.name.partition(".")[2]

    @property
    def dataset(self) -> str:
        """Name of the data set; the tag for a backbone that was trained on several."""
        return self.spec.dataset.name if self.spec.dataset else self.tag

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        return self.spec.licence

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"spec": self.spec.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WeightsEntry:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            TypeError: If a value is missing, unknown or of the wrong type.
            ValueError: If a value or the spec does not fit.
        """
        entry = cls(**{**values, "spec": ModelSpec.from_dict(values.get("spec", {}))})
        for name in ("bytes", "parameters", "seed"):
            check_whole(name, getattr(entry, name), 0, _MAX_NUMBER)
        for name, pattern, value in (
            ("file", _BASE_NAME, entry.file),
            ("sha256", _SHA256, entry.sha256),
            *((f"hub {name}", _TEXT, (entry.hub or {}).get(name)) for name in entry.hub or ()),
        ):
            if not (isinstance(value, str) and pattern.fullmatch(value)):
                raise ValueError(f"{name}={value!r:.80} must match {pattern.pattern}")
        for name in ("data", "recipe", "metrics"):
            if not isinstance(getattr(entry, name), Mapping):
                raise TypeError(f"{name}={getattr(entry, name)!r:.80} must be an object")
        return entry


@cache
def weights_index() -> Mapping[str, WeightsEntry]:
    """Return the entries of all published weights, by name."""
    return read_index(INDEX)


def read_index(path: str | Path) -> dict[str, WeightsEntry]:
    """Read an index file.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read or is not an index.
    """
    try:
        entries = parse_json(regular_file(path).read_text(encoding="utf-8"))
        return {name: WeightsEntry.from_dict({"name": name, **e}) for name, e in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} is not a readable index of weights ({error}); expected a file like "
            f"{INDEX}, which comes with medzoo"
        ) from error


def write_index(entries: Mapping[str, WeightsEntry], path: str | Path) -> Path:
    """Write an index file, atomically.

    Args:
        entries: All of its entries, by name.
        path: The file.

    Returns:
        The path.
    """
    values = {name: entries[name].to_dict() for name in sorted(entries)}
    for entry in values.values():
        del entry["name"]
    content = json.dumps(values, indent=2) + "\n"
    path = write_atomically(path, content.encode(), "the index of weights")
    weights_index.cache_clear()
    return path


def find_entry(architecture: str, tag: str) -> WeightsEntry:
    """Return the entry of a published checkpoint.

    Args:
        architecture: Name of the architecture.
        tag: Name of the data set (or other tag) it was trained on.

    Raises:
        WeightsError: If none was published; the message names close matches, or, for a data set
            without published weights, says how to train them.
    """
    name = f"{architecture}.{tag}"
    if name not in weights_index():
        # Names of the same architecture are alike anyway, so that only typos are closer than this.
        hint = did_you_mean(name, weights_index(), cutoff=0.85)
        if hint and tag not in list_datasets():
            raise WeightsError(f"no weights were published for {name!r}; {hint}")
        existing = ", ".join(weights_index()) or "none"
        raise WeightsError(
            f"no weights were published for {name!r}. Published: {existing}. To make them, run "
            f"`medzoo train {architecture} --dataset {tag}`; the file it writes is loaded by "
            'medzoo.create_model("path/to/file.safetensors") and can be shared as it is'
        )
    return weights_index()[name]
