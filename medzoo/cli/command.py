"""Adding a command to the command line, and options that several commands have."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import medzoo
from medzoo.errors import WriteError, did_you_mean

Run = Callable[[argparse.Namespace], tuple[Any, str]]
"""A command: from its arguments to the values for ``--json`` and the text printed otherwise."""


class Commands:
    """The commands of a parser.

    Args:
        parser: The parser of the command line.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser
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

    def complete(self) -> None:
        """If the shell asks what can follow (Tab was pressed), answer, and end the program."""
        if "_ARGCOMPLETE" not in os.environ:
            return
        from argcomplete import autocomplete
        from argcomplete.completers import FilesCompleter

        def known_or_file(prefix: str, known: Sequence[str], **_: object) -> list[str]:
            return [*known, *FilesCompleter()(prefix)]

        models = medzoo.list_models() + medzoo.list_models(pretrained=True)
        names = {"model": models, "dataset": medzoo.list_datasets()}
        names |= {"teacher": models, "weights": models, "data": names["dataset"]}
        names["name"] = models + names["dataset"]
        for parser in self._commands.choices.values():
            for action in parser._actions:
                if known := names.get(action.dest):
                    vars(action)["completer"] = partial(known_or_file, known=known)
        autocomplete(self._parser)

    def check_names(self, argv: Sequence[str]) -> None:
        """End the program if the command or one of its options does not exist.

        argparse would do so without close matches, and would first ask for other arguments that
        are missing because of the typo.

        Args:
            argv: The arguments of the command line.
        """
        known = self._commands.choices
        name = next((word for word in argv if not word.startswith("-")), None)
        if name is None:
            return
        if name not in known:
            hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
            self._parser.error(f"unknown command {name!r}; {hint}")
        options = [*known[name]._option_string_actions]
        for word in argv[argv.index(name) + 1 :]:
            if word == "--":
                return
            given = word.partition("=")[0]
            # An option may be shortened to its start, and -1 is a number.
            if re.match("--?[a-zA-Z]", given) and not any(o.startswith(given) for o in options):
                hint = did_you_mean(given, options, cutoff=0.7) or f"see medzoo {name} --help"
                known[name].error(f"unknown option {given!r}; {hint}")


@contextmanager
def keeping_results(arguments: argparse.Namespace, what: str) -> Iterator[None]:
    """Note an error in a block that writes, so that what was computed is printed all the same.

    `medzoo.cli.main` prints the errors after the results, and the exit code is then 1.

    Args:
        arguments: The arguments of the command.
        what: What the block writes, for the message.
    """
    try:
        yield
    except Exception as error:  # whatever it is, it must not cost the results
        known = isinstance(error, WriteError)
        reason = str(error) or repr(error)
        arguments.failures.append(reason if known else f"cannot write {what}: {reason}")


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
