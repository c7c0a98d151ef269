"""``medzoo predict``: classify images."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medzoo
from medzoo.cli.command import Commands, add_device_option, add_tta_option, keeping_results
from medzoo.cli.output.destination import check_outputs
from medzoo.cli.output.growing_csv import GrowingCsv
from medzoo.cli.output.prediction_columns import PredictionColumns
from medzoo.cli.output.prediction_summary import PredictionSummary
from medzoo.escape import for_display, for_spreadsheet

if TYPE_CHECKING:
    from medzoo.prediction import Failure, Prediction
    from medzoo.prediction.predict import ModelSource

_LONGEST = 240  # bytes of an image's name that the name of its overlay begins with
_UNMARKED = "unfamiliar images are not marked: the model has no out-of-distribution detector"
_ROWS = 1024  # files after which the table is written


def add(commands: Commands) -> None:
    """Add ``predict``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "predict",
        _predict,
        "classify image files",
        "medzoo predict advanced_cnn.dermamnist a.png scans/ 'more/**/*.dcm' --csv out.csv",
    )
    sub.add_argument("model", help="a checkpoint's name, a weights file or an exported .onnx file")
    sub.add_argument("images", nargs="+", help="image files, folders, or patterns in quotes")
    sub.add_argument("--top-k", type=int, help="only the most probable classes")
    sub.add_argument("--threshold", type=float, help="of a label or the second class (0.5)")
    sub.add_argument(
        "--min-confidence", type=float, help="no answer if less confident than this (from 0 to 1)"
    )
    sub.add_argument(
        "--abstain-above",
        type=float,
        metavar="RISK",
        help="no answer if the risk is above this (from 0 to 1), for calibrated models",
    )
    sub.add_argument("--csv", metavar="FILE", help="write a row for each file, and print a summary")
    sub.add_argument("--resume", action="store_true", help="skip files that are in --csv already")
    sub.add_argument(
        "--explain",
        metavar="OUT",
        help="write a heat map of the regions that support the prediction: an image file, or a "
        "folder for several images",
    )
    add_device_option(sub)
    add_tta_option(sub)


def _predict(arguments: argparse.Namespace) -> tuple[Any, str]:
    # Imported here, so that other commands start quickly.
    from PIL import Image

    from medzoo.deployment import load_model
    from medzoo.inference.ood_scores import has_ood_scores
    from medzoo.prediction import iter_predictions
    from medzoo.prediction.sources import expand

    if arguments.resume and not arguments.csv:
        raise ValueError("--resume goes on with a table; say which, with --csv FILE")
    paths = [str(source.image) for source in expand(arguments.images)]
    overlays = _overlays(arguments.explain, paths) if arguments.explain else {}
    outputs = [("--csv", Path(arguments.csv))] if arguments.csv else []
    outputs += [("--explain", path) for path in overlays.values()]
    check_outputs(outputs, [arguments.model, *arguments.images, *paths] if outputs else [])
    model = load_model(arguments.model)
    if overlays:
        # Fail now, on a blank image, and not after all predictions: the model may not be
        # supported, captum not be installed, or the file's suffix be unknown.
        blank = medzoo.explain(model, Image.new("RGB", (32, 32)))
        blank.encoded(next(iter(overlays.values())))
    classes = model.spec.class_names
    columns = PredictionColumns(
        classes,
        sets=model.spec.conformal is not None,
        abstains=(arguments.min_confidence, arguments.abstain_above) != (None, None),
        scored=has_ood_scores(model),
        risks=model.spec.selective is not None,
    )
    growing, known = None, 0
    if arguments.csv:
        growing = GrowingCsv(arguments.csv, columns.header(), resume=arguments.resume)
        known = len(growing.first_cells)
        paths = [path for path in paths if for_spreadsheet(path) not in growing.first_cells]
    summary, what = PredictionSummary(classes), "the predictions"
    kept: list[Prediction | Failure] = []  # beside a table only what it lacks, or what JSON needs
    outcomes = iter_predictions(
        model,
        iter(paths),
        top_k=arguments.top_k,
        threshold=arguments.threshold,
        min_confidence=arguments.min_confidence,
        abstain_above=arguments.abstain_above,
        on_error="skip",
        device=arguments.device,
        tta=arguments.tta,
    )
    while some := list(islice(outcomes, _ROWS)):
        summary.add(some)
        if overlays and not _done(arguments, "the heat maps", _explain, model, some, overlays):
            overlays = {}
        rows = (columns.row(_values(one)) for one in some)
        if growing and not _done(arguments, what, growing.add, rows, what):
            growing = None
        if growing is None or arguments.json:
            kept += some
    if summary.failed and not summary.predicted:
        raise medzoo.DatasetError(summary.first_failures[0].error)
    if summary.failed:
        failed = f"{summary.failed} of {len(paths)} images could not be read"
        print(f"medzoo: {failed}", file=sys.stderr)
    if growing:
        text = summary.text(arguments.csv)
        text = f"in the table already: {known:,}\n{text}" if arguments.resume else text
    else:
        text = "\n".join(f"{for_display(str(one.source))}\n{one}" for one in kept)
    if not columns.scored:
        text += f"\n\n{_UNMARKED}"
    return list(map(_values, kept)), text


def _done(
    arguments: argparse.Namespace, what: str, write: Callable[..., object], *values: object
) -> bool:
    """Write something, and return whether that was possible; see `keeping_results`."""
    failures = len(arguments.failures)
    with keeping_results(arguments, what):
        write(*values)
    return len(arguments.failures) == failures


def _explain(
    model: ModelSource, outcomes: Iterable[Prediction | Failure], overlays: Mapping[str, Path]
) -> None:
    """Write the heat maps of the images that could be read."""
    from medzoo.prediction import Failure

    for one in outcomes:
        if not isinstance(one, Failure):
            medzoo.explain(model, source := str(one.source)).save(overlays[source])


def _overlays(given: str, paths: list[str]) -> dict[str, Path]:
    """Return the path of each image's overlay; in a folder, they keep the images' folders.

    None is outside of the folder, and no two are the same, whatever the images are called.
    """
    out = Path(given)
    if out.suffix and not out.is_dir() and not given.endswith(("/", os.sep)):
        if len(paths) > 1:
            raise ValueError(f"--explain {out} is one file for {len(paths)} images; give a folder")
        return {paths[0]: out}
    # Without "..", but with the names of links.
    absolute = {path: Path(os.path.abspath(path)) for path in paths}  # noqa: PTH100
    common = os.path.commonpath([path.parent for path in absolute.values()])
    overlays: dict[str, Path] = {}
    taken: set[str] = set()
    for path, image in absolute.items():
        name = os.fsencode(image.name)[:_LONGEST].decode(errors="ignore")
        start = out / image.parent.relative_to(common) / name
        numbered = (Path(f"{start}{end}.png") for end in chain([""], map("-{}".format, count(2))))
        overlays[path] = next(one for one in numbered if str(one).casefold() not in taken)
        taken.add(str(overlays[path]).casefold())
    return overlays


def _values(outcome: Prediction | Failure) -> dict[str, Any]:
    values = outcome.to_dict()
    return {"image": values.pop("source"), **values}
