"""Evaluating a model on a split: run it, score it, say what it was measured on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from medzoo.datasets import Split
from medzoo.deployment import load_model
from medzoo.evaluation.coverage import score_sets
from medzoo.evaluation.groups import Groups, group_names, score_groups
from medzoo.evaluation.intervals import Intervals, bootstrap_intervals, check_resampling
from medzoo.evaluation.metrics import compute_metrics, score_predictions
from medzoo.evaluation.model_record import model_record
from medzoo.evaluation.operating_points.threshold import ThresholdLike, threshold_for
from medzoo.evaluation.report import Report
from medzoo.inference import Model, SplitOptions, probabilities, split_logits
from medzoo.inference.conformal import conformal_for
from medzoo.inference.options import Settings, check_options
from medzoo.spec import spec_of
from medzoo.spec.find import find_spec

if TYPE_CHECKING:
    from typing_extensions import Unpack


def evaluate(
    model: Model | str | os.PathLike[str],
    split: Split,
    *,
    threshold: ThresholdLike | None = None,
    groups: Groups | None = None,
    resamples: int = 1000,
    seed: int = 0,
    **options: Unpack[SplitOptions],
) -> Report:
    """Measure a model on a split; AUC and ACC equal those of medmnist's `Evaluator`.

    Images are prepared as the model's own spec says, whatever their size and channels.

    Args:
        model: A medzoo or timm model, also in a wrapper such as `DataParallel`; any callable from
            a float batch (N, C, H, W) to logits (N, K), with ``spec=``, e.g.
            ``spec=medzoo.ModelSpec.for_data(data)`` for one that takes the images of `data` in
            their own size and normalisation; or the name of a checkpoint, a weights file or an
            exported .onnx file (see `medzoo.deployment.load_model`).
        split: The labelled images, e.g. ``data.test``.
        threshold: Probability above which the second class of a binary task is decided for, or a
            label of a multi-label task (then also one per label): an operating point that
            `medzoo.choose_threshold` has chosen on *another* split, such as ``data.val``, or a
            number that was fixed beforehand. One chosen on the split that it is reported for makes
            the scores too good. By default 0.5; other tasks decide for the most probable class.
        groups: One value per image, such as its site, the sex or age band of the patient, or the
            camera: a list, an array or a column of pandas. The report then has the scores of each
            group. None, NaN and empty names are a group ``"(missing)"``.
        resamples: Bootstrap resamples of the images for the 95 % intervals; 0 for none.
        seed: Seed of the resampling.
        **options: ``batch_size``, ``device``, ``precision``, ``tta``, ``temperature``, ``spec``,
            ``progress``, ``sharded``; see `medzoo.inference.SplitOptions`.

    Returns:
        The report. Classes that the split lacks are NaN in it, with one warning. It has the
        coverage of prediction sets, if the model gives any (see `medzoo.calibrate`). With
        ``sharded=True`` every process returns the report of a single process.

    Raises:
        TypeError: If `split` is not a `Split`, the threshold, `resamples` or `seed` is not a
            number, the model does not say what it is and no ``spec=`` is given, or an option does
            not exist.
        ValueError: If the split is empty, the model was made for another kind of task or another
            number of classes, or gives NaN; if a model's name is unknown, an option does not fit,
            ``tta`` mirrors images whose classes distinguish left from right, or the threshold does
            not fit the task or was chosen on this split, or `groups` has not one value per image
            or more than 100 different ones.
        WeightsError: If the weights or the .onnx file cannot be found or read.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("dermamnist", n_test=14)
        >>> medzoo.evaluate(medzoo.create_model("simple_cnn", dataset=data), data.test).n
        14
    """
    check_options(evaluate, options)
    resamples, seed = check_resampling(resamples, seed)
    above = threshold_for(threshold, split)
    names = None
    if groups is not None and isinstance(split, Split):  # else `split_logits` says what is wrong
        names = group_names(groups, len(split))
    runs = load_model(model)
    logits = split_logits(runs, split, **options)
    spec, temperature = spec_of(runs, options.get("spec")), options.get("temperature")
    info = split.info
    scores = probabilities(logits, info.task)
    metrics = compute_metrics(split.labels, scores, info.task, info.classes, threshold=above)
    intervals = (
        bootstrap_intervals(
            split.labels, scores, info.task, resamples=resamples, seed=seed, threshold=above
        )
        if resamples
        else Intervals({}, [])
    )
    by_group = []
    if names is not None:
        by_group = score_groups(
            *(split.labels, scores, info.task, info.classes, names),
            threshold=above,
            resamples=resamples,
            seed=seed,
        )
    sets = None
    if conformal := conformal_for(spec, Settings.of(options), find_spec(runs)):
        sets = score_sets(
            *(conformal, split.labels, scores, info.task, info.classes),
            resamples=resamples,
            seed=seed,
        )
    return Report(
        **vars(metrics),
        dataset=info.name,
        title=split.title,
        split=split.name,
        task=info.task,
        n=len(split),
        provenance=split.provenance.to_dict(),
        intervals=intervals.overall,
        auc_intervals=intervals.auc,
        class_intervals=intervals.by_class,
        threshold=above,
        groups=by_group,
        prediction_sets=sets,
        model=model_record(model, spec),
        predictions=score_predictions(split.labels, scores, info.task, above),
        resamples=resamples,
        seed=seed,
        tta=options.get("tta", "none"),
        temperature=spec.temperature if temperature is None else temperature,
    )
