"""Fit what the published models know of their own uncertainty, and store it in their files.

    python -m benchmarks.release.uncertainty                       # all of them
    python -m benchmarks.release.uncertainty simple_cnn.breastmnist --output trial/

Fitted to the validation split are the thresholds of 90 % prediction sets and bounds of the risk, at
the temperature that the file has; to both splits, the detector of images of another kind. Only
headers change, and with them the index and the records that name the files by their sha256: the
tensors keep every byte. Nothing is written before all files are ready and checked.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

import medzoo
from benchmarks.release.bundle import FILES
from benchmarks.reporting.paths import RESULTS
from benchmarks.reproduction.source import Source
from medzoo.evaluation.operating_points.risk import fit_selective
from medzoo.files import sha256_of, write_atomically
from medzoo.inference import probabilities, split_logits
from medzoo.inference.conformal import fit_conformal
from medzoo.weights import (
    INDEX,
    WeightsConfig,
    WeightsEntry,
    read_config,
    read_weights,
    weights_index,
    write_index,
)
from medzoo.weights.digest import HEADER_KEY, with_digest


def fitted(entry: WeightsEntry, source: Source) -> WeightsConfig:
    """Return what the file of a published model is to say about itself.

    Args:
        entry: The model.
        source: Source of the images.

    Raises:
        ValueError: If the images are not those that the model was trained on.
    """
    data = source.load(entry.tag)
    if data.provenance.md5 != entry.data["md5"]:
        raise ValueError(f"{entry.name} was trained on other data than {data.title}")
    model = medzoo.create_model(FILES / entry.file)
    logits = split_logits(model, data.val, device="cpu")
    shares = probabilities(logits, data.info.task)
    sets, risks = fit_conformal(shares, data.val), fit_selective(shares, data.val)
    return replace(
        read_config(FILES / entry.file),
        spec=replace(model.spec, conformal=sets, selective=risks),
        ood_values=medzoo.fit_ood_detector(model, data, device="cpu").to_dict(),
    )


def with_spec(content: bytes, config: WeightsConfig) -> bytes:
    """Return a weights file with another header and the same tensors, byte for byte.

    Args:
        content: The file.
        config: What it is to say about itself.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    tensors = json.loads(content[8:end])
    del tensors["__metadata__"]
    header = {"__metadata__": {HEADER_KEY: config.to_json()}, **tensors}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    return with_digest(len(text).to_bytes(8, "little") + text + content[end:])


def check_same_tensors(before: Path, after: Path) -> None:
    """Make sure that two weights files have the same tensors.

    Args:
        before: A file.
        after: The other one.

    Raises:
        ValueError: If a tensor differs.
        WeightsError: If a file cannot be read.
    """
    (_, old), (_, new) = read_weights(before), read_weights(after)
    if old.keys() != new.keys() or not all(torch.equal(old[name], new[name]) for name in old):
        raise ValueError(f"{after} has other tensors than {before}")


def rewrite(names: Sequence[str], source: Source, files: Path, index: Path) -> None:
    """Fit models, and write their files and the index.

    Args:
        names: Of published models.
        source: Source of the images.
        files: Folder of the new files.
        index: The new index, which has the other entries as they are.

    Raises:
        ValueError: If the images are others, or a tensor would change. Nothing is then written.
    """
    entries, ready = dict(weights_index()), {}
    try:
        for name in names:
            entry = entries[name]
            published, staged = FILES / entry.file, files / f"{entry.file}.new"
            config = fitted(entry, source)
            ready[staged] = files / entry.file
            content = with_spec(published.read_bytes(), config)
            write_atomically(staged, content)
            check_same_tensors(published, staged)
            entries[name] = replace(
                entry, sha256=sha256_of(staged), bytes=len(content), spec=read_config(staged).spec
            )
            print(f"{name}: {config.spec.conformal}", flush=True)
        for staged, target in ready.items():
            staged.replace(target)
    finally:
        for staged in ready:
            staged.unlink(missing_ok=True)
    write_index(entries, index)


def update_records(before: Mapping[str, WeightsEntry], folder: Path = RESULTS) -> None:
    """Name the files by their new sha256 in what was measured on them, since nothing else changed.

    Args:
        before: The entries of the index before the files were rewritten.
        folder: Folder of the records.
    """
    for path in folder.rglob("*.json"):
        text = old = path.read_text()
        for name, entry in weights_index().items():
            text = text.replace(before[name].sha256, entry.sha256)
        if text != old:
            write_atomically(path, text.encode())


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    classifiers = [name for name, entry in weights_index().items() if entry.spec.num_classes]
    parser.add_argument("names", nargs="*", default=classifiers, help="models (all)")
    parser.add_argument("--output", type=Path, help="write into this folder, not into the package")
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # so that the same machine gives the same logits
    files, index = arguments.output or FILES, INDEX
    if arguments.output:
        index = arguments.output / INDEX.name
    before = dict(weights_index())
    rewrite(arguments.names, Source(arguments.data_root), files, index)
    if not arguments.output:
        weights_index.cache_clear()
        update_records(before)


if __name__ == "__main__":
    main()
