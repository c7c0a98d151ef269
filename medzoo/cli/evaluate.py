"""``medzoo evaluate``: score a model on a split."""

from __future__ import annotations

import argparse
from typing import Any

import medzoo
from medzoo import distributed
from medzoo.cli.command import Commands, add_data_options, add_tta_option


def add(commands: Commands) -> None:
    """Add ``evaluate``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "evaluate",
        _evaluate,
        "score a model on a split",
        "medzoo evaluate advanced_cnn.dermamnist",
    )
    sub.add_argument("model", help="a checkpoint's name or a weights file")
    sub.add_argument("--dataset", help="by default what the model was trained on")
    sub.add_argument("--split", choices=("train", "val", "test"), default="test")
    sub.add_argument("--seed", type=int, default=0, help="of the bootstrap (%(default)s)")
    add_tta_option(sub)
    add_data_options(sub, size=None)


def _evaluate(arguments: argparse.Namespace) -> tuple[Any, str]:
    model = medzoo.create_model(arguments.model, pretrained=True)
    name = arguments.dataset or (model.dataset.name if model.dataset else None)
    if name is None:
        raise ValueError(f"{arguments.model} does not say its data set; give --dataset")
    size = arguments.size or model.pretrained_cfg["input_size"][-1]
    data = medzoo.load_dataset(name, size=size, root=arguments.data_root)
    device = distributed.device_of_process(arguments.device)
    with distributed.process_group(device):
        report = medzoo.evaluate(
            model,
            data.splits[arguments.split],
            device=device,
            tta=arguments.tta,
            seed=arguments.seed,
            sharded=True,
        )
    return report.to_dict(), str(report)
