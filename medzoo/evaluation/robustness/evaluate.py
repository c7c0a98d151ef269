"""Evaluating a model on damaged images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medzoo.datasets import Split
from medzoo.datasets.load import is_medmnist
from medzoo.deployment import load_model
from medzoo.evaluation.intervals import check_resampling, percentiles, resample_counts
from medzoo.evaluation.metrics import score_predictions
from medzoo.evaluation.operating_points.threshold import ThresholdLike, threshold_for
from medzoo.evaluation.robustness.balanced_error import (
    alexnet_errors,
    balanced_error,
    relative_errors,
)
from medzoo.evaluation.robustness.report import CorruptionErrors, RobustnessReport
from medzoo.images.corruptions import SEVERITIES, Corruption, corruptions_for
from medzoo.inference import Model, SplitOptions, probabilities, split_logits
from medzoo.inference.options import check_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

_CHUNK = 1 << 26
"""Bytes of images that are damaged at once."""


def evaluate_robustness(
    model: Model | str | os.PathLike[str],
    split: Split,
    *,
    like: str | None = None,
    threshold: ThresholdLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
    **options: Unpack[SplitOptions],
) -> RobustnessReport:
    """Measure a model on damaged images, with the corruptions of MedMNIST-C.

    The images are damaged in their own size, before the model's transform; see
    `medzoo.images.corruptions_for`. The model is run 5 times for each corruption.

    Args:
        model: As for `medzoo.evaluate`.
        split: The labelled images, e.g. ``data.test``.
        like: Name of the MedMNIST data set whose corruptions are used. By default that of the
            split; for your own data, name one of similar images.
        threshold: As for `medzoo.evaluate`: an operating point that was chosen on undamaged images
            of another split. The published errors of AlexNet have one as well.
        resamples: Bootstrap resamples of the images for the 95 % intervals; 0 for none.
        seed: Seed of the damage and of the resampling.
        **options: As for `medzoo.evaluate`.

    Returns:
        The errors of each corruption, and their means. BE and rBE are given for MedMNIST's own
        files, official or known to be rebuilt, not for other data of the same name.

    Raises:
        TypeError: As `medzoo.evaluate`.
        ValueError: As `medzoo.evaluate`; also if MedMNIST-C has no corruptions for the data set, or
            they do not fit the images.
        WeightsError: As `medzoo.evaluate`.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("breastmnist", n_test=20)
        >>> model = medzoo.create_model("simple_cnn", dataset=data)
        >>> report = medzoo.evaluate_robustness(model, data.test, like="breastmnist")
        >>> [row["name"] for row in report.corruptions][:2]
        ['pixelate', 'jpeg_compression']
    """
    check_options(evaluate_robustness, options)
    resamples, seed = check_resampling(resamples, seed)
    if not isinstance(split, Split):
        raise TypeError(f"split is a {type(split).__name__}; give one split, e.g. data.test")
    above, corruptions = threshold_for(threshold, split), _corruptions(split, like)
    logits = _logits(load_model(model), split, corruptions, seed, options)
    task = split.info.task
    scored = [
        score_predictions(split.labels, probabilities(one, task), task, above) for one in logits
    ]
    # The first column is of the images themselves, each of the others is of one resample.
    counts = chain([np.ones((len(split), 1))], resample_counts(len(split), resamples, seed))
    found = np.concatenate(
        [np.stack([balanced_error(data, drawn) for data in scored]) for drawn in counts], axis=1
    )
    clean, damaged = found[0], found[1:].reshape(len(corruptions), len(SEVERITIES), -1)
    mean = damaged.mean(axis=1)
    name = split.info.name
    is_own_data = not is_medmnist(name, split.provenance.md5)
    alexnet = None if is_own_data or like not in (None, name) else alexnet_errors(name)
    relative = [
        relative_errors(error, clean, one.name, alexnet)
        for one, error in zip(corruptions, mean, strict=True)
    ]
    overall = {
        "clean": clean,
        "error": mean.mean(axis=0),
        "increase": mean.mean(axis=0) - clean,
        "be": np.mean([be for be, _ in relative], axis=0),
        "rbe": np.mean([rbe for _, rbe in relative], axis=0),
    }
    rows = [
        CorruptionErrors(
            name=one.name,
            family=one.family,
            errors=damaged[place, :, 0].tolist(),
            error=float(mean[place, 0]),
            interval=percentiles(mean[place, 1:], 0.95),
            be=float(relative[place][0][0]),
            rbe=float(relative[place][1][0]),
        )
        for place, one in enumerate(corruptions)
    ]
    return RobustnessReport(
        **{name: float(values[0]) for name, values in overall.items()},
        dataset=split.info.name,
        title=split.title,
        split=split.name,
        n=len(split),
        size=split.images.shape[-1],
        like=corruptions[0].dataset,
        threshold=above,
        intervals={
            name: percentiles(values[1:], 0.95) for name, values in overall.items() if resamples
        },
        corruptions=rows,
        resamples=resamples,
        seed=seed,
    )


def _corruptions(split: Split, like: str | None) -> list[Corruption]:
    """Return the corruptions of a split."""
    try:
        return list(corruptions_for(like or split.info.name).values())
    except ValueError as error:
        if like is not None:
            raise
        raise ValueError(
            f"MedMNIST-C has no corruptions for {split.title}; name the MedMNIST data set with the "
            "most similar images, e.g. like='dermamnist' for photographs"
        ) from error


def _logits(
    model: Model,
    split: Split,
    corruptions: Sequence[Corruption],
    seed: int,
    options: SplitOptions,
) -> list[Tensor]:
    """Return the logits of the images as they are, and of each corruption at each severity."""
    inner: SplitOptions = {**options, "progress": False}
    logits = [[split_logits(model, split, **inner)]]
    rows = max(1, _CHUNK // split.images[0].nbytes)
    starts = range(0, len(split), rows)
    damages = list(product(corruptions, SEVERITIES))
    steps: Iterable[tuple[Corruption, int]] = damages
    if options.get("progress"):
        from tqdm.auto import tqdm

        steps = tqdm(damages, desc="evaluating", unit="severity", leave=False)
    for corruption, severity in steps:
        parts = []
        for start, images in zip(starts, split.chunks(rows), strict=True):
            part = replace(
                split,
                images=corruption(images, severity, seed=seed, first=start),
                labels=split.labels[start : start + rows],
            )
            parts.append(split_logits(model, part, **inner))
        logits.append(parts)
    return [torch.cat(parts) for parts in logits]
