"""``medzoo predict``: classify images."""

from __future__ import annotations

import argparse
from typing import Any

import medzoo
from medzoo.cli.command import Commands, add_device_option, add_tta_option


def add(commands: Commands) -> None:
    """Add ``predict``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "predict",
        _predict,
        "classify image files",
        "medzoo predict advanced_cnn.dermamnist a.png b.png --top-k 3",
    )
    sub.add_argument("model", help="a checkpoint's name or a weights file")
    sub.add_argument("images", nargs="+", help="image files")
    sub.add_argument("--top-k", type=int, help="only the most probable classes")
    add_device_option(sub)
    add_tta_option(sub)


def _predict(arguments: argparse.Namespace) -> tuple[Any, str]:
    model = medzoo.create_model(arguments.model, pretrained=True)
    predictions = medzoo.predict(
        model,
        arguments.images,
        top_k=arguments.top_k,
        device=arguments.device,
        tta=arguments.tta,
    )
    values = [
        {"image": image} | prediction.to_dict()
        for image, prediction in zip(arguments.images, predictions, strict=True)
    ]
    blocks = [
        f"{image}\n{prediction}"
        for image, prediction in zip(arguments.images, predictions, strict=True)
    ]
    return values, "\n".join(blocks)
