"""Where a model's weights came from: the file, its sha256, and how they were trained."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medzoo.files import sha256_of
from medzoo.weights.file import read_config, read_content
from medzoo.weights.find import locate_named
from medzoo.weights.header import WeightsConfig
from medzoo.weights.index import WeightsEntry, weights_index


@dataclass(frozen=True)
class WeightsOrigin:
    """Where a model's weights came from.

    Attributes:
        sha256: Of the file.
        entry: Its entry in the index of published weights; None if it is not one of them.
        config: What the file says about itself; None for published weights, whose entry says it,
            and for exported files.
    """

    sha256: str
    entry: WeightsEntry | None = None
    config: WeightsConfig | None = None

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The recipe, including the seed; empty if it is not known."""
        if self.entry:
            return self.entry.recipe
        known = self.config.training.get("recipe") if self.config else None
        return known if isinstance(known, Mapping) else {}


def weights_origin(source: str | os.PathLike[str]) -> WeightsOrigin:
    """Return where the weights that a name or file stands for came from.

    Args:
        source: A published checkpoint, a weights file, an ``hf-hub:`` repository or an .onnx file.

    Raises:
        WeightsError: If it is a weights file that cannot be found or read.
    """
    name = os.fspath(source)
    if name in weights_index():
        entry = weights_index()[name]
        return WeightsOrigin(entry.sha256, entry)
    path = locate_named(name)
    if path is None:
        return WeightsOrigin(sha256_of(name))
    content = read_content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if known := next((one for one in weights_index().values() if one.sha256 == sha256), None):
        return WeightsOrigin(sha256, known)
    return WeightsOrigin(sha256, config=read_config(path, content=content))
