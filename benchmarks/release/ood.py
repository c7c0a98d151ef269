"""Fit the detectors of images of another kind to bundled weights, into other files.

    python -m benchmarks.release.ood simple_cnn.breastmnist --output /tmp/weights

Tensors, header and precision of the new files are those of the bundled ones; what is added is the
detector.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import medzoo
from benchmarks.reproduction.source import Source
from medzoo.models import save_weights
from medzoo.weights import (
    OODDetector,
    find_entry,
    locate_weights,
    read_config,
    read_precision,
    weights_index,
)


def fit_bundled(name: str, data_root: str | None = None) -> OODDetector:
    """Fit the detector of a bundled model to the data that it was trained on.

    Args:
        name: The model.
        data_root: Folder of MedMNIST files.

    Raises:
        ValueError: If it is a backbone, which has no data of its own, or was trained on other data.
    """
    entry = weights_index()[name]
    if entry.spec.dataset is None:
        raise ValueError(f"{name} is a backbone, which answers nothing")
    data = Source(data_root).load(entry.spec.dataset.name, entry.spec.input.size)
    if data.provenance.md5 != entry.data["md5"]:
        raise ValueError(f"{name} was trained on other data than {data.title} in {data_root}")
    return medzoo.fit_ood_detector(medzoo.create_model(name, pretrained=True), data)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", help="bundled models with a classifier")
    parser.add_argument("--output", type=Path, required=True, help="folder for the new files")
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        architecture, _, tag = name.partition(".")
        source = locate_weights(find_entry(architecture, tag))
        model = medzoo.create_model(name, pretrained=True)
        model.ood_detector = fit_bundled(name, arguments.data_root)
        training = read_config(source).training
        target = arguments.output / source.name
        save_weights(model, target, training=training, precision=read_precision(source))
        added = target.stat().st_size - source.stat().st_size
        print(f"{target}: {added:+,} bytes")


if __name__ == "__main__":
    main()
