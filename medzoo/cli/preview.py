"""``medzoo preview``: look at a data set before training on it."""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medzoo
from medzoo.cli.command import Commands, add_data_root_option, keeping_results
from medzoo.cli.model_data import add_exclude_option, add_group_option
from medzoo.cli.output.destination import check_outputs
from medzoo.cli.output.table import table
from medzoo.escape import for_display

if TYPE_CHECKING:
    from medzoo.datasets import DatasetPreview


def add(commands: Commands) -> None:
    """Add ``preview``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "preview",
        _preview,
        "count the images of a data set, find copies and leaks, and draw a few images",
        "medzoo preview my_images/ --out my_images.png",
    )
    sub.add_argument("data", help="a folder, a .csv table, an .npz file, or a MedMNIST name")
    sub.add_argument(
        "--out",
        type=Path,
        default=Path("preview.png"),
        help="the picture, a .png file (%(default)s)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace the picture if it exists")
    sub.add_argument("--size", type=int, help="image height (28)")
    sub.add_argument(
        "--quick", action="store_true", help="find identical images only, not similar ones"
    )
    add_group_option(sub)
    add_exclude_option(sub)
    add_data_root_option(sub)


def _preview(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.datasets import preview

    check_outputs(
        [("--out", arguments.out)],
        [arguments.data],
        suffixes=(".png",),
        overwrite=arguments.overwrite,
    )
    data = medzoo.load_dataset(
        arguments.data,
        size=arguments.size,
        root=arguments.data_root,
        group=arguments.group,
        exclude=arguments.exclude,
    )
    found = preview(data, near_duplicates=not arguments.quick)
    first = next(iter(data.splits.values()))
    values, text = found.to_dict(), _text(found)
    with keeping_results(arguments, f"the picture {arguments.out}"):
        first.plot(arguments.out)
        values["picture"] = str(arguments.out)
        text += f"\npicture of the {first.name} split: {arguments.out}"
    return values, text


def _text(found: DatasetPreview) -> str:
    counts, title = found.counts, for_display(found.title)
    rows: list[tuple[object, ...]] = [
        (name, *(f"{counts[split][name]:,}" for split in counts))
        for name in next(iter(counts.values()))
    ]
    rows.append(("images", *(f"{count:,}" for count in found.images.values())))
    copies = ", ".join(f"{count:,} in {split}" for split, count in found.copies.items())
    shared = ", ".join(f"{count:,} in {a} and {b}" for (a, b), count in found.shared.items())
    leaks = "not searched (--quick)"
    if not found.shared:
        shared = leaks = "there is only one split"
    elif found.leakage:
        pairs = found.leakage.counts().items()
        leaks = ", ".join(f"{count:,} in {a} and {b}" for (a, b), count in pairs)
    empty = [
        f"no {split} images of {name!r}"
        for split in counts
        for name, count in counts[split].items()
        if not count
    ]
    return "\n".join(
        chain(
            [title, "", table(("class", *counts), rows, numbers=" ".join(counts)), ""],
            [f"copies within a split: {copies}"],
            [f"identical images in two splits: {shared}"],
            [f"pairs of near-duplicates in two splits: {leaks}"],
            [f"warning: {', '.join(empty)}"] if empty else [],
        )
    )
