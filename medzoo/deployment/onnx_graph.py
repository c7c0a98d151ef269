"""From a PyTorch model to the bytes of an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from medzoo.deployment.description import INPUT, OOD_SCORE, OUTPUT, Description, describe
from medzoo.errors import warn_caller
from medzoo.inference.ood_scores import WithScores, has_ood_scores
from medzoo.inference.output_check import example_images
from medzoo.lazy import import_optional
from medzoo.models import Specified
from medzoo.spec import ModelSpec, SpecCarrier, network_of

DEFAULT_OPSET = 18
"""The opset that PyTorch's exporter writes; it can convert to newer ones, not to older ones."""


def export_onnx(
    model: nn.Module, *, opset: int = DEFAULT_OPSET, with_ood_scores: bool = True
) -> bytes:
    """Write a classifier as an ONNX graph in float32, as it computes in evaluation mode.

    The graph takes any number of images: ``images`` (N, C, H, W) to ``logits`` (N, K). C, H and W
    are those of the model's spec. A second output, ``ood_score`` (N,), says how unfamiliar they
    are, if the model has a detector. The model itself is not changed.

    Args:
        model: A medzoo or timm model, float32 and on the CPU.
        opset: The version of ONNX's operators, at least 18.
        with_ood_scores: Whether the graph has the second output.

    Returns:
        The ONNX file, with a `Description` in its metadata.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` is missing.
        TypeError: If it is not a module, or does not say what it is.
        ValueError: If the model has no classifier, is not on the CPU or not in float32, or has an
            operation that ONNX lacks; or if PyTorch does not write this opset.
    """
    if isinstance(opset, bool) or not isinstance(opset, int) or opset < DEFAULT_OPSET:
        raise ValueError(f"opset={opset!r} must be a whole number, at least {DEFAULT_OPSET}")
    import_optional("onnx")
    import_optional("onnxscript")
    with traceable(model) as (description, example), quiet():
        scored = with_ood_scores and description.has_ood_scores
        description = replace(description, has_ood_scores=scored)
        try:
            program = torch.onnx.export(
                WithScores(model) if scored else model,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT, OOD_SCORE] if scored else [OUTPUT],
                opset_version=opset,
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise ValueError(
                f"{description.spec.architecture or type(model).__name__} cannot be written as "
                f"ONNX: {error}"
            ) from error
    assert program is not None  # only the older exporter returns None
    graph = program.model_proto
    written = next(one.version for one in graph.opset_import if one.domain in ("", "ai.onnx"))
    if written != opset:  # the exporter only warns
        raise ValueError(
            f"opset={opset} is unknown to this version of PyTorch, which wrote {written} instead; "
            f"give opset={written}"
        )
    return describe(graph.SerializeToString(), description)


@contextmanager
def traceable(model: nn.Module) -> Iterator[tuple[Description, Tensor]]:
    """Put a classifier into evaluation mode and turn gradients off, for an exporter to trace it.

    The model is run once before, to check that it gives logits. This also fills caches (e.g. in
    the transforms of an ensemble) with real tensors, before the tracer runs the model on tensors
    without values.

    Args:
        model: The model.

    Yields:
        Its description and two images.

    Raises:
        TypeError: If it is not a module, or does not say what it is.
        ValueError: If it cannot be exported.
    """
    description = check_exportable(model)
    example = example_images(description.spec.input)
    with in_evaluation_mode(model), torch.no_grad():
        logits = model(example)
        if not isinstance(logits, Tensor) or logits.shape != (2, description.spec.num_classes):
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"{type(model).__name__} gave {found} for two images, expected logits "
                f"(2, {description.spec.num_classes}); only classifiers can be compiled or exported"
            )
        yield description, example


def resolve(model: nn.Module, spec: ModelSpec | None) -> tuple[nn.Module, Description]:
    """Return what is exported when a caller gives a model and perhaps a spec.

    Args:
        model: A model, or one inside wrappers.
        spec: What the model is, or None if it says it itself.

    Returns:
        The network and its description.

    Raises:
        TypeError: If it is not a module, or does not say what it is.
        ValueError: If it cannot be exported; see `export_onnx`.
    """
    known = model.spec if isinstance(model, SpecCarrier) else None
    if spec is None or not isinstance(model, nn.Module) or spec == known:
        model = network_of(model)
    else:
        if known is not None and has_ood_scores(model):
            warn_caller(
                "unfamiliar images are not recognised by what is exported with another spec than "
                "the model's own; set model.spec instead"
            )
        model = Specified(model, spec)
    return model, check_exportable(model)


def check_exportable(model: nn.Module) -> Description:
    """Refuse what cannot be exported, before any work; see `export_onnx`.

    Args:
        model: The model.

    Returns:
        The description that the exported file will carry.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"cannot compile or export a {type(model).__name__}; give a model that "
            "medzoo.create_model made"
        )
    description = Description.of(model)
    for name, tensor in model.state_dict().items():
        if tensor.device.type != "cpu":
            raise ValueError(
                f"the model is on {tensor.device} ({name}), expected it on the CPU; "
                "give model.cpu()"
            )
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ValueError(
                f"the model's {name} is {tensor.dtype}, expected torch.float32; give model.float()"
            )
    return description


@contextmanager
def in_evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Keep a model in evaluation mode, then restore the mode of each submodule.

    Args:
        model: The model.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the logs and warnings of ONNX's tools; errors are still raised."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
