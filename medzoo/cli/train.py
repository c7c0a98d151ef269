"""``medzoo train``: train a model by a recipe."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import medzoo
from medzoo import distributed
from medzoo.cli.command import Commands, add_data_options
from medzoo.cli.model_data import add_training_data_options
from medzoo.errors import TrainingError, TrainingInterrupted


def add(commands: Commands) -> None:
    """Add ``train``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "train",
        _train,
        "train a model by a recipe",
        "medzoo train simple_cnn --dataset breastmnist --epochs 10",
    )
    sub.add_argument("model", help="architecture, or a checkpoint to start from")
    add_training_data_options(sub)
    sub.add_argument("--pretrained", action="store_true", help="start from published weights")
    sub.add_argument(
        "--recipe", help="a bundled name or a JSON file (default; with --pretrained: finetune)"
    )
    sub.add_argument("--epochs", type=int, help="instead of the recipe's")
    sub.add_argument("--batch-size", type=int, help="instead of the recipe's")
    sub.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    sub.add_argument("--seed", type=int, help="instead of the recipe's")
    sub.add_argument(
        "--teacher", nargs="+", metavar="NAME", help="checkpoints or weights files to learn from"
    )
    sub.add_argument("--distillation", type=float, help="share of the teacher in what is learnt")
    sub.add_argument(
        "--high-res", type=int, metavar="SIZE", help="make random changes, and teach, at this size"
    )
    sub.add_argument("--output", default="training_results", help="folder (%(default)s)")
    earlier = sub.add_mutually_exclusive_group()
    earlier.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    earlier.add_argument(
        "--overwrite", action="store_true", help="replace the last run instead of adding another"
    )
    sub.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events")
    sub.add_argument(
        "--no-ood-detector",
        action="store_true",
        help="do not fit what marks images of another kind",
    )
    sub.add_argument("--compile", action="store_true", help="compile the network (torch.compile)")
    add_data_options(sub, size=None)


def _train(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.models import architecture_of
    from medzoo.training import load_recipe

    architecture = architecture_of(arguments.model)  # before a data set is downloaded
    chosen = arguments.data or arguments.dataset
    where = {
        "root": arguments.data_root,
        "group": arguments.group,
        "exclude": arguments.exclude,
    }
    data = medzoo.load_dataset(chosen, size=arguments.size, **where)
    high_res = None
    if arguments.high_res:
        high_res = medzoo.load_dataset(chosen, size=arguments.high_res, **where)
    changes = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "learning_rate", "distillation", "seed")
        if getattr(arguments, name) is not None
    }
    backbone = arguments.model if arguments.pretrained else ""
    source = arguments.recipe or ("finetune" if backbone else "default")
    recipe = load_recipe(source, architecture, data, backbone, changes)
    output = Path(arguments.output) / data.info.name
    try:
        run = medzoo.train(
            architecture if backbone else arguments.model,
            data,
            recipe,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            output=output,
            teacher=medzoo.Ensemble(arguments.teacher) if arguments.teacher else None,
            high_res=high_res,
            device=arguments.device,
            tensorboard=arguments.tensorboard,
            compile=arguments.compile,
            ood_detector=not arguments.no_ood_detector,
        )
    except TrainingInterrupted as stopped:
        raise KeyboardInterrupt(f"{stopped.what}{_how_to_resume(arguments, stopped)}") from None
    if run.weights is None:
        raise TrainingError(
            "the model is trained, but its weights could not be written, as the warning says; "
            "repeat the command with --resume, which writes them, or choose another --output"
        )
    values = {
        "weights": str(run.weights),
        "data": data.title,
        "best_epoch": run.best_epoch,
        "val_auc": run.val_auc,
        "val_acc": run.val_acc,
        "calibration": run.calibration.to_dict(),
        "stopped": run.stopped,
        "recipe": recipe.to_dict(),
    }
    ended = f", {run.stopped}" if run.stopped else ""
    option = "--data" if arguments.data else "--dataset"
    root = ["--data-root", arguments.data_root] if arguments.data_root else []
    group = ["--group", arguments.group] if arguments.group is not None else []
    exclude = ["--exclude", *arguments.exclude] if arguments.exclude else []
    evaluate = shlex.join(
        ["medzoo", "evaluate", str(run.weights), option, str(chosen), *group, *root, *exclude]
    )
    text = (
        f"{arguments.model} on {data.title}: validation AUC {run.val_auc:.4f}, "
        f"ACC {run.val_acc:.4f} (epoch {run.best_epoch}{ended})\n"
        f"Calibrated on the validation split: {run.calibration}\n{run.weights}\n"
        f"Read the test split once, when all choices are made:\n  {evaluate}"
    )
    return values, text


def _how_to_resume(arguments: argparse.Namespace, stopped: TrainingInterrupted) -> str:
    if not stopped.resumable:
        return ", before there was anything to resume from"
    command = ["medzoo", *arguments.argv, *([] if arguments.resume else ["--resume"])]
    if distributed.is_torchrun():
        return f"; go on with torchrun ... -m {shlex.join(command)}"
    return f"; go on with:\n  {shlex.join(command)}"
