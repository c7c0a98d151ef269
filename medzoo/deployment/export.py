"""`export`: write a model into a file that runs without medzoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from torch import Tensor, nn

from medzoo.datasets import Split
from medzoo.deployment.description import CompiledPrecision, Description
from medzoo.deployment.images import CALIBRATION_IMAGES, evenly_spaced, raw_images
from medzoo.deployment.onnx_graph import DEFAULT_OPSET, export_onnx, resolve
from medzoo.deployment.quantise import quantise, without_ood_scores
from medzoo.deployment.session import CompiledModel
from medzoo.deployment.torch_export import export_program, run_program
from medzoo.deployment.verify import check_agreement, largest_difference
from medzoo.errors import unknown_name
from medzoo.files import write_atomically
from medzoo.inference.output_check import example_images
from medzoo.spec import ModelSpec
from medzoo.transforms import prepare_batch

CHECKED_IMAGES = 64
"""Maximum number of images on which the file is compared with the model."""


@dataclass(frozen=True)
class Exported:
    """A file that `medzoo.export` wrote.

    Attributes:
        path: The file.
        precision: ``"float32"`` or ``"int8"``.
        opset: The version of ONNX's operators that it uses; None for a .pt2 file.
        difference: The largest absolute difference between a logit of the file and of the model,
            on the images of the check.
        bytes: Its size.
        model: The file, loaded again: a callable from normalised images (N, C, H, W) to logits
            (N, K).
    """

    path: Path
    precision: CompiledPrecision
    opset: int | None
    difference: float
    bytes: int
    model: Callable[[Tensor], Tensor] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return all but `model`, as JSON-safe values."""
        return {
            "path": str(self.path),
            "precision": self.precision,
            "opset": self.opset,
            "difference": self.difference,
            "bytes": self.bytes,
        }


def export(
    model: nn.Module,
    path: str | Path,
    *,
    opset: int | None = None,
    precision: CompiledPrecision = "float32",
    images: Split | Tensor | None = None,
    spec: ModelSpec | None = None,
) -> Exported:
    """Write a model into a file that runs without medzoo: ``.onnx``, or ``.pt2`` of `torch.export`.

    The file maps any number of normalised images to logits. It describes in JSON how to prepare
    images, and how to turn logits into probabilities of named classes: an .onnx file in its
    metadata, under ``"medzoo"``; a .pt2 file in its extra file ``"medzoo.json"``. If the model has
    an ``ood_detector``, .onnx files in float32 have a second output that says how unfamiliar an
    image is. The file is loaded again and compared with the model before it replaces an existing
    one.

    Args:
        model: A medzoo or timm classifier, or a `medzoo.Ensemble`, float32 and on the CPU; it is
            not changed.
        path: The file. Its suffix, ``.onnx`` or ``.pt2``, decides the format.
        opset: The version of ONNX's operators; 18 by default, which is also the lowest.
        precision: ``"float32"``, or for .onnx files ``"int8"``: weights and activations in 8-bit
            integers, as in `medzoo.compile`. That changes a few predictions.
        images: Representative images: a split, e.g. ``data.train``, or uint8 (N, C, H, W). They
            calibrate ``"int8"``, which needs them (512 are used), and the file is compared with
            the model on them (on 64); without them, on noise.
        spec: What the model is; needed only for one that does not say it itself.

    Returns:
        What was written, with the largest difference found. In float32 it is due to rounding.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` is missing, and the file is to be .onnx.
        TypeError: If an argument has the wrong type, or the model does not say what it is.
        ValueError: If an argument does not fit, the model cannot be exported, or the file does not
            compute what the model does: in float32, if a logit differs by more than 1e-4 (of the
            largest logit, if that is above 1).
        WriteError: If the file cannot be written.
    """
    path = Path(path)
    _check_format(path, opset, precision)
    model, description = resolve(model, spec)
    given = None if images is None else raw_images(images, "images", description)
    if precision == "int8" and given is None:
        raise ValueError("precision='int8' needs images to set its ranges; give images=data.train")
    if precision == "int8":
        description = without_ood_scores(description)
    batch = _batch(given, description)

    exported: Callable[[Tensor], Tensor]
    if path.suffix == ".pt2":
        content = export_program(model)
        exported = run_program(content)
    else:
        opset = DEFAULT_OPSET if opset is None else opset
        content = export_onnx(model, opset=opset, with_ood_scores=description.has_ood_scores)
        exported = CompiledModel(content)
    difference = check_agreement(model, exported, batch)
    if precision == "int8" and given is not None:
        calibration = evenly_spaced(given, CALIBRATION_IMAGES)
        content = quantise(content, description, calibration, portable=True)
        exported = CompiledModel(content)
        difference, _ = largest_difference(model, exported, batch)
    write_atomically(path, content, "the exported model")
    return Exported(path, precision, opset, difference, len(content), exported)


def _check_format(path: Path, opset: int | None, precision: CompiledPrecision) -> None:
    if path.suffix not in (".onnx", ".pt2"):
        raise ValueError(
            f"cannot infer the format of {str(path)!r}; name it *.onnx for ONNX, or *.pt2 for "
            "torch.export"
        )
    if precision not in get_args(CompiledPrecision):
        raise unknown_name("precision", precision, get_args(CompiledPrecision))
    if path.suffix == ".pt2" and (opset is not None or precision != "float32"):
        what = f"opset={opset!r}" if opset is not None else f"precision={precision!r}"
        raise ValueError(
            f"{what} is for ONNX, and {str(path)!r} is not; leave it out or name the file *.onnx"
        )


def _batch(given: Tensor | None, description: Description) -> Tensor:
    """Return the normalised images that file and model are compared on."""
    if given is None:
        return example_images(description.spec.input)
    return prepare_batch(evenly_spaced(given, CHECKED_IMAGES), description.spec.input)
