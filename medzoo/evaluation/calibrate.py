"""Calibrating a model: temperature, prediction sets and risks, and what that changes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from medzoo.datasets import Split
from medzoo.evaluation.metrics import Metrics, compute_metrics
from medzoo.evaluation.operating_points.risk import fit_selective
from medzoo.inference import Model, SplitOptions, probabilities
from medzoo.inference.calibration import (
    best_temperature,
    negative_log_likelihood,
    uncalibrated_logits,
)
from medzoo.inference.conformal import fit_conformal
from medzoo.inference.options import check_options
from medzoo.spec import ConformalMethod, ConformalSpec, SelectiveSpec, SpecCarrier
from medzoo.spec.conformal import COVERAGE

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature, prediction sets and risks, and the scores of the split that they fit.

    Attributes:
        temperature: What logits are divided by, above 0; 1.0 if the logits say no more than
            guessing.
        auc: AUC with it; with more than two classes, it may differ a little from the one before.
        acc: Accuracy with it.
        ece: Expected calibration error with it, in [0, 1]; see `Metrics.ece`.
        nll: Negative log-likelihood of the labels with it, the mean over images (and labels).
        ece_before: Expected calibration error with the temperature that the model had before.
        nll_before: Negative log-likelihood with that temperature.
        conformal: The thresholds of prediction sets; None if none were asked for.
        selective: Bounds of the risk, for ``predict(..., abstain_above=)``; None if no label is
            known.
    """

    temperature: float
    auc: float
    acc: float
    ece: float
    nll: float
    ece_before: float
    nll_before: float
    conformal: ConformalSpec | None = None
    selective: SelectiveSpec | None = None

    def __str__(self) -> str:
        text = (
            f"temperature {self.temperature:.3g}: ECE {self.ece_before:.3f} -> {self.ece:.3f}, "
            f"NLL {self.nll_before:.3f} -> {self.nll:.3f}"
        )
        if sets := self.conformal:
            each = ", ".join(f"{value:.3g}" for value in sets.thresholds)
            text += f"; {sets.title}s ({sets.method.upper()}), threshold {each}"
        if risks := self.selective:
            text += (
                f"; risk at most {risks.bounds[0]:.3g}, down to {min(risks.bounds):.3g} for the "
            )
            text += "most confident answers"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as JSON-safe values, `conformal` and `selective` only if given.

        NaN, such as the AUC of images of one class, becomes None.
        """
        fitted = {"conformal": self.conformal, "selective": self.selective}
        values = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(replace(self, conformal=None, selective=None)).items()
        }
        for name, one in fitted.items():
            del values[name]
            if one is not None:
                values[name] = one.to_dict()
        return values


def calibrate(
    model: SpecCarrier,
    split: Split,
    *,
    coverage: float | None = COVERAGE,
    method: ConformalMethod = "lac",
    class_conditional: bool = False,
    **options: Unpack[SplitOptions],
) -> Calibration:
    """Make a model say how sure it is: probabilities that fit, and sets that contain the truth.

    Its temperature becomes that of `medzoo.fit_temperature`. Its prediction sets (conformal
    prediction) contain the class of a new image with the probability `coverage`, provided that the
    image is of the same kind as those of the split; for multi-label tasks, they contain on average
    this share of an image's labels (conformal risk control). Its risks are upper bounds of the
    share of wrong answers, so that `medzoo.predict` can be told to answer only where that share is
    small (``abstain_above=``); with a probability of 95 % they hold. From then on, `medzoo.predict`
    gives sets and risks, and `medzoo.evaluate` measures the sets; `medzoo.save_weights` and
    `medzoo.export` store all of it. The weights stay as they are.

    Args:
        model: A model of `medzoo.create_model`, an ensemble, or a compiled model.
        split: Labelled images that the model was not trained on and that will not measure it
            either: ``data.val``.
        coverage: Share of the images whose class is in the set, in (0, 1); a higher one makes
            larger sets. None for no sets.
        method: ``"lac"``: the classes whose probability is at least a threshold, which gives the
            smallest sets; or ``"aps"``: the most probable classes until their probabilities add up
            to more than a threshold, which covers difficult and easy images more evenly. The most
            probable class is always in the set. Multi-label tasks have ``"lac"`` only, and their
            sets may be empty.
        class_conditional: Whether the coverage is to hold for the images of each class. It needs
            enough images of each, and makes sets larger.
        **options: ``batch_size``, ``device``, ``precision``, ``spec``, ``progress``, ``sharded``;
            see `medzoo.inference.SplitOptions`.

    Returns:
        Temperature, thresholds and bounds of the risk, and scores before and after.

    Raises:
        TypeError: If the model has no temperature to set, `split` is not a `Split`, or the coverage
            is not a number.
        ValueError: As `medzoo.fit_temperature`; or if the split has too few images for the
            coverage (9 for 0.9, 19 for 0.95, with `class_conditional` of each class), the coverage
            is not in (0, 1), or the method does not fit the task. The model is then unchanged.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("breastmnist", n_train=64)
        >>> model = medzoo.train("simple_cnn", data, {"epochs": 1}).model
        >>> found = medzoo.calibrate(model, data.val, coverage=0.8)
        >>> model.temperature == found.temperature
        True
        >>> medzoo.predict(model, data.test.images[0]).coverage
        0.8
    """
    check_options(calibrate, options)
    if not isinstance(model, SpecCarrier):
        raise TypeError(
            f"model is a {type(model).__name__}, which has no temperature to set; give the "
            "model of medzoo.create_model itself, or use medzoo.fit_temperature and "
            "evaluate(temperature=)"
        )
    if (given := options.get("spec")) is not None and given.input != model.spec.input:
        raise ValueError(
            f"spec= says that images are {given.input}, the model {model.spec.input}; what is "
            "fitted to other images does not fit the model: set model.spec first"
        )
    logits = uncalibrated_logits(cast(Model, model), split, **options)
    temperature = best_temperature(logits, split) or 1.0
    logits_before, logits_after = logits / model.temperature, logits / temperature
    before, after = _metrics(logits_before, split), _metrics(logits_after, split)
    conformal, shares = None, probabilities(logits_after, split.info.task)
    if coverage is not None:
        if split.info.multi_label and not model.spec.multi_label:
            raise ValueError(
                f"{split.title} is multi-label, and the model does not say that it is, so its "
                "prediction sets would be those of a single-label model; make one with "
                "create_model(..., dataset=data)"
            )
        conformal = fit_conformal(
            shares,
            split,
            coverage=coverage,
            method=method,
            class_conditional=class_conditional,
        )
    is_same_task = split.info.multi_label == model.spec.multi_label
    selective = fit_selective(shares, split) if is_same_task else None
    model.spec = replace(
        model.spec, temperature=temperature, conformal=conformal, selective=selective
    )
    return Calibration(
        temperature=temperature,
        auc=after.auc,
        acc=after.acc,
        ece=after.ece,
        nll=negative_log_likelihood(logits_after, split),
        ece_before=before.ece,
        nll_before=negative_log_likelihood(logits_before, split),
        conformal=conformal,
        selective=selective,
    )


def _metrics(logits: Tensor, split: Split) -> Metrics:
    info = split.info
    scores = probabilities(logits, info.task)
    return compute_metrics(split.labels, scores, info.task, info.classes, warn=False)
