"""From a PyTorch model to the bytes of a .pt2 file, the format of `torch.export`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from medzoo.deployment.description import METADATA_FILE
from medzoo.deployment.onnx_graph import quiet, traceable


def export_program(model: nn.Module) -> bytes:
    """Write a classifier in evaluation mode as a program of PyTorch operations.

    The program takes any number of images (N, C, H, W) and gives logits (N, K). C, H and W are
    those of the model's spec. The model itself is not changed.

    Args:
        model: A medzoo or timm model, float32 and on the CPU.

    Returns:
        The .pt2 file, with a `Description` in its extra file ``medzoo.json``.

    Raises:
        TypeError: If it is not a module, or does not say what it is.
        ValueError: If the model has no classifier, is not on the CPU or not in float32, or cannot
            be traced.
    """
    with traceable(model) as (description, example), quiet():
        try:
            program = torch.export.export(
                model, (example,), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
            )
        except Exception as error:  # the tracer raises many types, from private modules
            raise ValueError(
                f"{description.spec.architecture or type(model).__name__} cannot be traced by "
                f"torch.export: {error}"
            ) from error
        for module in program.graph_module.modules():
            if isinstance(module, torch.fx.GraphModule):
                for node in module.graph.nodes:  # traces name files and folders of this machine
                    node.meta.pop("stack_trace", None)
        file = io.BytesIO()
        description = replace(description, has_ood_scores=False)  # a program gives one tensor
        text = json.dumps(description.to_dict(), indent=2)
        torch.export.save(program, file, extra_files={METADATA_FILE: text})
        return file.getvalue()


def run_program(content: bytes) -> Callable[[Tensor], Tensor]:
    """Load what `export_program` has just written.

    Do not use it for files of unknown origin: PyTorch unpickles whatever a file contains.

    Args:
        content: The .pt2 file.

    Returns:
        A function from normalised images (N, C, H, W) to logits (N, K).
    """
    with quiet():
        module = torch.export.load(io.BytesIO(content)).module()

    def run(images: Tensor) -> Tensor:
        logits: Tensor = module(images)
        return logits

    return run
