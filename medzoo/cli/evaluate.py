"""``medzoo evaluate``: score a model on a split."""

from __future__ import annotations

import argparse
from pathlib import Path
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
    data = sub.add_mutually_exclusive_group()
    data.add_argument("--dataset", help="by default what the model was trained on")
    data.add_argument("--data", type=Path, help="your own: a folder, a .csv table or an .npz file")
    sub.add_argument("--split", choices=("train", "val", "test"), default="test")
    sub.add_argument("--seed", type=int, default=0, help="of the bootstrap (%(default)s)")
    add_tta_option(sub)
    add_data_options(sub, size=None)


def _evaluate(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.weights import warn_if_seen

    model = medzoo.create_model(arguments.model, pretrained=True)
    size = arguments.size or model.pretrained_cfg["input_size"][-1]
    data = _data(arguments, model.dataset, size)
    warn_if_seen(arguments.model, data)
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


def _data(
    arguments: argparse.Namespace, info: medzoo.DatasetInfo | None, size: int
) -> medzoo.Dataset:
    if arguments.data:
        # Names of folders or in a table have to be the model's classes, and take their order.
        task, classes = (info.task, info.classes) if info else (None, None)
        return medzoo.load_dataset(arguments.data, size=size, task=task, classes=classes)
    name = arguments.dataset or (info.name if info else None)
    if name is None or not (arguments.dataset or name in medzoo.list_datasets()):
        raise ValueError(
            f"{arguments.model} was trained on {name or 'data that it does not name'}; give --data "
            "or --dataset"
        )
    return medzoo.load_dataset(name, size=size, root=arguments.data_root)
