"""``medzoo models``, ``datasets`` and ``info``: lists and descriptions."""

from __future__ import annotations

import argparse
import ast
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medzoo
from medzoo.cli.command import Commands, add_data_root_option
from medzoo.cli.output.table import card, table
from medzoo.errors import DatasetError, unknown_name
from medzoo.escape import for_display

if TYPE_CHECKING:
    from medzoo.deployment import CompiledModel
    from medzoo.weights import WeightsConfig, WeightsEntry

# Nothing here may import PyTorch, except to count what a model costs for --json, and to read .onnx
# files.

_SCORES = {"auc": "AUC", "acc": "ACC", "exact_match": "exact match", "balanced_acc": "balanced ACC"}
_NOT_CLINICAL = "for research and teaching; not for clinical use"


def add(commands: Commands) -> None:
    """Add ``models``, ``datasets`` and ``info``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "models", _models, "list architectures or checkpoints", "medzoo models --pretrained"
    )
    sub.add_argument("--pretrained", action="store_true", help="list published checkpoints")

    sub = commands.add("datasets", _datasets, "list MedMNIST's data sets", "medzoo datasets")
    add_data_root_option(sub)

    sub = commands.add(
        "info",
        _info,
        "describe a model, checkpoint, weights file, .onnx file or data set",
        "medzoo info dermamnist",
    )
    sub.add_argument("name", help="e.g. simple_cnn, dermamnist, best.safetensors, hf-hub:org/name")
    add_data_root_option(sub)


def _models(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.weights import provenance_of, weights_index

    if not arguments.pretrained:
        names = medzoo.list_models()
        return names, "\n".join(names)
    values: list[dict[str, Any]] = []
    for entry in weights_index().values():
        test = entry.metrics.get("test", {})
        values.append(
            {
                "name": entry.name,
                "data": test.get("title") or entry.dataset,
                "auc": test.get("auc"),
                "acc": test.get("acc"),
                "parameters": entry.parameters,
                "bytes": entry.bytes,
                "licence": entry.licence,
                "official": provenance_of(entry.data).official,
            }
        )
    rows = [
        (
            value["name"],
            "-" if value["auc"] is None else f"{value['auc']:.3f}",
            "-" if value["acc"] is None else f"{value['acc']:.3f}",
            f"{value['parameters'] / 1e6:.2f} M",
            f"{value['bytes'] / 1e6:.1f} MB",
            value["licence"],
            value["data"],
        )
        for value in values
    ]
    heads = ("name", "AUC", "ACC", "parameters", "file", "licence", "data")
    text = table(heads, rows, numbers="AUC ACC parameters file")
    return values, (
        f"{text}\n\nAUC and ACC: test split, as MedMNIST defines them. "
        "`medzoo info NAME` shows intervals. Not for clinical use."
    )


def _datasets(arguments: argparse.Namespace) -> tuple[Any, str]:
    infos = [medzoo.dataset_info(name) for name in medzoo.list_datasets()]
    found = {info.name: _on_disk(info.name, arguments.data_root) for info in infos}
    rows = [
        (
            info.name,
            info.task.partition(",")[0],
            info.num_classes,
            "RGB" if info.channels == 3 else "gray",
            *(f"{info.n_samples[split]:,}" for split in ("train", "val", "test")),
            info.licence,
            " ".join(map(str, found[info.name])) or "-",
        )
        for info in infos
    ]
    heads = ("name", "task", "classes", "colour", "train", "val", "test", "licence", "on disk (px)")
    text = table(heads, rows, numbers="classes train val test")
    values = [info.to_dict() | {"on_disk": list(found[info.name])} for info in infos]
    where = _data_folder(arguments.data_root)
    return values, f"{text}\n\nOn disk: in {where}. Others are downloaded when they are needed."


def _on_disk(name: str, root: str | None) -> tuple[int, ...]:
    from medzoo.datasets.source import sizes_on_disk

    try:
        return sizes_on_disk(name, root)
    except DatasetError:  # there is no data folder
        return ()


def _data_folder(root: str | None) -> str:
    from medzoo.datasets.source import data_root

    try:
        return str(data_root(root))
    except DatasetError as error:
        return f"no folder ({error})"


def _info(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.weights import locate_named, read_config, weights_index

    name, values = arguments.name, {}
    if path := locate_named(name):
        config = read_config(path)
        values = {**config.spec.to_dict(), "training": dict(config.training)}
        values |= _cost(name) if arguments.json else {}
        text = card(name, _file_facts(name, path, config))
    elif name.lower().endswith(".onnx"):
        from medzoo.deployment import CompiledModel, Description

        model = CompiledModel.from_file(name)
        values = Description(model.spec, model.precision).to_dict()
        text = card(name, _exported_facts(name, model))
    elif name in medzoo.list_datasets():
        values = medzoo.dataset_info(name).to_dict()
        values["on_disk"] = list(_on_disk(name, arguments.data_root))
        text = card(values["title"], _dataset_facts(values, _data_folder(arguments.data_root)))
    elif name in medzoo.list_models(pretrained=True):
        values = weights_index()[name].to_dict() | (_cost(name) if arguments.json else {})
        text = card(name, _checkpoint_facts(weights_index()[name]))
    elif name in medzoo.list_models():
        values = _describe_architecture(name) if arguments.json else {}
        text = card(name, _architecture_facts(name))
    elif Path(name).exists():
        what = "folder" if Path(name).is_dir() else "file"
        raise ValueError(
            f"{name!r} is a {what}, but neither a weights file (.safetensors) nor a model "
            f"(.onnx); to look at a data set: medzoo preview {shlex.quote(name)}"
        )
    else:
        known = medzoo.list_models() + medzoo.list_models(pretrained=True)
        raise unknown_name("model or data set", name, known + medzoo.list_datasets())
    return values, f"{text}\nEverything else: medzoo info {name} --json"


def _describe_architecture(name: str) -> dict[str, Any]:
    model = medzoo.create_model(name)
    return {
        "name": name,
        "summary": (type(model).__doc__ or "").splitlines()[0],
        **_cost(name),
        "stages": model.feature_info,
        "pretrained": _checkpoints(f"{name}."),
    }


def _cost(name: str) -> dict[str, Any]:
    from medzoo.models import model_cost

    return {"cost": model_cost(name).to_dict()}


def _architecture_facts(name: str) -> Iterator[tuple[str, str]]:
    source = resources.files("medzoo").joinpath(f"models/{name}.py").read_text(encoding="utf-8")
    summary = (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
    yield "what", f"an architecture. {summary}"
    yield "checkpoints", ", ".join(_checkpoints(f"{name}.")) or "none"
    yield "use", f'medzoo.create_model("{name}", dataset="dermamnist")'
    yield "", f"medzoo train {name} --dataset dermamnist"


def _checkpoints(part: str) -> list[str]:
    return [name for name in medzoo.list_models(pretrained=True) if part in name]


def _dataset_facts(values: Mapping[str, Any], folder: str) -> Iterator[tuple[str, str]]:
    from medzoo.weights import weights_index

    counts = values["n_samples"]
    name = values["name"]
    yield "what", values["description"]
    yield "task", values["task"]
    yield "classes", f"{len(values['classes'])}: {_joined(values['classes'])}"
    yield "images", ", ".join(f"{counts[split]:,} {split}" for split in ("train", "val", "test"))
    colour = "RGB" if values["channels"] == 3 else "gray"
    yield "size", f"{', '.join(map(str, values['sizes']))} pixels, {colour}"
    sizes = ", ".join(map(str, values["on_disk"]))
    yield "on disk", f"{sizes or 'none'} ({folder})"
    yield "licence", _licence(values["licence"])
    found = _checkpoints(f".{name}")
    yield "checkpoints", ", ".join(found) or "none"
    if found:
        tests = [weights_index()[one].metrics["test"] for one in found]
        yield "trained on", "; ".join(dict.fromkeys(test["title"] for test in tests))
    yield "use", f'medzoo.load_dataset("{name}")'


def _checkpoint_facts(entry: WeightsEntry) -> Iterator[tuple[str, str]]:
    size = f"{entry.parameters:,} parameters, {entry.bytes / 1e6:.1f} MB"
    yield "what", f"{entry.architecture}: {size}"
    test = entry.metrics.get("test", {})
    yield "data", test.get("title") or ", ".join(entry.data.get("sets", ()))
    yield from _spec_facts(entry.spec)
    if test:
        yield f"{test['split']} split", f"{test['n']:,} images, 95 % intervals"
        yield "", "\n".join(_scores(test))
    if stats := entry.seed_stats:
        scores = (
            f"{_SCORES[s]} {stats[s]['mean']:.3f} ± {stats[s]['sd']:.3f}"
            for s in _SCORES
            if s in stats
        )
        yield "training", f"{', '.join(scores)} over {len(stats['seeds'])} seeds"
    yield from _licence_and_use(entry.name, entry.licence, is_backbone=not entry.spec.num_classes)


def _file_facts(name: str, path: Path, config: WeightsConfig) -> Iterator[tuple[str, str]]:
    from medzoo.weights import provenance_of

    spec = config.spec
    yield "what", f"{spec.architecture}: weights file, {path.stat().st_size / 1e6:.1f} MB"
    title = spec.dataset.title_at(spec.input.size) if spec.dataset else "unknown"
    data = config.training.get("data")
    yield "data", provenance_of(data).mark(title) if data and spec.dataset else title
    yield from _spec_facts(spec)
    if config.validation:
        scores = (f"{name.upper()} {value:.3f}" for name, value in config.validation.items())
        yield "val split", ", ".join(scores)
    yield from _licence_and_use(name, spec.licence, is_backbone=not spec.num_classes)


def _exported_facts(name: str, model: CompiledModel) -> Iterator[tuple[str, str]]:
    spec, size = model.spec, f"{Path(name).stat().st_size / 1e6:.1f} MB"
    yield "what", f"{spec.architecture}: exported model, {model.precision}, {size}"
    yield "data", spec.dataset.title if spec.dataset else "unknown"
    yield from _spec_facts(spec)
    marked = "recognised" if model.has_ood_scores else "not recognised: exported without a detector"
    yield "unfamiliar", marked
    yield "licence", f"{_licence(spec.licence)}; {_NOT_CLINICAL}"
    yield "use", f'medzoo.predict("{name}", "image.png")'
    yield "", f"medzoo predict {name} image.png"


def _spec_facts(spec: medzoo.ModelSpec) -> Iterator[tuple[str, str]]:
    names = f": {_joined(spec.classes)}" if spec.classes else ""
    yield "classes", f"{spec.num_classes}{names}" if spec.num_classes else "none (a backbone)"
    colour = "RGB" if spec.input.channels == 3 else "gray"
    yield "images", f"{spec.input.size} x {spec.input.size} pixels, {colour}"


def _joined(names: Sequence[str]) -> str:
    return "; ".join(map(for_display, names))


def _scores(report: Mapping[str, Any]) -> Iterator[str]:
    for name, label in _SCORES.items():
        if report[name] is None or (name == "exact_match" and report[name] == report["acc"]):
            continue
        line = f"{label} {report[name]:.3f}"
        if interval := report["intervals"].get(name):
            line += f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        yield line


def _licence(licence: str) -> str:
    from medzoo.weights.licence import is_noncommercial

    return f"{licence or 'unknown'}{', no commercial use' if is_noncommercial(licence) else ''}"


def _licence_and_use(name: str, licence: str, is_backbone: bool) -> Iterator[tuple[str, str]]:
    yield "licence", f"{_licence(licence)}; {_NOT_CLINICAL}"
    if is_backbone:
        yield "use", f'medzoo.finetune("{name}", data)'
    else:
        yield "use", f'medzoo.create_model("{name}", pretrained=True)'
        yield "", f"medzoo predict {name} image.png"
