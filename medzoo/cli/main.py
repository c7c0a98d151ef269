"""Running the command line: from arguments to an exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence

import medzoo
from medzoo import distributed
from medzoo.cli import calibrate, evaluate, export, predict, preview, publish, train
from medzoo.cli import info as show
from medzoo.cli.command import Commands
from medzoo.errors import DatasetError, TrainingError, WeightsError

_EXAMPLES = """\
examples:
  medzoo models --pretrained
  medzoo info advanced_cnn.dermamnist
  medzoo predict advanced_cnn.dermamnist lesion.png
  medzoo preview my_images/
  medzoo train advanced_cnn --dataset dermamnist
  torchrun --nproc-per-node=2 -m medzoo train advanced_cnn --dataset dermamnist
  medzoo evaluate advanced_cnn.dermamnist
  medzoo export advanced_cnn.dermamnist model.onnx

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
    prints = distributed.rank() == 0  # under torchrun, one process does so for all
    if not prints:
        warnings.simplefilter("ignore")
    try:
        values, text = arguments.run(arguments)
        if prints:
            print(json.dumps(values, indent=2) if arguments.json else text, flush=True)
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe; nothing may be printed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DatasetError, TrainingError, WeightsError, ValueError, OSError, ImportError) as error:
        if not prints:
            # Most errors occur in all processes. Once process 0 has printed it and exited,
            # torchrun stops the others while they wait here. Otherwise they print it themselves.
            time.sleep(_PATIENCE)
        print(f"medzoo: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        if prints:
            print(f"medzoo: {interrupt or 'interrupted'}", file=sys.stderr)
        return 130
    return 0


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
    for module in (show, preview, train, calibrate, evaluate, predict, export, publish):
        module.add(commands)
    return parser, commands
