"""Compares medzoo's corruptions with those of the package medmnistc, on the same images.

    python -m benchmarks.robustness.agreement --python ENVIRONMENT/bin/python

medmnistc needs other versions of packages than medzoo, and ImageMagick (Debian's
``libmagickwand-dev``), so it runs in an environment of its own, for example with Python 3.11 and::

    pip install medmnistc==0.1.0 numpy==1.26.4 opencv-python-headless==4.9.0.80

Images of DermaMNIST are enlarged to 224 pixels. Corruptions without random numbers, and motion blur
along the same lines, are compared pixel by pixel, others by the statistics of the change. The
changes at 28 pixels are those that medmnistc makes to enlarged images, which are then reduced
again, and those that medzoo makes to the small images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import SingleResult
from benchmarks.reproduction.source import Source
from medzoo.images.corruptions import FAMILIES, SEVERITIES, Corruption, corruptions_for

RECORD = SingleResult(RESULTS / "corruptions.json")
WORKER = Path(__file__).with_name("medmnistc_worker.py")
DATASETS = ("dermamnist", "pathmnist", "tissuemnist", "octmnist", "pneumoniamnist", "breastmnist")
"""Data sets whose corruptions are compared; those of the others have the same functions."""
SIZE, SMALL, IMAGES = 224, 28, 16
RANDOM = {
    *("gaussian_noise", "speckle_noise", "impulse_noise", "shot_noise"),
    *("stain_deposit", "bubble", "characters"),
}
HEADER = (
    "Family",
    "Corruption",
    "Mean difference at 224 px",
    "Correlation",
    "Strength, ours / theirs",
    "Change at 28 px: reduced from 224",
    "made at 28",
)


class _Line:
    """Draws one angle that was drawn before."""

    def __init__(self, angle: float) -> None:
        self.angle = angle

    def uniform(self, low: float, high: float) -> float:
        """Return the angle.

        Args:
            low: Not used.
            high: Not used.
        """
        return self.angle


def measure(python: str, source: Source, only: str = "") -> dict[str, Any]:
    """Damage the same images with both packages and compare them.

    Args:
        python: Python of the environment of medmnistc.
        source: Source of the images.
        only: Measure corruptions whose name contains this text; others keep their records.
    """
    large = source.load("dermamnist_64").test.images[:IMAGES].contiguous()
    smooth = F.interpolate(large.float(), SIZE, mode="bicubic", antialias=True)
    small = source.load("dermamnist").test.images[:IMAGES].contiguous()
    squares = small.repeat_interleave(SIZE // SMALL, 2).repeat_interleave(SIZE // SMALL, 3)
    given = torch.cat([smooth.round().clamp(0, 255).to(torch.uint8), squares])
    cases: dict[object, Corruption] = {}  # each strength of each corruption once
    for name in DATASETS:
        for one in corruptions_for(name).values():
            if only in one.name:
                cases.setdefault((one.name, one.parameters), one)
    known = RECORD.find("") or {"rows": []}
    kept = [row for row in known["rows"] if only not in row["corruption"]]
    rows = [
        {
            "dataset": one.dataset,
            "corruption": one.name,
            "family": one.family,
            **_compare(one, given[:IMAGES], theirs[:, :IMAGES], angles),
            **_changes(one, small, theirs[:, IMAGES:]),
        }
        for one, theirs, angles in _medmnistc(python, given, list(cases.values()))
    ]
    return {"images": IMAGES, "rows": kept + rows}


def _medmnistc(
    python: str, images: Tensor, cases: list[Corruption]
) -> Iterator[tuple[Corruption, Tensor, np.ndarray]]:
    """Yield each corruption with what medmnistc makes of the images, uint8 (5, N, 3, H, W)."""
    with tempfile.TemporaryDirectory() as folder:
        given, listed, out = (Path(folder) / name for name in ("in.npy", "cases.json", "out.npz"))
        np.save(given, images.permute(0, 2, 3, 1).numpy())
        for dataset in dict.fromkeys(one.dataset for one in cases):  # of limited memory
            own = [one for one in cases if one.dataset == dataset]
            listed.write_text(json.dumps([[dataset, one.name] for one in own]))
            subprocess.run([python, "-W", "ignore", WORKER, given, listed, out], check=True)
            with np.load(out) as found:
                for one in own:
                    damaged = torch.from_numpy(found[f"{dataset}.{one.name}"])
                    angles = found[f"{dataset}.{one.name}.angles"]
                    yield one, damaged.permute(0, 1, 4, 2, 3), angles


def _compare(
    one: Corruption, images: Tensor, theirs: Tensor, angles: np.ndarray
) -> dict[str, float]:
    """Return how two versions of damaged images differ."""
    if one.name == "motion_blur":
        lines = angles.reshape(len(SEVERITIES), -1)[:, : len(images)]
        made = [
            one.apply(images, severity, cast(Any, [_Line(angle) for angle in row]))
            for severity, row in zip(SEVERITIES, lines, strict=True)
        ]
    else:
        made = [one(images, severity) for severity in SEVERITIES]
    ours, other, clean = torch.stack(made).float(), theirs.float(), images.float()
    change, expected = ours - clean, other - clean
    strength = {"strength": float(change.square().mean().sqrt() / expected.square().mean().sqrt())}
    if one.name in RANDOM:
        spectra = torch.stack([_spectrum(change), _spectrum(expected)])
        return strength | {"spectrum": float(torch.corrcoef(spectra)[0, 1])}
    pixels = torch.stack([ours.flatten(), other.flatten()])
    return strength | {
        "difference": float((ours - other).abs().mean()),
        "correlation": float(torch.corrcoef(pixels)[0, 1]),
    }


def _spectrum(change: Tensor) -> Tensor:
    """Return the logarithm of the mean power of a change at each spatial frequency."""
    power = torch.fft.rfft2(change).abs().square().flatten(0, -3).mean(0)
    rows = torch.fft.fftfreq(power.shape[0])[:, None]
    frequency = (rows.square() + torch.fft.rfftfreq(change.shape[-1]).square()).sqrt()
    band = (frequency * 40).long()
    total = torch.zeros(int(band.max()) + 1).index_add_(0, band.flatten(), power.flatten())
    return (total / band.flatten().bincount()).log()


def _changes(one: Corruption, small: Tensor, theirs: Tensor) -> dict[str, float]:
    """Return the mean change of small images, made at 224 pixels and made at their size."""
    reduced = F.avg_pool2d(theirs.float().flatten(0, 1), SIZE // SMALL)
    ours = torch.cat([one(small, severity) for severity in SEVERITIES])
    clean = small.float().repeat(len(SEVERITIES), 1, 1, 1)
    return {
        "change_reduced": float((reduced - clean).abs().mean()),
        "change_small": float((ours.float() - clean).abs().mean()),
    }


def table() -> str:
    """Return the comparison, the data set with the largest difference for each corruption."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in RECORD.read()["rows"]:
        found.setdefault(row["corruption"], []).append(row)
    ordered = sorted(found.items(), key=lambda item: FAMILIES.index(item[1][0]["family"]))
    return markdown_table(HEADER, [_cells(name, rows) for name, rows in ordered])


def _cells(name: str, rows: list[Mapping[str, Any]]) -> list[str]:
    worst = max(rows, key=lambda row: abs(row["strength"] - 1))
    if name in RANDOM:
        pixels = ["random", f"{min(row['spectrum'] for row in rows):.3f} (spectrum)"]
    else:
        pixels = [
            f"{max(row['difference'] for row in rows):.2f}",
            f"{min(row['correlation'] for row in rows):.4f}",
        ]
    changes = [
        f"{np.mean([row[key] for row in rows]):.1f}" for key in ("change_reduced", "change_small")
    ]
    return [rows[0]["family"], f"`{name}`", *pixels, f"{worst['strength']:.2f}", *changes]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", required=True, help="Python of medmnistc's environment")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="corruptions whose name contains TEXT"
    )
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    RECORD.save("", measure(arguments.python, Source(arguments.data_root), arguments.only))
    print(table())


if __name__ == "__main__":
    main()
