"""Calibrating a model, and measuring what that changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from medzoo.datasets import Split
from medzoo.evaluation.metrics import Metrics, compute_metrics
from medzoo.inference import Model, SplitOptions, probabilities
from medzoo.inference.calibration import (
    best_temperature,
    negative_log_likelihood,
    uncalibrated_logits,
)
from medzoo.spec import SpecCarrier

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature, and the scores of the split that it was fitted to.

    Attributes:
        temperature: What logits are divided by, above 0; 1.0 if the logits say no more than
            guessing.
        auc: AUC with it; with more than two classes, it may differ a little from the one before.
        acc: Accuracy with it.
        ece: Expected calibration error with it, in [0, 1]; see `Metrics.ece`.
        nll: Negative log-likelihood of the labels with it, the mean over images (and labels).
        ece_before: Expected calibration error with the temperature that the model had before.
        nll_before: Negative log-likelihood with that temperature.
    """

    temperature: float
    auc: float
    acc: float
    ece: float
    nll: float
    ece_before: float
    nll_before: float

    def __str__(self) -> str:
        return (
            f"temperature {self.temperature:.3g}: ECE {self.ece_before:.3f} -> {self.ece:.3f}, "
            f"NLL {self.nll_before:.3f} -> {self.nll:.3f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as JSON-safe values."""
        return asdict(self)


def calibrate(model: SpecCarrier, split: Split, **options: Unpack[SplitOptions]) -> Calibration:
    """Set a model's temperature to the one that fits a split best; `medzoo.save_weights` stores it.

    The temperature is that of `medzoo.fit_temperature`. The weights stay as they are.

    Args:
        model: A model of `medzoo.create_model`, an ensemble, or a compiled model.
        split: Labelled images that the model was not trained on and that will not measure it
            either: ``data.val``.
        **options: ``batch_size``, ``device``, ``precision``, ``spec``, ``progress``, ``sharded``;
            see `medzoo.inference.SplitOptions`.

    Returns:
        The temperature, and scores before and after.

    Raises:
        TypeError: If the model has no temperature to set, or `split` is not a `Split`.
        ValueError: As `medzoo.fit_temperature`.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("breastmnist")
        >>> model = medzoo.train("simple_cnn", data, {"epochs": 3}).model
        >>> found = medzoo.evaluation.calibrate(model, data.val)
        >>> model.temperature == found.temperature
        True
    """
    if not isinstance(model, SpecCarrier):
        raise TypeError(
            f"model={model!r:.80} has no temperature to set; give the model of "
            "medzoo.create_model itself, or use medzoo.fit_temperature and evaluate(temperature=)"
        )
    logits = uncalibrated_logits(cast(Model, model), split, **options)
    earlier, model.temperature = model.temperature, best_temperature(logits, split) or 1.0
    logits_before, logits_after = logits / earlier, logits / model.temperature
    before, after = _metrics(logits_before, split), _metrics(logits_after, split)
    return Calibration(
        temperature=model.temperature,
        auc=after.auc,
        acc=after.acc,
        ece=after.ece,
        nll=negative_log_likelihood(logits_after, split),
        ece_before=before.ece,
        nll_before=negative_log_likelihood(logits_before, split),
    )


def _metrics(logits: Tensor, split: Split) -> Metrics:
    info = split.info
    scores = probabilities(logits, info.task)
    return compute_metrics(split.labels, scores, info.task, info.classes, warn=False)
