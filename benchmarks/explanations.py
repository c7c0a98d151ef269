"""Whether `medzoo.explain` points at what a model looks at: deletion and insertion of pixels.

    python benchmarks/explanations.py            # measure the published models
    python benchmarks/explanations.py --table    # docs' table

The hottest tenth, fifth, third and half of an image's pixels are replaced by a blurred copy
("deleted"), or kept while all others are replaced ("inserted"), and the predicted class is asked
again (Petsiuk et al., *RISE*, 2018). If the places matter, its probability falls soon in the first
case and stays high in the second. Places drawn by lot, and those nearest to the centre, where
photographers put what matters, tell what a map has to be better than. Images are of the
validation split; figures go into ``benchmarks/results/explanations.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import mean

import numpy as np
import torch
from figures import RESULTS, Figures
from source import Source
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

import medzoo
from medzoo.inference import predict_logits
from medzoo.weights import weights_index

FIGURES = Figures(RESULTS / "explanations.json")
SHARES = (1 / 10, 1 / 5, 1 / 3, 1 / 2)
IMAGES = 128
PLACES = 7  # a side of the map drawn by lot: as coarse as most maps


def by_explanation(model: medzoo.models.Classifier, images: Tensor) -> Tensor:
    """Return what `medzoo.explain` says, (N, H, W)."""
    maps = [medzoo.explain(model, image).heatmap for image in images]
    return torch.from_numpy(np.stack(maps))


def by_lot(model: medzoo.models.Classifier, images: Tensor) -> Tensor:
    """Return places drawn by lot, (N, H, W)."""
    lots = torch.rand(len(images), 1, PLACES, PLACES, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(lots, images.shape[-2:], mode="bilinear")[:, 0]


def by_centre(model: medzoo.models.Classifier, images: Tensor) -> Tensor:
    """Return how near a place is to the centre, (N, H, W)."""
    rows, columns = (torch.linspace(-1, 1, side) for side in images.shape[-2:])
    near = -(rows[:, None] ** 2 + columns[None] ** 2)
    return near.expand(len(images), *near.shape)


MAPS: dict[str, Callable[[medzoo.models.Classifier, Tensor], Tensor]] = {
    "explain": by_explanation,
    "centre": by_centre,
    "by lot": by_lot,
}


def measure(name: str, source: Source) -> dict[str, object]:
    """Return the mean probability of the predicted class with all pixels, and with some."""
    model = medzoo.create_model(name, pretrained=True)
    data = source.load(weights_index()[name].dataset)
    drawn = torch.randperm(len(data.val), generator=torch.Generator().manual_seed(0))
    images = data.val.images[drawn[:IMAGES]]
    blurred = gaussian_blur(images, [13, 13], [4.0, 4.0])
    whole = _probabilities(model, images)
    classes = whole.argmax(1, keepdim=True)
    record: dict[str, object] = {
        "data": data.title,
        "images": len(images),
        "sha256": weights_index()[name].sha256,
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
    return predict_logits(model, images, device="cpu").softmax(1)


def table() -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| Model | All pixels | Deleted: explain | centre | by lot "
        "| Inserted: explain | centre | by lot |\n|---|---|---|---|---|---|---|---|"
    ]
    measured = FIGURES.read()
    for name in filter(measured.__contains__, weights_index()):
        row = measured[name]
        cells = [f"{row[kind][way]:.3f}" for way in ("deleted", "inserted") for kind in MAPS]
        lines.append(f"| `{name}` | {row['whole']:.3f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", action="store_true", help="print the table of what is measured")
    parser.add_argument("--data-root", help="folder of MedMNIST's files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    if not arguments.table:
        names = [name for name, entry in weights_index().items() if "test" in entry.metrics]
        source = Source(arguments.data_root)
        for name in names:
            FIGURES.keep(name, measure(name, source))
    print(table())


if __name__ == "__main__":
    main()
