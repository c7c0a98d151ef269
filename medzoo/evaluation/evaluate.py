"""Evaluating a model on a split: run it, score it, say what it was measured on."""

from __future__ import annotations

import torch

from medzoo.datasets import Split
from medzoo.device import Precision
from medzoo.evaluation.intervals import bootstrap_intervals
from medzoo.evaluation.metrics import compute_metrics
from medzoo.evaluation.report import Report
from medzoo.inference.model import Model
from medzoo.inference.run import effective_temperature, probabilities, split_logits
from medzoo.inference.tta import TTA
from medzoo.transforms import TransformConfig


def evaluate(
    model: Model,
    split: Split,
    *,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    precision: Precision = "float32",
    tta: TTA = "none",
    temperature: float | None = None,
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
        tta: Test-time augmentation, the views of each image whose probabilities are averaged:
            ``"none"``, ``"flip"`` (2: as it is, and left and right exchanged) or ``"dihedral"``
            (8: each of these in 4 quarter turns).
        temperature: What logits are divided by to become probabilities; by default the model's
            own (``model.temperature``, or 1.0 if it has none). 1.0 measures it uncalibrated; the
            members of an ensemble keep theirs.
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
            another number of classes, or gives NaN; if an argument is none of the above, or
            `tta` mirrors images whose classes tell left from right.
    """
    if resamples < 0:
        raise ValueError(f"resamples={resamples!r} must be 0 (no intervals) or more")
    temperature = effective_temperature(model, temperature)
    logits = split_logits(
        model,
        split,
        config=config,
        batch_size=batch_size,
        device=device,
        precision=precision,
        tta=tta,
        temperature=temperature,
        progress=progress,
        sharded=sharded,
    )
    info = split.info
    scores = probabilities(logits, info.task, temperature)
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
        tta=tta,
        temperature=temperature,
    )
