"""Damages images with the package medmnistc; runs in an environment of its own.

    python medmnistc_worker.py images.npy cases.json out.npz

Needs medmnistc 0.1.0 and ImageMagick, but nothing of medzoo. `cases.json` lists data sets and names
of corruptions. For each case, `out.npz` has the damaged images, uint8 (5, N, 224, 224, 3), and the
angles that motion blur drew.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from medmnistc.corruptions.registry import CORRUPTIONS_DS  # type: ignore[import-not-found]
from PIL import Image


def main(images: str, cases: str, out: str) -> None:
    """Write what each corruption makes of the images.

    Args:
        images: File of uint8 (N, 224, 224, 3).
        cases: File of ``[[data set, corruption], ...]``.
        out: File to write.
    """
    pictures = [Image.fromarray(image) for image in np.load(images)]
    found: dict[str, Any] = {}
    drawn: list[float] = []
    shared: Any = np.random
    uniform = shared.uniform

    def recorded(*args: float, **options: object) -> float:
        drawn.append(uniform(*args, **options))
        return drawn[-1]

    shared.uniform = recorded
    for dataset, name in json.loads(Path(cases).read_text()):
        corruption = CORRUPTIONS_DS[dataset][name]
        corruption.rng = np.random.default_rng(0)
        np.random.seed(0)  # noqa: NPY002 - what medmnistc draws from
        random.seed(0)
        drawn.clear()
        damaged = [[corruption.apply(one, level) for one in pictures] for level in range(5)]
        found[f"{dataset}.{name}"] = np.array(damaged, np.uint8)
        found[f"{dataset}.{name}.angles"] = np.array(drawn)
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
