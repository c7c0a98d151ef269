"""``medzoo evaluate`` and ``medzoo compare``: score models on a split."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import medzoo
from medzoo import distributed
from medzoo.cli.command import Commands, add_data_options, add_tta_option, keeping_results
from medzoo.cli.model_data import add_model_data_options, inputs_of, load_model_data
from medzoo.cli.output.destination import check_outputs


def add(commands: Commands) -> None:
    """Add ``evaluate`` and ``compare``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "evaluate",
        _evaluate,
        "score a model on a split",
        "medzoo evaluate advanced_cnn.dermamnist",
    )
    sub.add_argument("model", help="a checkpoint's name, a weights file or an exported .onnx file")
    add_model_data_options(sub)
    sub.add_argument("--split", choices=("train", "val", "test"), default="test")
    threshold = sub.add_mutually_exclusive_group()
    threshold.add_argument(
        "--threshold",
        type=float,
        help="probability above which the second class, or a label, is decided for (0.5)",
    )
    for name, other in (("sensitivity", "specificity"), ("specificity", "sensitivity")):
        threshold.add_argument(
            f"--min-{name}",
            type=float,
            metavar="SHARE",
            help=f"choose the threshold on the validation split: the best {other} with at least "
            f"this {name}",
        )
    sub.add_argument(
        "--groups",
        type=Path,
        metavar="FILE",
        help="also score groups of images: a .csv table with the columns split, index and the one "
        "named by --group-column",
    )
    sub.add_argument("--group-column", metavar="NAME", help="column of --groups, e.g. site or sex")
    sub.add_argument(
        "--robustness",
        action="store_true",
        help="also evaluate on images that are damaged with the corruptions of MedMNIST-C",
    )
    sub.add_argument(
        "--like",
        metavar="DATASET",
        help="whose corruptions --robustness uses: for your own data, the MedMNIST data set with "
        "the most similar images",
    )
    sub.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (%(default)s)")
    sub.add_argument(
        "--plots",
        type=Path,
        metavar="DIR",
        help="write confusion matrix, scores per class, reliability diagram, risk-coverage, ROC "
        "and precision-recall curves into this folder",
    )
    sub.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write one .html file with scores, plots, errors and provenance, to hand on",
    )
    sub.add_argument(
        "--explain", action="store_true", help="with --report: heat maps of the errors"
    )
    add_tta_option(sub)
    add_data_options(sub, size=None)

    both = commands.add(
        "compare",
        _compare,
        "test whether models differ by more than chance",
        "medzoo compare simple_cnn.breastmnist advanced_cnn.breastmnist",
    )
    both.add_argument("models", nargs="+", help="two or more, as for evaluate")
    add_model_data_options(both)
    both.add_argument("--split", choices=("train", "val", "test"), default="test")
    both.add_argument(
        "--scores", nargs="+", default=["auc", "acc"], metavar="SCORE", help="(auc acc)"
    )
    both.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (%(default)s)")
    add_tta_option(both)
    add_data_options(both, size=None)


def _evaluate(arguments: argparse.Namespace) -> tuple[Any, str]:
    from PIL import Image

    from medzoo.datasets.resplit import read_column
    from medzoo.deployment import load_model
    from medzoo.evaluation import plot_report
    from medzoo.evaluation.model_record import model_record
    from medzoo.weights import warn_if_trained_on

    _check_destinations(arguments)
    if bool(arguments.groups) != bool(arguments.group_column):
        raise ValueError("--groups and --group-column need each other; give both")
    if arguments.like and not arguments.robustness:
        raise ValueError("--like is for --robustness; give both")
    model = load_model(arguments.model)
    explain = partial(medzoo.explain, model) if arguments.explain else None
    if explain is not None:  # finds out before the work whether it is supported and installed
        explain(Image.new("RGB", (32, 32)))
    data = load_model_data(arguments, model, arguments.size)
    groups = None
    if arguments.groups:
        groups = read_column(arguments.groups, data, arguments.group_column, arguments.split)
    warn_if_trained_on(arguments.model, data)
    device = distributed.device_of_process(arguments.device)
    with distributed.process_group(device):
        options: dict[str, Any] = {"device": device, "tta": arguments.tta, "sharded": True}
        threshold, note = arguments.threshold, ""
        minima = arguments.min_sensitivity, arguments.min_specificity
        if minima != (None, None):
            names = ("min_sensitivity", "min_specificity")
            wanted = dict(zip(names, minima, strict=True))
            threshold = medzoo.choose_threshold(model, data.val, **wanted, **options)
            note = f"{threshold}\n\n"
        split = getattr(data, arguments.split)
        robustness = None
        if arguments.robustness:  # first, because it refuses own data without --like
            robustness = medzoo.evaluate_robustness(
                model,
                split,
                like=arguments.like,
                threshold=threshold,
                seed=arguments.seed,
                **options,
            )
        report = medzoo.evaluate(
            model,
            split,
            threshold=threshold,
            groups=groups,
            seed=arguments.seed,
            **options,
        )
    report = replace(report, model=model_record(arguments.model, model.spec))
    values, text = report.to_dict(), note + str(report)
    if robustness is not None:
        values["robustness"] = robustness.to_dict()
        text += f"\n\nOn damaged images:\n{robustness}"
    if arguments.plots and distributed.rank() == 0:
        with keeping_results(arguments, f"the plots into {arguments.plots}"):
            text += "\n\nplots:\n" + "\n".join(map(str, plot_report(report, arguments.plots)))
    if arguments.report and distributed.rank() == 0:
        with keeping_results(arguments, f"the report {arguments.report}"):
            report.to_html(arguments.report, images=split, explain=explain, robustness=robustness)
            text += f"\n\nreport: {arguments.report}"
    return values, text


def _check_destinations(arguments: argparse.Namespace) -> None:
    from medzoo.evaluation.figures.figure import require_matplotlib
    from medzoo.evaluation.report_plots import plot_paths

    if arguments.explain and not arguments.report:
        raise ValueError("--explain needs --report, the file that shows the heat maps")
    if arguments.plots:
        plots = [("--plots", path) for path in plot_paths(arguments.plots)]
        check_outputs(plots, inputs_of(arguments))
    if arguments.report:
        pages = [("--report", arguments.report)]
        check_outputs(pages, inputs_of(arguments), suffixes=(".html", ".htm"))
    if arguments.plots or arguments.report:
        require_matplotlib()


def _compare(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.deployment import load_model
    from medzoo.weights import warn_if_trained_on

    arguments.model = arguments.models[0]  # whose data set is the default
    models = {name: load_model(name) for name in arguments.models}
    data = load_model_data(arguments, models[arguments.model], arguments.size)
    for name in models:
        warn_if_trained_on(name, data)
    found = medzoo.compare(
        models,
        getattr(data, arguments.split),
        scores=arguments.scores,
        seed=arguments.seed,
        device=arguments.device,
        tta=arguments.tta,
    )
    return found.to_dict(), str(found)
