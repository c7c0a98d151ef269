"""Publish trained weights: bundle the file with the package and add it to the index.

    python -m benchmarks.release.bundle training_results/dermamnist/models/advanced_cnn-*

Of several seeds of one model on one data set, the one with the best validation AUC is bundled. Its
weights are stored in half precision, or with --precision int8 in half of that space (normalisation
layers in full precision), with the temperature that the training has fitted. The scores in the
index are those of the stored file. Mean and deviation over all seeds come from
benchmarks/results/training/.

A file without a classifier is a backbone. It is named by --tag and has no scores.

    python -m benchmarks.release.bundle

Without files, index entries of distilled models that do not name their teachers are completed.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

import medzoo
from benchmarks.reproduction import teachers
from benchmarks.reproduction.record import Record, same_but_for_seed, seed_stats
from benchmarks.reproduction.source import Source
from medzoo.files import sha256_of
from medzoo.models import save_weights
from medzoo.weights import (
    DIGESTS,
    INDEX,
    Precision,
    WeightsConfig,
    WeightsEntry,
    read_config,
    sample_digests,
    weights_index,
    write_index,
)

FILES = INDEX.parent / "files"


def bundle(path: Path, data_root: str | None, precision: Precision = "float16") -> WeightsEntry:
    """Store the weights of one run in the package and return their index entry.

    Args:
        path: Weights file of the run.
        data_root: Folder of MedMNIST files.
        precision: How weights are stored.

    Raises:
        ValueError: If the file does not name its data set, was trained on other data, or is not
            calibrated.
    """
    config = read_config(path)
    spec = config.spec
    if spec.dataset is None:
        raise ValueError(f"{path} does not say which data set it was trained on")
    name = f"{spec.architecture}.{spec.dataset.tag(spec.input.size)}"
    target = FILES / f"{name}.safetensors"
    data = Source(data_root).load(spec.dataset.name, spec.input.size)
    if data.provenance.md5 != config.training["data"]["md5"]:
        raise ValueError(f"{path} was trained on other data than {data.title} in {data_root}")
    # Files from before calibration was recorded have their temperature alone.
    if "calibration" not in config.training and spec.temperature == 1.0:
        raise ValueError(f"{path} is not calibrated; write a new file with medzoo calibrate {path}")

    save_weights(medzoo.create_model(path), target, training=config.training, precision=precision)
    model = medzoo.create_model(target)

    splits = {"val": data.val, "test": data.test}
    metrics = {name: medzoo.evaluate(model, split).to_dict() for name, split in splits.items()}
    for scores in metrics.values():
        del scores["risk_coverage"]  # a curve of many points, in a file that is read for every list
    entry = _entry(
        target,
        config,
        model,
        data=data.provenance.to_dict() | {DIGESTS: sample_digests(data.train)},
        metrics=metrics,
        seed_stats=_seed_stats(config),
        teacher=config.training.get("teacher"),
        high_res=config.training.get("high_res"),
    )
    return with_teachers(entry, Source(data_root))


def bundle_backbone(path: Path, tag: str, precision: Precision = "float16") -> WeightsEntry:
    """Store the backbone of several data sets in the package and return its index entry.

    Args:
        path: Weights file of the backbone.
        tag: Second half of the checkpoint's name.
        precision: How weights are stored.
    """
    config = read_config(path)
    name = f"{config.spec.architecture}.{tag}"
    target = FILES / f"{name}.safetensors"
    model = medzoo.create_model(path)
    save_weights(model, target, training=config.training, precision=precision)
    training = config.training
    return _entry(
        target,
        config,
        model,
        data=training["data"],
        metrics={},
    )


def with_teachers(entry: WeightsEntry, source: Source) -> WeightsEntry:
    """Complete the entry of a distilled run whose file does not name its teachers.

    Runs of `reproduce.py` learn from the teachers of their data set. Weights files that were
    published before teachers were recorded keep their content and their sha256.

    Args:
        entry: The entry.
        source: Source of the images of teachers and students.
    """
    is_distilled = entry.recipe.get("distillation") and entry.tag in teachers.TEACHERS
    if entry.teacher or not is_distilled:
        return entry
    size = teachers.size_of(entry.tag)
    md5 = source.load(entry.dataset, size).provenance.md5 if size > 28 else None
    return replace(
        entry,
        teacher=teachers.described(entry.tag),
        high_res={"size": size, "md5": md5} if md5 else None,
    )


def _entry(
    target: Path, config: WeightsConfig, model: torch.nn.Module, **values: Any
) -> WeightsEntry:
    """Create the index entry of a bundled file, with values that are not in the file."""
    return WeightsEntry(
        name=target.stem,
        file=target.name,
        sha256=sha256_of(target),
        bytes=target.stat().st_size,
        spec=read_config(target).spec,
        parameters=sum(p.numel() for p in model.parameters()),
        recipe=config.training["recipe"],
        seed=config.training["recipe"]["seed"],
        **values,
    )


def _seed_stats(config: WeightsConfig) -> dict[str, Any] | None:
    """Return the scores over the seeds of the recipe of a run, if they were recorded."""
    assert config.spec.dataset is not None
    tag = config.spec.dataset.tag(config.spec.input.size)
    recipe = dict(config.training["recipe"])
    runs = [
        run
        for run in Record(tag, config.spec.architecture).runs()
        if same_but_for_seed(run["recipe"], recipe)
    ]
    return seed_stats(runs) if runs else None


def best_runs(paths: list[Path]) -> list[Path]:
    """Return the run with the best validation AUC for each model and data set.

    Args:
        paths: Weights files of runs.
    """
    best: dict[tuple[str, str], tuple[float, Path]] = {}
    for path in paths:
        config = read_config(path)
        spec = config.spec
        key = (spec.architecture, spec.dataset.tag(spec.input.size) if spec.dataset else "")
        best[key] = max(best.get(key, (-1.0, path)), (config.training["val_auc"], path))
    return [path for _, path in best.values()]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="*", type=Path, help="weights files of trainings")
    parser.add_argument("--tag", help="name of a backbone; needs exactly one file")
    parser.add_argument("--data-root", help="folder of MedMNIST files (or set MEDZOO_DATA)")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="float16", help="default: %(default)s"
    )
    arguments = parser.parse_args()
    precision = arguments.precision
    if arguments.tag and len(arguments.weights) != 1:
        parser.error(
            f"--tag={arguments.tag} names one file, but {len(arguments.weights)} are given"
        )
    entries = dict(weights_index())
    if arguments.tag:
        new = [bundle_backbone(arguments.weights[0], arguments.tag, precision)]
    else:
        new = [
            bundle(path, arguments.data_root, precision) for path in best_runs(arguments.weights)
        ]
    if not arguments.weights:
        source = Source(arguments.data_root)
        entries = {name: with_teachers(entry, source) for name, entry in entries.items()}
    for entry in new:
        entries[entry.name] = entry
        figures = f"test ACC {entry.metrics['test']['acc']:.4f}" if entry.metrics else "backbone"
        print(f"{entry.name}: seed {entry.seed}, {figures}")
    write_index(entries, INDEX)


if __name__ == "__main__":
    main()
