"""Whether a run can work at all, found out before an hour of training instead of after it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medzoo.datasets import Dataset


def check_logits(model: nn.Module, data: Dataset, device: torch.device) -> None:
    """Run one image through the model, so that a wrong head is an error now and not later.

    Args:
        model: The model, on `device`; left in evaluation mode.
        data: What it is to be trained on.
        device: Where to run it.

    Raises:
        ValueError: If the model cannot take such an image, or gives other than K logits.
    """
    info = data.info
    images = torch.zeros(1, info.channels, data.size, data.size, device=device)
    advice = "make it with medzoo.create_model(..., dataset=data)"
    try:
        with torch.inference_mode():
            logits = model.eval()(images)
    except RuntimeError as error:
        raise ValueError(
            f"the model cannot take an image of {data.title}, {tuple(images.shape[1:])} "
            f"({error}); {advice}"
        ) from error
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != (1, info.num_classes):
        raise ValueError(
            f"the model maps an image of {data.title} to {found}, expected logits of "
            f"shape (1, {info.num_classes}); {advice}"
        )


def check_compiler(device: torch.device) -> None:
    """Compile a trifle, so that a missing compiler is an error now, and one that says what to do.

    Args:
        device: Where the compiled network is to run.

    Raises:
        ValueError: If `torch.compile` does not work here.
    """
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(8, device=device))
    except Exception as error:  # whatever the many tools behind it raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"compile=True does not work on this machine's {device.type} ({lines[0]:.200}); "
            "torch.compile needs a C++ compiler (e.g. apt install g++), on CUDA also Triton. "
            "Install what is missing, or leave compile out"
        ) from error
