"""Evaluating a model on a split: run it, score it, say what it was measured on."""

from __future__ import annotations

import dataclasses

import torch

from medzoo.datasets import DatasetInfo, Split
from medzoo.device import Precision
from medzoo.evaluation.inference import Model, predict_logits, probabilities
from medzoo.evaluation.intervals import bootstrap_intervals
from medzoo.evaluation.metrics import compute_metrics
from medzoo.evaluation.report import Report
from medzoo.transforms import TransformConfig, transform_config


def evaluate(
    model: Model,
    split: Split,
    *,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    precision: Precision = "float32",
    resamples: int = 1000,
    seed: int = 0,
    config: TransformConfig | None = None,
    progress: bool = False,
    sharded: bool = False,
) -> Report:
    """Measure a model on a split; AUC and ACC equal those of medmnist's `Evaluator`.

    Images are prepared as the model's own config says, whatever their size and channels. For a
    callable without ``pretrained_cfg`` they keep their size and channels and are normalised with
    the mean and standard deviation in ``split.info`` (0.5, as in MedMNIST's own baselines, where
    it has none), unless `config` says otherwise.

    Args:
        model: A medzoo or timm model, or any callable from a float batch (N, C, H, W) to
            logits (N, K).
        split: The labelled images, e.g. ``data.test``.
        batch_size: Images run at once.
        device: ``"auto"``, a PyTorch device string, or a `torch.device`.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``.
        resamples: Bootstrap resamples of the images for the 95 % intervals; 0 for none.
        seed: Seed of the resampling.
        config: What the model expects, instead of what it says itself.
        progress: Whether to show a progress bar.
        sharded: Whether the processes of an open group divide the images among themselves; see
            `predict_logits`. Every process returns the same report, that of a single process.

    Returns:
        The report. Classes that the split lacks are NaN in it, with one warning.

    Raises:
        ValueError: If `split` is no `Split` or is empty, or the model was made for another kind of task or
            another number of classes, or gives NaN.
    """
    if not isinstance(split, Split):
        raise ValueError(f"split is a {type(split).__name__}; give one split, e.g. data.test")
    info = split.info
    if not len(split):
        raise ValueError(f"the {split.name} split of {split.title} is empty; nothing to evaluate")
    if resamples < 0:
        raise ValueError(f"resamples={resamples!r} must be 0 (no intervals) or more")
    made_for = getattr(model, "dataset", None)
    if isinstance(made_for, DatasetInfo) and made_for.multi_label != info.multi_label:
        raise ValueError(
            f"the model was made for {made_for.title} ({made_for.task}), but {split.title} is "
            f"{info.task}; make one with create_model(..., dataset=data)"
        )
    if config is None and not hasattr(model, "pretrained_cfg"):
        config = dataclasses.replace(transform_config(info), size=split.images.shape[-1])

    logits = predict_logits(
        model,
        split.images,
        config=config,
        batch_size=batch_size,
        device=device,
        precision=precision,
        progress=progress,
        sharded=sharded,
    )
    if logits.shape[1] != info.num_classes:
        raise ValueError(
            f"the model gives {logits.shape[1]} logits, but {split.title} has "
            f"{info.num_classes} classes; make one with create_model(..., dataset=data)"
        )
    scores = probabilities(logits, info.task)
    metrics = compute_metrics(split.labels, scores, info.task, info.classes)
    intervals = (
        bootstrap_intervals(split.labels, scores, info.task, resamples=resamples, seed=seed)
        if resamples
        else {}
    )
    return Report(
        **vars(metrics),
        dataset=info.name,
        title=split.title,
        split=split.name,
        task=info.task,
        n=len(split),
        provenance=split.provenance.to_dict(),
        intervals=intervals,
        resamples=resamples,
        seed=seed,
    )
