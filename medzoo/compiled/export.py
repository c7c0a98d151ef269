"""From a PyTorch model to the bytes of an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from medzoo.compiled.description import INPUT, OUTPUT, Description, describe
from medzoo.compiled.extra import need


def export_onnx(model: nn.Module) -> bytes:
    """Write a classifier as an ONNX graph in float32, as it computes in evaluation mode.

    The graph takes any number of images: ``images`` (N, C, H, W) to ``logits`` (N, K). C, H and W
    are those of the model's configuration. The model itself is left as it was.

    Args:
        model: A model of medzoo's or timm's, float32 and on the CPU.

    Returns:
        The ONNX file, with a `Description` in its metadata.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` is missing.
        TypeError: If the model says nothing about its input.
        ValueError: If it is no model, has no classifier, is elsewhere or in another precision, or
            does something that ONNX has no words for.
    """
    description = check_exportable(model)
    need("onnx")
    need("onnxscript")
    example = example_images(description)
    with in_evaluation_mode(model), torch.no_grad(), quiet():
        logits = model(example)
        if not isinstance(logits, Tensor) or logits.shape != (2, description.num_classes):
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"{type(model).__name__} gave {found} for two images, expected logits "
                f"(2, {description.num_classes}); only classifiers can be compiled"
            )
        try:
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise ValueError(
                f"{description.architecture or type(model).__name__} cannot be written as ONNX: "
                f"{error}"
            ) from error
    assert program is not None  # only the older exporter gives nothing back
    return describe(program.model_proto.SerializeToString(), description)


def check_exportable(model: nn.Module) -> Description:
    """Refuse what cannot be exported, before any work; see `export_onnx`.

    Args:
        model: The model.

    Returns:
        What the exported model will say about itself.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"cannot compile a {type(model).__name__}; give a model that medzoo.create_model made"
        )
    description = Description.of(model)
    for name, tensor in model.state_dict().items():
        if tensor.device.type != "cpu":
            raise ValueError(
                f"the model is on {tensor.device} ({name}), but compiled models run on the CPU; "
                "give model.cpu()"
            )
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ValueError(
                f"the model's {name} is {tensor.dtype}, expected torch.float32; give model.float()"
            )
    return description


def example_images(description: Description) -> Tensor:
    """Return two images of noise as the model expects them, always the same.

    Args:
        description: What the model expects.
    """
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, *description.input_size, generator=generator)


@contextmanager
def in_evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, and put each submodule back into its own mode.

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
    """Silence what ONNX's tools say of their own insides; what fails raises all the same."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
