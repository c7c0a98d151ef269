"""``medzoo models``, ``datasets`` and ``info``: lists and descriptions."""

from __future__ import annotations

import argparse
from typing import Any

import medzoo
from medzoo.cli.command import Commands
from medzoo.errors import unknown_name


def add(commands: Commands) -> None:
    """Add ``models``, ``datasets`` and ``info``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add("models", _models, "list architectures or checkpoints", "medzoo models")
    sub.add_argument("--pretrained", action="store_true", help="list published checkpoints")

    commands.add("datasets", _datasets, "list MedMNIST's data sets", "medzoo datasets --json")

    sub = commands.add(
        "info",
        _info,
        "describe a model, checkpoint, weights file or data set",
        "medzoo info dermamnist",
    )
    sub.add_argument("name", help="e.g. simple_cnn, dermamnist, best.safetensors, hf-hub:org/name")


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
    from medzoo.weights import locate_named, read_config, weights_index

    name = arguments.name
    values: dict[str, Any]
    if path := locate_named(name):
        config = read_config(path)
        values = {**config.spec.to_dict(), "training": dict(config.training)}
    elif name in medzoo.list_datasets():
        values = medzoo.dataset_info(name).to_dict()
    elif name in medzoo.list_models(pretrained=True):
        values = weights_index()[name].to_dict()
    elif name in medzoo.list_models():
        model = medzoo.create_model(name)
        values = {
            "name": name,
            "summary": (type(model).__doc__ or "").splitlines()[0],
            "parameters": sum(p.numel() for p in model.parameters()),
            "stages": model.feature_info,
            "pretrained": [
                n for n in medzoo.list_models(pretrained=True) if n.startswith(f"{name}.")
            ],
        }
    else:
        known = medzoo.list_models() + medzoo.list_models(pretrained=True)
        raise unknown_name("model or data set", name, known + medzoo.list_datasets())
    return values, readable(values)


def readable(values: Any, indent: str = "") -> str:
    """Format nested values as indented lines; unknown values are left out.

    Args:
        values: Values by name, as they are printed by ``--json``.
        indent: What each line starts with.
    """
    lines = []
    for key, value in values.items():
        if value is None or value == "":
            continue
        if isinstance(value, list) and not any(isinstance(item, dict) for item in value):
            lines.append(f"{indent}{key}: {', '.join(map(str, value)) or 'none'}")
        elif isinstance(value, list):  # one row per item
            rows = ("; ".join(f"{k}: {v}" for k, v in row.items()) for row in value)
            lines += [f"{indent}{key}:", *(f"{indent}  {row}" for row in rows)]
        elif isinstance(value, dict) and value:
            lines.append(f"{indent}{key}:\n{readable(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {value}")
    return "\n".join(lines)
