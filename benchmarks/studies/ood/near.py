"""Images of nearly the same kind: the same organ and technique, from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import skimage
import torch
from PIL import Image
from torch import Tensor

import medzoo
from benchmarks.reporting.format import markdown_table, percent
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.ood.images import sample
from benchmarks.studies.ood.measure import comparison, outputs
from benchmarks.studies.ood.measure import trials as all_trials
from benchmarks.studies.published.answers import one_thread
from benchmarks.studies.study import NamedTrial, Study
from medzoo.datasets.resplit import read_column
from medzoo.datasets.source import data_root
from medzoo.inference.ood import fit_gaussian
from medzoo.models import Classifier
from medzoo.weights import OODDetector

_MOST = 500  # images
_OWN = ("octmnist", "pneumoniamnist", "chestmnist", "retinamnist")
_XRAYS = {"pneumoniamnist": ("chestmnist", "adults"), "chestmnist": ("pneumoniamnist", "children")}
_KERMANY, _OTHER = "OCT2017", "Retinal OCT C8"
RESULTS_FILE = ResultsFile(RESULTS / "ood_near.json")


class Case(NamedTuple):
    """A kind of images, what they are compared with, and what scores them.

    Attributes:
        name: What the images are.
        images: The images, uint8 (N, C, H, W).
        known: Images of the model's own kind, to which the detector was not fitted.
        detector: The detector.
    """

    name: str
    images: Tensor
    known: Tensor
    detector: OODDetector


def trials() -> Sequence[NamedTrial]:
    """Return a trial per bundled model for which there are such images."""
    return [one for one in all_trials() if one.key.partition(".")[2].startswith(_OWN)]


@one_thread()
def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Measure the detector of a model on images of nearly the same kind.

    Args:
        trial: Names the model.
        source: The data sets.
    """
    model = medzoo.create_model(trial.key, pretrained=True)
    found = {}
    for case in _cases(model, source):
        known, scores = (
            case.detector.score(outputs(model, images).means)
            for images in (case.known, case.images)
        )
        measured = comparison(known, scores) | {"images": len(scores)}
        found[case.name] = measured | {"unfamiliar": (scores > 1).double().mean().item()}
    return {"cases": found}


def _cases(model: Classifier, source: Source) -> Iterator[Case]:
    info, detector = model.spec.dataset, model.ood_detector
    assert info is not None
    assert detector is not None
    data = source.load(info.name, model.spec.input.size)
    own = sample(data.test, _MOST)
    if info.name in _XRAYS:
        name, of = _XRAYS[info.name]
        others = sample(source.load(name).test, _MOST)
        yield Case(f"chest X-rays of {of}", others, own, detector)
    elif info.name == "retinamnist":
        yield Case("a photograph by another fundus camera", _fundus(), own, detector)
    else:
        val = sample(data.val, _MOST)
        yield Case("scans of half the width, same collection", own, val, detector)
        table = data_root(source.root) / "octmnist_sources.csv"
        origin = np.array(read_column(table, data, "source", "train"))
        known, others = (
            data.train.images[torch.from_numpy(np.flatnonzero(origin == one))]
            for one in (_KERMANY, _OTHER)
        )
        others = others[torch.linspace(0, len(others) - 1, _MOST).long()]
        fitted = fit_gaussian(outputs(model, known).means)
        limit = fitted.score(outputs(model, val).means).double().quantile(0.95).item()
        yield Case("scans of another collection *", others, val, replace(fitted, threshold=limit))


def _fundus() -> Tensor:
    with Image.open(Path(skimage.__file__).parent / "data" / "retina.jpg") as file:
        return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)[None]


def table() -> str:
    """Return what was measured, as a Markdown table."""
    rows = [
        (
            f"`{name}`",
            case,
            f"{one['images']:,}",
            f"{one['auroc']:.3f}",
            percent(one["fpr95"]),
            percent(one["unfamiliar"]),
        )
        for name, record in RESULTS_FILE.read().items()
        for case, one in record["cases"].items()
    ]
    return markdown_table(("Model", "Other images", "Number", "AUROC", "FPR95", "Marked"), rows)


OOD_NEAR: Study[NamedTrial] = Study(
    name="ood_near",
    description="which images of nearly the same kind models recognise as others",
    results=RESULTS_FILE,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: ", ".join(
        f"{name} {one['auroc']:.3f}" for name, one in record["cases"].items()
    ),
    of_weights=True,
)
