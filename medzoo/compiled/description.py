"""What an ONNX file of ours says about itself: what it is, how to feed it, what its logits mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import nn

from medzoo.compiled.extra import need
from medzoo.datasets import DatasetInfo
from medzoo.transforms import TransformConfig, transform_config
from medzoo.weights.temperature import temperature_of

CompiledPrecision = Literal["float32", "int8"]

METADATA_KEY = "medzoo"
"""The entry of an ONNX file's metadata that holds its `Description`, as JSON."""
INPUT, OUTPUT = "images", "logits"
"""Names of the graph's input, float32 (N, C, H, W), and output, float32 (N, K)."""


@dataclass(frozen=True)
class Description:
    """What is needed to use an exported model without the code that built it.

    Attributes:
        architecture: The name that built it; empty if unknown.
        preparation: Channels, size, mean and standard deviation of its input: 8-bit pixels are
            divided by 255, the mean is taken off, and the rest divided by the deviation.
        num_classes: Number of logits.
        dataset: The data set that names its classes, or None.
        precision: ``"float32"``, or ``"int8"`` if quantised.
        temperature: What its logits are divided by to become probabilities. The graph does not
            do that; it gives the model's own logits.
    """

    architecture: str
    preparation: TransformConfig
    num_classes: int
    dataset: DatasetInfo | None
    precision: CompiledPrecision = "float32"
    temperature: float = 1.0

    @classmethod
    def of(cls, model: nn.Module) -> Description:
        """Read the description off a model.

        Args:
            model: A model of medzoo's or timm's.

        Raises:
            TypeError: If the model says nothing about its input.
            ValueError: If its input is not square, it has no classifier, or its temperature is
                not finite or not above 0.
        """
        num_classes = int(getattr(model, "num_classes", 0) or 0)
        if not num_classes:
            raise ValueError(
                f"{type(model).__name__} has no classifier, and compiled models give logits; "
                "make one with medzoo.create_model(..., dataset=...) and without features_only"
            )
        dataset = getattr(model, "dataset", None)
        return cls(
            architecture=str(getattr(model, "architecture", "")),
            preparation=transform_config(model),
            num_classes=num_classes,
            dataset=dataset if isinstance(dataset, DatasetInfo) else None,
            temperature=temperature_of(model),
        )

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return (self.preparation.channels, self.preparation.size, self.preparation.size)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {
            "architecture": self.architecture,
            "preparation": {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(self.preparation).items()
            },
            "num_classes": self.num_classes,
            "dataset": self.dataset.to_dict() if self.dataset else None,
            "precision": self.precision,
            "temperature": self.temperature,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Description:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.
        """
        given, dataset = values["preparation"], values["dataset"]
        return cls(
            architecture=values["architecture"],
            preparation=TransformConfig(
                given["channels"], given["size"], tuple(given["mean"]), tuple(given["std"])
            ),
            num_classes=values["num_classes"],
            dataset=DatasetInfo.from_dict(dataset) if dataset else None,
            precision=values["precision"],
            temperature=values.get("temperature", 1.0),
        )


def describe(content: bytes, description: Description) -> bytes:
    """Write a description into an ONNX file's metadata, in place of any other there.

    Args:
        content: The ONNX file.
        description: What it says from now on.

    Returns:
        The new file. Equal arguments give equal bytes.

    Raises:
        ImportError: If the package onnx is missing.
    """
    onnx = need("onnx")
    model = onnx.load_model_from_string(content)
    del model.metadata_props[:]
    onnx.helper.set_model_props(
        model, {METADATA_KEY: json.dumps(description.to_dict(), sort_keys=True)}
    )
    return model.SerializeToString(deterministic=True)
