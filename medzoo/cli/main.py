"""Running the command line: from arguments to an exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import TextIO

import medzoo
from medzoo import distributed
from medzoo.cli import (
    calibrate,
    evaluate,
    export,
    predict,
    preview,
    publish,
    search,
    serve,
    train,
)
from medzoo.cli import info as show
from medzoo.cli.command import Commands
from medzoo.errors import DatasetError, TrainingError, WeightsError, WriteError
from medzoo.escape import for_display
from medzoo.files import writing

_EXAMPLES = """\
examples:
  medzoo models --pretrained
  medzoo info advanced_cnn.dermamnist
  medzoo predict advanced_cnn.dermamnist lesion.png
  medzoo preview my_images/
  medzoo train advanced_cnn --dataset dermamnist
  torchrun --nproc-per-node=2 -m medzoo train advanced_cnn --dataset dermamnist
  medzoo search --data my_images/ --time 2h
  medzoo evaluate advanced_cnn.dermamnist
  medzoo export advanced_cnn.dermamnist model.onnx
  medzoo serve advanced_cnn.dermamnist

For research and teaching; not for clinical use.
"""

_PATIENCE = 5.0  # seconds for which processes other than the first delay an error message


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments, by default the process's.

    Returns:
        The exit code: 0 for success, 1 after an error with a one-line message, 2 for wrong
        arguments, 130 if the user interrupted it.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser, commands = create_parser()
    commands.complete()
    commands.check_names(argv)
    arguments = parser.parse_args(argv)
    arguments.argv = argv
    arguments.failures = []  # of outputs, where there are results all the same
    prints = distributed.rank() == 0  # under torchrun, one process does so for all
    if not prints:
        warnings.simplefilter("ignore")
    try:
        values, text = arguments.run(arguments)
        if prints:
            _print_result(json.dumps(values, indent=2) if arguments.json else text)
            for failure in arguments.failures:
                _print_error(failure)
        return int(bool(arguments.failures))
    except BrokenPipeError:  # its reader (head, less) has ended
        return 1
    except (DatasetError, TrainingError, WeightsError, ValueError, OSError, ImportError) as error:
        if not prints:
            # Most errors occur in all processes. Once process 0 has printed it and exited,
            # torchrun stops the others while they wait here. Otherwise they print it themselves.
            time.sleep(_PATIENCE)
        _print_error(error)
        return 1
    except MemoryError:
        _print_error("there is not enough memory; give smaller or fewer images")
        return 1
    except KeyboardInterrupt as interrupt:
        if prints:
            _print(f"medzoo: {str(interrupt) or 'interrupted'}", sys.stderr)
        return 130


def format_warning(message: Warning | str, *_: object) -> str:
    """Return a warning as one line, as the command prints errors.

    Args:
        message: The warning; Python gives more arguments, which do not matter to a user.
    """
    return f"medzoo: warning: {for_display(str(message))}\n"


def _print_result(text: str) -> None:
    try:
        with writing("standard output", "the result"):
            _print(text, sys.stdout)
    except WriteError as error:
        # What was not printed may not be printed when Python ends, either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error.__cause__, BrokenPipeError):
            raise error.__cause__ from None
        raise


def _print_error(error: Exception | str) -> None:
    _print(f"medzoo: error: {for_display(str(error))}", sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    """Print text whose lines may contain any name, whatever the terminal can show."""
    shown = "\n".join(map(for_display, text.split("\n")))
    encoding = stream.encoding or "utf-8"
    print(shown.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def create_parser() -> tuple[argparse.ArgumentParser, Commands]:
    """Return the parser of the command line, and its commands."""
    parser = argparse.ArgumentParser(
        prog="medzoo",
        description="The model zoo for small medical images.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"medzoo {medzoo.__version__}")
    commands = Commands(parser)
    for module in (
        show,
        preview,
        train,
        search,
        calibrate,
        evaluate,
        predict,
        export,
        serve,
        publish,
    ):
        module.add(commands)
    return parser, commands
