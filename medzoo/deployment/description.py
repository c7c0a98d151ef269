"""The description in an exported file: the model, how to prepare input, what logits mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from medzoo.errors import unknown_name
from medzoo.files import parse_json
from medzoo.inference.ood_scores import has_ood_scores
from medzoo.lazy import import_optional
from medzoo.spec import ModelSpec, spec_of

CompiledPrecision = Literal["float32", "int8"]

METADATA_KEY = "medzoo"
"""The entry of an ONNX file's metadata that holds its `Description`, as JSON."""
DIGEST_KEY = "medzoo_digest"
"""The entry of an ONNX file's metadata that holds the sha256 of everything else in the file."""
METADATA_FILE = "medzoo.json"
"""The extra file of a .pt2 file that holds its `Description`, as JSON."""
INPUT, OUTPUT = "images", "logits"
"""Names of the graph's input, float32 (N, C, H, W), and output, float32 (N, K)."""
OOD_SCORE = "ood_score"
"""Name of the second output, float32 (N,), of a model that recognises unfamiliar images."""
_STEPS = [
    "convert the image to 8 bits, in this colour mode",
    "crop the central square, whose side is the shorter side of the image",
    "resize to size x size by this interpolation, and round to 8 bits",
    "multiply by scale, subtract mean, divide by std, for each channel",
    "arrange as (N, channels, size, size)",
]
_OOD_RULE = {
    "name": OOD_SCORE,
    "unfamiliar": "above 1, the image is unlike those that the model was trained on, and its "
    "probabilities mean nothing",
}
_HEX = 64  # digits of a sha256
_ENTRY = b"\x0a%c%b\x12%c" % (len(DIGEST_KEY), DIGEST_KEY.encode(), _HEX)
# How the entry is encoded up to its digits: as field 14 of the file, metadata_props.
_BEFORE_DIGEST = b"\x72%c%b" % (len(_ENTRY) + _HEX, _ENTRY)
_WORDED = ("steps", "interpolation", "probabilities", "prediction_set")
"""Parts of a description that explain to people what to do."""


@dataclass(frozen=True)
class Description:
    """What is needed to use an exported model without the code that built it.

    Attributes:
        spec: What the model is. The graph gives raw logits, which its user divides by the
            temperature.
        precision: ``"float32"``, or ``"int8"`` if quantised.
        has_ood_scores: Whether the graph also says how unfamiliar an image is.
    """

    spec: ModelSpec
    precision: CompiledPrecision = "float32"
    has_ood_scores: bool = False

    @classmethod
    def of(cls, model: nn.Module, spec: ModelSpec | None = None) -> Description:
        """Return the description of a model.

        Args:
            model: A medzoo or timm model.
            spec: What the model is; needed only for one that does not say it itself.

        Raises:
            TypeError: If the model does not say what it is.
            ValueError: If it has no classifier, or its configuration does not fit.
        """
        spec = spec_of(model, spec)
        if not spec.num_classes:
            raise ValueError(
                f"{type(model).__name__} has no classifier, which compiled and exported models "
                "need; make one with medzoo.create_model(..., dataset=...) and without "
                "features_only"
            )
        return cls(spec, has_ood_scores=has_ood_scores(model))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values that explain how to use the model without medzoo.

        medzoo reads only the spec; the rest says the same in steps.
        """
        spec, expected = self.spec, self.spec.input
        return {
            "intended_use": "research and teaching; not for clinical use",
            "precision": self.precision,
            "input": {"name": INPUT, "dtype": "float32", "shape": ["N", *expected.shape]},
            "preparation": {
                "steps": _STEPS,
                "colour": {1: "gray", 3: "RGB"}.get(expected.channels),
                "interpolation": "bicubic, antialiased",
                "scale": 1 / 255,
                **expected.to_dict(),
            },
            "output": {
                "name": OUTPUT,
                "classes": list(spec.class_names),
                "task": spec.task,
                "temperature": spec.temperature,
                "activation": "sigmoid" if spec.multi_label else "softmax",
                "probabilities": "activation(logits / temperature)",
                **({"prediction_set": _set_rule(spec)} if spec.conformal else {}),
            },
            **({OOD_SCORE: _OOD_RULE} if self.has_ood_scores else {}),
            "spec": spec.to_dict(),
        }

    @classmethod
    def from_json(cls, text: str) -> Description:
        """Read what an exported file says.

        Args:
            text: The values as JSON.

        Raises:
            ValueError: If it is not JSON, the spec is missing, a value does not fit, or what is
                said twice differs.
        """
        values = parse_json(text)
        try:
            spec, precision = ModelSpec.from_dict(values["spec"]), values["precision"]
            for part in ("input", "preparation", "output"):
                if _numbers(values[part]) != (again := _numbers(cls(spec).to_dict()[part])):
                    raise ValueError(f"{part} contradicts the spec, which says {again}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"the description of the exported model cannot be read ({error}); export it again"
            ) from error
        if precision not in get_args(CompiledPrecision):
            raise unknown_name("precision", precision, get_args(CompiledPrecision))
        return cls(spec, precision, OOD_SCORE in values)

    def check_shapes(
        self, inputs: Sequence[tuple[str, Any]], outputs: Sequence[tuple[str, Any]]
    ) -> None:
        """Refuse a graph that does not take and give what is described.

        Args:
            inputs: Name and shape of each input; the number of images may be of any kind.
            outputs: Name and shape of each output.

        Raises:
            ValueError: If there are others.
        """
        expected = [(INPUT, [*self.spec.input.shape]), (OUTPUT, [self.spec.num_classes])]
        expected += [(OOD_SCORE, [])] * self.has_ood_scores
        found = [(name, list(shape)[1:]) for name, shape in (*inputs, *outputs)]
        if found != expected:
            raise ValueError(
                f"the graph maps {inputs} to {outputs}, but its description says {expected}; "
                "export it again"
            )


def _set_rule(spec: ModelSpec) -> str:
    """Return in words how a prediction set is made of probabilities."""
    assert spec.conformal is not None
    each = "its threshold" if len(spec.conformal.thresholds) > 1 else "the threshold"
    rule = {
        "lac": f"classes whose probability is at least {each}",
        "aps": "classes for which the sum of all larger probabilities is at most " + each,
    }[spec.conformal.method]
    always = "" if spec.multi_label else ", and the most probable class"
    return f"{rule}{always}; see spec.conformal"


def _numbers(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a part of a description says about the model; instructions may be reworded."""
    return {name: value for name, value in part.items() if name not in _WORDED}


def describe(content: bytes, description: Description) -> bytes:
    """Write a description, and a digest, into an ONNX file's metadata, instead of all others.

    The exporter's notes at each node are removed: they name files and folders of this machine.

    Args:
        content: The ONNX file.
        description: The description to write.

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
    return with_digest(model)


def with_digest(model: Any) -> bytes:
    """Return the content of an ONNX file, with its digest in the metadata.

    Args:
        model: The ``onnx.ModelProto``; a digest in its metadata is replaced.

    Returns:
        The file. Equal arguments give equal bytes.
    """
    for entry in [one for one in model.metadata_props if one.key == DIGEST_KEY]:
        model.metadata_props.remove(entry)
    content = model.SerializeToString(deterministic=True)
    return b"".join((content, _BEFORE_DIGEST, hashlib.sha256(content).hexdigest().encode()))


def check_digest(content: bytes) -> None:
    """Refuse an ONNX file whose content is not that of its digest.

    Args:
        content: The file. One without a digest, which another program or an earlier version of
            medzoo wrote, is not refused.

    Raises:
        ValueError: If it does not have the digest that it states.
    """
    entry = content.rfind(_BEFORE_DIGEST)
    if entry < 0:
        return
    start = entry + len(_BEFORE_DIGEST)
    rest = memoryview(content)
    digest = hashlib.sha256(rest[:entry])
    digest.update(rest[start + _HEX :])
    if digest.hexdigest().encode() != rest[start : start + _HEX]:
        raise ValueError(
            "its content does not have the digest that its metadata state: it is damaged, or "
            f"another program changed it (if you wanted that, remove the entry {DIGEST_KEY!r})"
        )
