"""The ``medzoo`` command: a thin face over the library's public functions."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import medzoo
from medzoo import distributed
from medzoo.errors import DatasetError, TrainingError, WeightsError, unknown_name

_EXAMPLES = """\
examples:
  medzoo models --pretrained
  medzoo info advanced_cnn.dermamnist
  medzoo predict advanced_cnn.dermamnist lesion.png
  medzoo train advanced_cnn --dataset dermamnist
  torchrun --nproc-per-node=2 -m medzoo train advanced_cnn --dataset dermamnist
  medzoo evaluate advanced_cnn.dermamnist

For research and teaching; not for clinical use.
"""

_PATIENCE = 5.0  # seconds for which processes other than the first keep an error to themselves


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments, by default the process's.

    Returns:
        The exit code: 0 if all went well, 1 after an error that one line explains, 2 if the
        arguments were wrong.
    """
    arguments = _parser().parse_args(argv)
    speaks = distributed.rank() == 0  # under torchrun, one process does so for all
    if not speaks:
        warnings.simplefilter("ignore")
    try:
        values, text = arguments.run(arguments)
        if speaks:
            print(json.dumps(values, indent=2) if arguments.json else text, flush=True)
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing may be printed on the way out either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DatasetError, TrainingError, WeightsError, ValueError, OSError) as error:
        if not speaks:
            # Most errors strike all processes. When process 0 has told of this one and ended,
            # torchrun ends the others while they wait here; else it is theirs to tell.
            time.sleep(_PATIENCE)
        print(f"medzoo: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if speaks:
            print("medzoo: interrupted", file=sys.stderr)
        return 130
    return 0


def _models(arguments: argparse.Namespace) -> tuple[Any, str]:
    names = medzoo.list_models(pretrained=arguments.pretrained)
    return names, "\n".join(names)


def _datasets(_: argparse.Namespace) -> tuple[Any, str]:
    infos = [medzoo.dataset_info(name) for name in medzoo.list_datasets()]
    lines = [
        f"{info.name:15} {info.task:26} {info.num_classes:2} classes  "
        f"{'RGB ' if info.channels == 3 else 'gray'}  {info.licence}"
        for info in infos
    ]
    return [info.to_dict() for info in infos], "\n".join(lines)


def _info(arguments: argparse.Namespace) -> tuple[Any, str]:
    name = arguments.name
    values: dict[str, Any]
    if name.endswith(".safetensors"):
        from medzoo.weights import read_config

        values = read_config(name).to_dict()
    elif name in medzoo.list_datasets():
        values = medzoo.dataset_info(name).to_dict()
    elif name in medzoo.list_models(pretrained=True):
        from medzoo.weights import weights_index

        values = weights_index()[name].to_dict()
    elif name in medzoo.list_models():
        model = medzoo.create_model(name)
        values = {
            "name": name,
            "summary": (type(model).__doc__ or "").splitlines()[0],
            "parameters": sum(p.numel() for p in model.parameters()),
            "stages": getattr(model, "feature_info", []),
            "pretrained": [
                n for n in medzoo.list_models(pretrained=True) if n.startswith(f"{name}.")
            ],
        }
    else:
        known = medzoo.list_models() + medzoo.list_models(pretrained=True)
        raise unknown_name("model or data set", name, known + medzoo.list_datasets())
    return values, _readable(values)


def _train(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.models import architecture_of
    from medzoo.training import load_recipe

    data = medzoo.load_dataset(arguments.dataset, size=arguments.size, root=arguments.data_root)
    changes = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "learning_rate", "seed")
        if getattr(arguments, name) is not None
    }
    recipe = load_recipe(arguments.recipe, architecture_of(arguments.model), data.info.name)
    recipe = recipe.with_changes(**changes)
    output = Path(arguments.output) / data.info.name
    run = medzoo.train(
        arguments.model,
        data,
        recipe,
        pretrained=arguments.pretrained,
        resume=arguments.resume,
        output=output,
        device=arguments.device,
        tensorboard=arguments.tensorboard,
        compile=arguments.compile,
    )
    values = {
        "weights": str(run.weights),
        "data": data.title,
        "best_epoch": run.best_epoch,
        "val_auc": run.val_auc,
        "val_acc": run.val_acc,
        "recipe": recipe.to_dict(),
    }
    text = (
        f"{arguments.model} on {data.title}: validation AUC {run.val_auc:.4f}, "
        f"ACC {run.val_acc:.4f} (epoch {run.best_epoch})\n{run.weights}\n"
        f"Read the test split once, when all choices are made:\n"
        f"  medzoo evaluate {run.weights} --dataset {arguments.dataset}"
    )
    return values, text


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


def _predict(arguments: argparse.Namespace) -> tuple[Any, str]:
    model = medzoo.create_model(arguments.model, pretrained=True)
    predictions = medzoo.predict(
        model,
        arguments.images,
        top_k=arguments.top_k,
        device=arguments.device,
        tta=arguments.tta,
    )
    values = [
        {"image": image} | prediction.to_dict()
        for image, prediction in zip(arguments.images, predictions, strict=True)
    ]
    blocks = [
        f"{image}\n{prediction}"
        for image, prediction in zip(arguments.images, predictions, strict=True)
    ]
    return values, "\n".join(blocks)


def _readable(values: Any, indent: str = "") -> str:
    """Lay nested values out as indented lines; leave out what is not known."""
    lines = []
    for key, value in values.items():
        if value is None or value == "":
            continue
        if isinstance(value, list) and not any(isinstance(item, dict) for item in value):
            lines.append(f"{indent}{key}: {', '.join(map(str, value)) or 'none'}")
        elif isinstance(value, dict) and value:
            lines.append(f"{indent}{key}:\n{_readable(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {value}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="medzoo",
        description="The model zoo for small medical images.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"medzoo {medzoo.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")

    def command(
        name: str, run: Callable[..., tuple[Any, str]], text: str, example: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=run)
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    sub = command("models", _models, "list architectures or checkpoints", "medzoo models")
    sub.add_argument("--pretrained", action="store_true", help="list published checkpoints")

    command("datasets", _datasets, "list MedMNIST's data sets", "medzoo datasets --json")

    sub = command(
        "info",
        _info,
        "describe a model, checkpoint, weights file or data set",
        "medzoo info dermamnist",
    )
    sub.add_argument("name")

    sub = command(
        "train",
        _train,
        "train a model by a recipe",
        "medzoo train simple_cnn --dataset breastmnist --epochs 10",
    )
    sub.add_argument("model", help="architecture, or a checkpoint to start from")
    sub.add_argument("--dataset", required=True, help="a MedMNIST name or an .npz file")
    sub.add_argument("--pretrained", action="store_true", help="start from published weights")
    sub.add_argument("--recipe", default="default", help="a bundled name or a JSON file")
    sub.add_argument("--epochs", type=int, help="instead of the recipe's")
    sub.add_argument("--batch-size", type=int, help="instead of the recipe's")
    sub.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    sub.add_argument("--seed", type=int, help="instead of the recipe's")
    sub.add_argument("--output", default="training_results", help="folder (%(default)s)")
    sub.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    sub.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events")
    sub.add_argument("--compile", action="store_true", help="compile the network (torch.compile)")
    _add_data_options(sub, size=28)

    sub = command(
        "evaluate",
        _evaluate,
        "score a model on a split",
        "medzoo evaluate advanced_cnn.dermamnist",
    )
    sub.add_argument("model", help="a checkpoint's name or a weights file")
    sub.add_argument("--dataset", help="by default what the model was trained on")
    sub.add_argument("--split", choices=("train", "val", "test"), default="test")
    sub.add_argument("--seed", type=int, default=0, help="of the bootstrap (%(default)s)")
    _add_tta_option(sub)
    _add_data_options(sub, size=None)

    sub = command(
        "predict",
        _predict,
        "classify image files",
        "medzoo predict advanced_cnn.dermamnist a.png b.png --top-k 3",
    )
    sub.add_argument("model", help="a checkpoint's name or a weights file")
    sub.add_argument("images", nargs="+", help="image files")
    sub.add_argument("--top-k", type=int, help="only the most probable classes")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (%(default)s)")
    _add_tta_option(sub)
    return parser


def _add_tta_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tta",
        default="none",
        help="views of each image to average: none, flip (2) or dihedral (8) (%(default)s)",
    )


def _add_data_options(parser: argparse.ArgumentParser, size: int | None) -> None:
    parser.add_argument("--size", type=int, default=size, help="image height (28, 64, 128, 224)")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (%(default)s)")


if __name__ == "__main__":
    sys.exit(main())
