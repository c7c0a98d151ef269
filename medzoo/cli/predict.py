"""``medzoo predict``: classify images."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medzoo
from medzoo.cli.command import Commands, add_device_option, add_tta_option
from medzoo.cli.destination import check_destination
from medzoo.cli.table import table

if TYPE_CHECKING:
    from medzoo.prediction import Predictions

_SHOWN = 5  # files that could not be read, in the summary


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
    sub.add_argument("--threshold", type=float, help="for labels of multi-label models (0.5)")
    sub.add_argument("--csv", metavar="FILE", help="write a row for each file, and print a summary")
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
    from medzoo.files import write_atomically
    from medzoo.prediction.sources import expand

    paths = [str(source.image) for source in expand(arguments.images)]
    overlays = _overlays(arguments.explain, paths) if arguments.explain else {}
    if arguments.csv:
        check_destination("--csv", Path(arguments.csv))
    model = load_model(arguments.model)
    if overlays:
        # Fail now, on a blank image, and not after all predictions: the model may not be
        # supported, captum not be installed, or the file's suffix be unknown.
        blank = medzoo.explain(model, Image.new("RGB", (32, 32)))
        blank.encoded(next(iter(overlays.values())))
    with warnings.catch_warnings():
        # The output lists each skipped file.
        warnings.filterwarnings("ignore", message=r"\d+ of \d+ images were skipped")
        predictions = medzoo.predict(
            model,
            paths,
            top_k=arguments.top_k,
            threshold=arguments.threshold,
            on_error="skip",
            device=arguments.device,
            tta=arguments.tta,
        )
    values = [_values(outcome.to_dict()) for outcome in predictions.outcomes()]
    if arguments.csv:
        table = _table(values, model.spec.class_names)
        content = table.encode(errors="surrogateescape")
        write_atomically(arguments.csv, content, "the predictions")
    if not predictions:
        raise medzoo.DatasetError(predictions.failures[0].error)
    if predictions.failures:
        failed = f"{len(predictions.failures)} of {len(paths)} images could not be read"
        print(f"medzoo: {failed}", file=sys.stderr)
    if overlays:
        for prediction in predictions:
            source = str(prediction.source)
            medzoo.explain(model, source).save(overlays[source])
    blocks = [f"{outcome.source}\n{outcome}" for outcome in predictions.outcomes()]
    if arguments.csv:
        blocks = [_summary(predictions, model.spec.class_names, arguments.csv)]
    # File names need not be UTF-8, but printed text must be.
    text = "\n".join(blocks).encode(errors="surrogateescape").decode(errors="replace")
    return values, text


def _overlays(given: str, paths: list[str]) -> dict[str, Path]:
    """Return the path of each image's overlay; in a folder, they keep the images' folders."""
    out = Path(given)
    if out.suffix and not out.is_dir() and not given.endswith(("/", os.sep)):
        if len(paths) > 1:
            raise ValueError(f"--explain {out} is one file for {len(paths)} images; give a folder")
        check_destination("--explain", out)
        return {paths[0]: out}
    check_destination("--explain", out / "overlay.png")
    parents = {path: Path(path).absolute().parent for path in paths}
    common = os.path.commonpath(parents.values())
    return {
        path: out / parent.relative_to(common) / f"{Path(path).name}.png"
        for path, parent in parents.items()
    }


def _summary(predictions: Predictions, classes: Sequence[str], path: str) -> str:
    """Return how often each class is the answer, what could not be read, and where the table is."""
    labels = Counter(label for prediction in predictions for label in prediction.labels or [""])
    counts = [(name, labels[name]) for name in classes]
    if labels[""]:  # multi-label, and no label is above the threshold
        counts.append(("(none)", labels[""]))
    unread = [failure.source for failure in predictions.failures]
    lines = [f"images predicted: {len(predictions):,}; could not be read: {len(unread):,}"]
    lines += [table(("class", "images"), counts, numbers="images")]
    lines += ["", "could not be read:", *unread[:_SHOWN]] if unread else []
    if len(unread) > _SHOWN:
        lines.append(f"... and {len(unread) - _SHOWN:,} more; the table has all of them")
    return "\n".join([*lines, "", f"table: {path}"])


def _values(outcome: dict[str, Any]) -> dict[str, Any]:
    return {"image": outcome.pop("source"), **outcome}


def _table(outcomes: list[dict[str, Any]], classes: Sequence[str]) -> str:
    """Return a CSV table with one row per file; classes that ``--top-k`` left out are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", *classes, "error"])
    for outcome in outcomes:
        label, given = ";".join(outcome.get("labels", ())), outcome.get("probabilities", {})
        probabilities = [given.get(name, "") for name in classes]
        writer.writerow([outcome["image"], label, *probabilities, outcome.get("error", "")])
    return text.getvalue()
