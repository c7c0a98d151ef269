"""The data that a command runs a trained model on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import medzoo

if TYPE_CHECKING:
    from medzoo.models import Classifier


def add_model_data_options(parser: argparse.ArgumentParser, purpose: str = "") -> None:
    """Add ``--dataset`` and ``--data``, of which only one can be given, and ``--group``.

    Args:
        parser: The parser of a command.
        purpose: What they are for; the start of their help.
    """
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        "--dataset", help=f"{purpose}a name or a file; by default what the model was trained on"
    )
    data.add_argument(
        "--data", type=Path, help=f"{purpose}your own: a folder, a .csv table or an .npz file"
    )
    add_group_option(parser)
    add_exclude_option(parser)


def add_training_data_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--dataset`` and ``--data``, of which one has to be given, ``--group``, ``--exclude``.

    Args:
        parser: The parser of a command that trains.
    """
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--dataset", help="a MedMNIST name")
    data.add_argument("--data", type=Path, help="your own: a folder, a .csv table or an .npz file")
    add_group_option(parser)
    add_exclude_option(parser)


def add_exclude_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--exclude``.

    Args:
        parser: The parser of a command with ``--data``.
    """
    parser.add_argument(
        "--exclude",
        nargs="+",
        default=(),
        metavar="PATTERN",
        help="leave these out of a folder of images, e.g. '*_mask.png' masks",
    )


def add_group_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--group``.

    Args:
        parser: The parser of a command with ``--data``.
    """
    parser.add_argument(
        "--group",
        metavar="COLUMN",
        help="column of a table with the patients or lesions, which are never in two splits; by "
        "default recognised by its name ('': none)",
    )


def inputs_of(arguments: argparse.Namespace) -> list[str | Path | None]:
    """Return the files and folders that a command reads, among names and what was not given.

    Args:
        arguments: The command's arguments, including those of `add_model_data_options`.
    """
    return [arguments.model, arguments.data, arguments.dataset]


def load_model_data(
    arguments: argparse.Namespace, model: Classifier, size: int | None = None
) -> medzoo.Dataset:
    """Load the given data, or by default the data that a model was trained on.

    Args:
        arguments: The command's arguments, including those of `add_model_data_options`.
        model: The model.
        size: Height and width of the images; by default the model's.

    Raises:
        ValueError: If no data is given and the model does not name its data set, or a group is
            given and the data is not a table.
        DatasetError: If the data cannot be found or read.
    """
    info, size = model.spec.dataset, size or model.spec.input.size
    chosen = arguments.data or arguments.dataset
    if chosen and str(chosen) not in medzoo.list_datasets() and Path(chosen).exists():
        # Names of folders or in a table must be the model's classes, and get the same order.
        task, classes = (info.task, info.classes) if info else (None, None)
        return medzoo.load_dataset(
            chosen,
            size=size,
            task=task,
            classes=classes,
            group=arguments.group,
            exclude=arguments.exclude,
        )
    name = chosen or (info.name if info else None)
    if name is None or not (chosen or name in medzoo.list_datasets()):
        raise ValueError(
            f"{arguments.model} was trained on {name or 'data that it does not name'}; give "
            "--data or --dataset"
        )
    return medzoo.load_dataset(
        name,
        size=size,
        root=arguments.data_root,
        group=arguments.group,
        exclude=arguments.exclude,
    )
