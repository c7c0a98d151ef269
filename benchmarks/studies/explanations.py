"""Whether `medzoo.explain` finds the pixels that a model uses: deletion and insertion.

The hottest tenth, fifth, third and half of the pixels of an image are replaced by a blurred copy
("deleted"), or kept while all others are replaced ("inserted"), and the probability of the
predicted class is measured again (Petsiuk et al., *RISE*, 2018). If the pixels matter, it falls
quickly in the first case and stays high in the second. The baselines are random maps, and maps of
the distance from the centre, where the subject of a photograph usually is. Images are those of the
validation split.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

import medzoo
from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import NamedTrial, Study
from medzoo.inference import predict_logits
from medzoo.weights import weights_index

RECORDS = ResultsFile(RESULTS / "explanations.json")
SHARES = (1 / 10, 1 / 5, 1 / 3, 1 / 2)
IMAGES = 128
CELLS = 7  # per side of the random map: as coarse as most maps


def by_explanation(model: medzoo.models.Classifier, images: Tensor) -> Tensor:
    """Return the heat maps of `medzoo.explain`, (N, H, W).

    Args:
        model: The model.
        images: (N, C, H, W), uint8.
    """
    maps = [medzoo.explain(model, image).heatmap for image in images]
    return torch.from_numpy(np.stack(maps))


def by_chance(model: medzoo.models.Classifier, images: Tensor) -> Tensor:
    """Return random maps, (N, H, W).

    Args:
        model: Not used.
        images: (N, C, H, W), uint8.
    """
    noise = torch.rand(len(images), 1, CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(noise, images.shape[-2:], mode="bilinear")[:, 0]


def by_centre(model: medzoo.models.Classifier, images: Tensor) -> Tensor:
    """Return maps of how close each pixel is to the centre, (N, H, W).

    Args:
        model: Not used.
        images: (N, C, H, W), uint8.
    """
    rows, columns = (torch.linspace(-1, 1, side) for side in images.shape[-2:])
    closeness = -(rows[:, None] ** 2 + columns[None] ** 2)
    return closeness.expand(len(images), *closeness.shape)


MAPS: dict[str, Callable[[medzoo.models.Classifier, Tensor], Tensor]] = {
    "explain": by_explanation,
    "centre": by_centre,
    "random": by_chance,
}


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Return the mean probability of the predicted class with all pixels, and with some.

    Args:
        trial: Its key names a published checkpoint.
        source: Source of the images.
    """
    name = trial.key
    model = medzoo.create_model(name, pretrained=True)
    data = source.load(weights_index()[name].dataset)
    drawn = torch.randperm(len(data.val), generator=torch.Generator().manual_seed(0))
    images = data.val.images[drawn[:IMAGES]]
    blurred = gaussian_blur(images, [13, 13], [4.0, 4.0])
    whole = _probabilities(model, images)
    classes = whole.argmax(1, keepdim=True)
    record: dict[str, Any] = {
        "data": data.title,
        "images": len(images),
        "whole": float(whole.gather(1, classes).mean()),
    }
    for kind, heat_of in MAPS.items():
        order = heat_of(model, images).flatten(1).argsort(dim=1, descending=True, stable=True)
        found: dict[str, list[float]] = {"deleted": [], "inserted": []}
        for share in SHARES:
            hottest = torch.zeros(order.shape, dtype=torch.bool)
            hottest.scatter_(1, order[:, : round(share * order.shape[1])], True)
            mask = hottest.view(-1, 1, *images.shape[-2:])
            for way, kept in (("deleted", ~mask), ("inserted", mask)):
                seen = _probabilities(model, torch.where(kept, images, blurred))
                found[way].append(float(seen.gather(1, classes).mean()))
        record[kind] = {way: mean(values) for way, values in found.items()}
    return record


def _probabilities(model: medzoo.models.Classifier, images: Tensor) -> Tensor:
    # Uncalibrated, as in the measured figures.
    return predict_logits(model, images, device="cpu", temperature=1.0).float().softmax(1)


def trials() -> list[NamedTrial]:
    """Return one trial per published classifier for one class per image and for 28 px."""
    return [
        NamedTrial(name)
        for name, entry in weights_index().items()
        if "test" in entry.metrics
        and entry.tag == entry.dataset
        and entry.spec.task != "multi-label, binary-class"
    ]


def table() -> str:
    """Return the probabilities as a Markdown table."""
    ways = ("deleted", "inserted")
    header = [
        "Model",
        "All pixels",
        *(f"{way.capitalize()}: {kind}" for way in ways for kind in MAPS),
    ]
    rows = []
    records = RECORDS.read()
    for name in filter(records.__contains__, weights_index()):
        record = records[name]
        cells = [f"{record[kind][way]:.3f}" for way in ways for kind in MAPS]
        rows.append((f"`{name}`", f"{record['whole']:.3f}", *cells))
    return markdown_table(header, rows)


EXPLANATIONS = Study(
    name="explanations",
    description="whether heat maps find the pixels that a model uses",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=lambda record: (
        f"{record['whole']:.3f}, deleted {record['explain']['deleted']:.3f}, "
        f"inserted {record['explain']['inserted']:.3f}"
    ),
    of_weights=True,
)
