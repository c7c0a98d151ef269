"""Adding a command to the command line, and options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Run = Callable[[argparse.Namespace], tuple[Any, str]]
"""A command: from its arguments to the values for ``--json`` and the text printed otherwise."""


class Commands:
    """The commands of a parser.

    Args:
        parser: The parser of the command line.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(title="commands", required=True, metavar="command")

    def add(self, name: str, run: Run, text: str, example: str) -> argparse.ArgumentParser:
        """Add a command, and return its parser, to which its own arguments are added.

        Args:
            name: What the user types.
            run: The function that runs it.
            text: A one-line summary, in lower case and without a full stop.
            example: A complete command line.
        """
        parser: argparse.ArgumentParser = self._commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(run=run)
        parser.add_argument("--json", action="store_true", help="print JSON")
        return parser


def add_tta_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--tta``.

    Args:
        parser: The parser of a command.
    """
    parser.add_argument(
        "--tta",
        default="none",
        help="views of each image to average: none, flip (2) or dihedral (8) (%(default)s)",
    )


def add_data_options(parser: argparse.ArgumentParser, size: int | None) -> None:
    """Add ``--size``, ``--data-root`` and ``--device``.

    Args:
        parser: The parser of a command.
        size: The default size; None for the model's.
    """
    parser.add_argument("--size", type=int, default=size, help="image height (28, 64, 128, 224)")
    add_data_root_option(parser)
    add_device_option(parser)


def add_data_root_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--data-root``.

    Args:
        parser: The parser of a command.
    """
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``.

    Args:
        parser: The parser of a command.
    """
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (%(default)s)")
