"""What an exported file says about itself: what it is, how to feed it, what its logits mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from medzoo.datasets import DatasetInfo
from medzoo.optional import import_optional
from medzoo.transforms import TransformConfig, transform_config
from medzoo.weights.temperature import temperature_of

CompiledPrecision = Literal["float32", "int8"]

METADATA_KEY = "medzoo"
"""The entry of an ONNX file's metadata that holds its `Description`, as JSON."""
METADATA_FILE = "medzoo.json"
"""The extra file of a .pt2 file that holds its `Description`, as JSON."""
INPUT, OUTPUT = "images", "logits"
"""Names of the graph's input, float32 (N, C, H, W), and output, float32 (N, K)."""
_STEPS = [
    "make the image 8-bit, in this colour",
    "crop the centre to the shorter side",
    "resize to size x size by this interpolation, and round to 8 bits",
    "multiply by scale, subtract mean, divide by std, for each channel",
    "arrange as (N, channels, size, size)",
]


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
                f"{type(model).__name__} has no classifier, which compiled and exported models need; "
                "make one with medzoo.create_model(..., dataset=...) and without features_only"
            )
        dataset = getattr(model, "dataset", None)
        return cls(
            architecture=str(getattr(model, "architecture", "")),
            preparation=transform_config(model),
            num_classes=num_classes,
            # reset_classifier changes the logits, but not the data set.
            dataset=dataset
            if isinstance(dataset, DatasetInfo) and dataset.num_classes == num_classes
            else None,
            temperature=temperature_of(model),
        )

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return (self.preparation.channels, self.preparation.size, self.preparation.size)

    @property
    def classes(self) -> tuple[str, ...]:
        """The data set's classes; without one ``"0"``, ``"1"`` and so on, as in `medzoo.predict`."""
        return self.dataset.classes if self.dataset else tuple(map(str, range(self.num_classes)))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values, which tell those without medzoo how to use the model."""
        info, preparation = self.dataset, self.preparation
        return {
            "intended_use": "research and teaching; not for clinical use",
            "architecture": self.architecture,
            "precision": self.precision,
            "input": {"name": INPUT, "dtype": "float32", "shape": ["N", *self.input_size]},
            "preparation": {
                "steps": _STEPS,
                "colour": {1: "gray", 3: "RGB"}.get(preparation.channels),
                "interpolation": "bicubic, antialiased",
                "scale": 1 / 255,
                "channels": preparation.channels,
                "size": preparation.size,
                "mean": list(preparation.mean),
                "std": list(preparation.std),
            },
            "output": {
                "name": OUTPUT,
                "classes": list(self.classes),
                "task": info.task if info else None,
                "temperature": self.temperature,
                "activation": "sigmoid" if info and info.multi_label else "softmax",
                "probabilities": "activation(logits / temperature)",
            },
            "dataset": info.to_dict() if info else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Description:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.
        """
        given, output, dataset = values["preparation"], values["output"], values["dataset"]
        return cls(
            architecture=values["architecture"],
            preparation=TransformConfig(
                given["channels"], given["size"], tuple(given["mean"]), tuple(given["std"])
            ),
            num_classes=len(output["classes"]),
            dataset=DatasetInfo.from_dict(dataset) if dataset else None,
            precision=values["precision"],
            temperature=output["temperature"],
        )


def describe(content: bytes, description: Description) -> bytes:
    """Write a description into an ONNX file's metadata, in place of any other there.

    What the exporter notes at each node goes: it names files and folders of this machine.

    Args:
        content: The ONNX file.
        description: What it says from now on.

    Returns:
        The new file. Equal arguments give equal bytes.

    Raises:
        ImportError: If the package onnx is missing.
    """
    onnx = import_optional("onnx")
    model = onnx.load_model_from_string(content)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    text = json.dumps(description.to_dict(), indent=2)
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    return model.SerializeToString(deterministic=True)
