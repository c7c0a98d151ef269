"""``medzoo calibrate``: fit temperature and prediction sets of a weights file to other data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

import medzoo
from medzoo.cli.command import Commands, add_data_options, keeping_results
from medzoo.cli.model_data import add_model_data_options, inputs_of, load_model_data
from medzoo.cli.output.destination import check_outputs
from medzoo.escape import for_display
from medzoo.spec.conformal import COVERAGE, ConformalMethod


def add(commands: Commands) -> None:
    """Add ``calibrate``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "calibrate",
        _calibrate,
        "fit a model's temperature and prediction sets, so that it says how sure it is",
        "medzoo calibrate model.safetensors --data images/ --output calibrated.safetensors",
    )
    sub.add_argument("model", help="a checkpoint's name or a weights file")
    add_model_data_options(sub)
    sub.add_argument(
        "--split",
        choices=("val", "test"),
        default="val",
        help="what it is fitted to: not what the model was trained on, and not what is to "
        "measure it (%(default)s)",
    )
    sub.add_argument(
        "--coverage",
        type=_coverage,
        default=COVERAGE,
        help="share of images whose class is in the prediction set, between 0 and 1; none for no "
        "sets (%(default)s)",
    )
    sub.add_argument(
        "--method", choices=get_args(ConformalMethod), default="lac", help="%(default)s by default"
    )
    sub.add_argument(
        "--class-conditional", action="store_true", help="the coverage is to hold for each class"
    )
    sub.add_argument(
        "--ood-detector",
        action="store_true",
        help="also fit what marks images of another kind, to the training and validation split",
    )
    sub.add_argument("--output", type=Path, required=True, help="the weights file to write")
    sub.add_argument("--overwrite", action="store_true", help="replace --output if it exists")
    add_data_options(sub, size=None)


def _coverage(text: str) -> float | None:
    try:
        return None if text == "none" else float(text)
    except ValueError:
        message = f"{text!r} is not a number between 0 and 1, or none"
        raise argparse.ArgumentTypeError(message) from None


def _calibrate(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.evaluation import calibrate
    from medzoo.models import architecture_of, load_file, save_weights
    from medzoo.weights import find_entry, locate_named, locate_weights, warn_if_trained_on

    check_outputs(
        [("--output", arguments.output)],
        inputs_of(arguments),
        suffixes=(".safetensors",),
        overwrite=arguments.overwrite,
    )
    path = locate_named(arguments.model)
    if path is None:
        architecture_of(arguments.model)  # says which names there are
        architecture, _, tag = arguments.model.partition(".")
        path = locate_weights(find_entry(architecture, tag))
    model, config = load_file(path)
    data = load_model_data(arguments, model, arguments.size)
    split = getattr(data, arguments.split)
    warn_if_trained_on(arguments.model, data)
    found = calibrate(
        model,
        split,
        coverage=arguments.coverage,
        method=arguments.method,
        class_conditional=arguments.class_conditional,
        device=arguments.device,
    )
    if arguments.ood_detector:
        model.ood_detector = medzoo.fit_ood_detector(model, data, device=arguments.device)
    training = dict(config.training)
    training["calibration"] = found.to_dict() | {
        "split": split.name,
        "data": split.provenance.to_dict(),
    }
    values: dict[str, Any] = {"data": split.title, **found.to_dict()}
    text = f"{for_display(split.title)}, {split.name}: {found}"
    with keeping_results(arguments, "the weights"):
        save_weights(model, arguments.output, training=training, precision=config.precision)
        values["weights"] = str(arguments.output)
        text += f"\n{arguments.output}"
    return values, text
