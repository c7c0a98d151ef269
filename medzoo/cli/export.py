"""``medzoo export``: write a model into a file, or a web page, that runs without medzoo."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import medzoo
from medzoo.cli.command import Commands, add_data_root_option
from medzoo.cli.model_data import add_model_data_options, inputs_of, load_model_data
from medzoo.cli.output.destination import check_outputs


def add(commands: Commands) -> None:
    """Add ``export``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "export",
        _export,
        "write a model as .onnx or .pt2, or a web page, for use without medzoo",
        "medzoo export efficientnet.dermamnist model.onnx\n"
        "  medzoo export --web page/ simple_cnn.pneumoniamnist simple_cnn.dermamnist",
    )
    sub.usage = "medzoo export [options] model out\n       medzoo export --web folder model ..."
    sub.add_argument("model", help="a checkpoint's name or a weights file")
    sub.add_argument("out", help="the file to write; .onnx or .pt2 decides the format")
    sub.add_argument("more", nargs="*", help=argparse.SUPPRESS)
    sub.add_argument(
        "--web",
        action="store_true",
        help="write a folder with a page that runs models in the browser; first the folder, then "
        "one or several models",
    )
    sub.add_argument("--runtime", help="with --web: a folder with onnxruntime-web, instead of npm")
    sub.add_argument(
        "--webgpu", action="store_true", help="with --web: may use a graphics card; 27 MB more"
    )
    sub.add_argument("--overwrite", action="store_true", help="with --web: replace an earlier page")
    sub.add_argument("--opset", type=int, help="version of ONNX's operators (18)")
    sub.add_argument(
        "--int8",
        action="store_true",
        help="8-bit integers, calibrated on the training split; includes --check",
    )
    sub.add_argument(
        "--check",
        action="store_true",
        help="score model and file on the validation split",
    )
    add_model_data_options(sub, "with --check: ")
    add_data_root_option(sub)


def _export(arguments: argparse.Namespace) -> tuple[Any, str]:
    if arguments.web:
        return _export_web(arguments)
    _refuse(arguments, ("runtime", "webgpu", "overwrite"), "needs --web")
    if arguments.more:
        raise ValueError(
            f"unexpected {' '.join(arguments.more)}; one model is written into one file, several "
            "into a page: medzoo export --web folder model ..."
        )
    check_outputs(
        [("the output", Path(arguments.out))], inputs_of(arguments), suffixes=(".onnx", ".pt2")
    )
    model = medzoo.create_model(arguments.model, pretrained=True)
    given = arguments.dataset or arguments.data or arguments.group or arguments.exclude
    scores = arguments.int8 or arguments.check or given
    data = load_model_data(arguments, model) if scores else None
    exported = medzoo.export(
        model,
        arguments.out,
        opset=arguments.opset,
        precision="int8" if arguments.int8 else "float32",
        images=data.train if data else None,
    )
    values = exported.to_dict()
    form = f"opset {exported.opset}" if exported.opset else "torch.export"
    lines = [
        f"{exported.path}: {exported.precision}, {form}, {exported.bytes / 1e6:.1f} MB; "
        f"logits differ from the model's by at most {exported.difference:.1e}"
    ]
    if data:
        spec = medzoo.spec_of(model)
        for name, one in (("model", model), ("file", exported.model)):
            report = medzoo.evaluate(one, data.val, spec=spec, device="cpu", resamples=0)
            values[name] = {"val_acc": report.acc, "val_auc": report.auc}
            lines.append(
                f"{name:5}  ACC {report.acc:.4f}  AUC {report.auc:.4f}  {report.title}, val"
            )
    return values, "\n".join(lines)


_FOR_FILES = ("opset", "int8", "check", "dataset", "data", "group", "exclude")


def _export_web(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Write a page; the folder comes first, so that any number of models can follow."""
    from medzoo.web import export_web

    _refuse(arguments, _FOR_FILES, "is not for --web")
    exported = export_web(
        [arguments.out, *arguments.more],
        arguments.model,
        runtime=arguments.runtime,
        webgpu=arguments.webgpu,
        overwrite=arguments.overwrite,
    )
    lines = [f"{exported.folder}: a page of {exported.bytes / 1e6:.1f} MB"]
    lines += [
        f"{model['name']}: {model['precision']}, {model['bytes'] / 1e6:.1f} MB; probabilities "
        f"differ from the model's by at most {model['difference']:.1e}"
        for model in exported.models
    ]
    lines.append(f"to look at it: python -m http.server --directory {arguments.model}")
    return exported.to_dict(), "\n".join(lines)


def _refuse(arguments: argparse.Namespace, options: tuple[str, ...], why: str) -> None:
    given = next((option for option in options if getattr(arguments, option)), None)
    if given:
        raise ValueError(f"--{given} {why}; leave it out")
