"""Answering only where a model's risk is low enough."""

from __future__ import annotations

from medzoo.inference.conformal import runs_as_calibrated
from medzoo.inference.options import Settings
from medzoo.spec import ModelSpec, SelectiveSpec
from medzoo.spec.checks import is_finite


def selective_for(
    spec: ModelSpec, settings: Settings, own: ModelSpec | None = None, threshold: object = None
) -> SelectiveSpec | None:
    """Return the bounds of a model's risk; None if it has none, or they are not for how it is run.

    Args:
        spec: As for `medzoo.inference.conformal.runs_as_calibrated`.
        settings: As there.
        own: As there.
        threshold: The threshold of the decisions; they were bounded without one.
    """
    holds = threshold is None and runs_as_calibrated(spec, settings, own)
    return spec.selective if holds else None


def check_risk(abstain_above: object, spec: ModelSpec, risks: SelectiveSpec | None) -> None:
    """Refuse a risk that a model cannot keep.

    Args:
        abstain_above: The risk above which no answer is to be given.
        spec: What the model is.
        risks: What `selective_for` returns.

    Raises:
        TypeError: If the risk is not a number.
        ValueError: If it is not in (0, 1), the model does not know its risks, they do not hold for
            how it is run, or all of them are higher.
    """
    if not is_finite(abstain_above) and not isinstance(abstain_above, float):
        raise TypeError(f"abstain_above={abstain_above!r:.80} must be a number between 0 and 1")
    if not 0 < abstain_above < 1:  # type: ignore[operator]
        raise ValueError(f"abstain_above={abstain_above!r:.80} must be a number between 0 and 1")
    if spec.selective is None:
        raise ValueError(
            f"abstain_above={abstain_above!r}, but the model does not know its risks; call "
            "medzoo.calibrate(model, data.val) first (on the command line: medzoo calibrate)"
        )
    if risks is None:
        raise ValueError(
            f"abstain_above={abstain_above!r} is for the model as it was calibrated, without "
            "threshold=, tta=, temperature= and spec=; leave these out, or let "
            "medzoo.choose_confidence choose min_confidence= with the same options"
        )
    if (lowest := min(risks.bounds)) > abstain_above:  # type: ignore[operator]
        raise ValueError(
            f"abstain_above={abstain_above!r}, but the {risks.images:,} images that the model was "
            f"calibrated on show no lower risk than {lowest:.3g} for any of its answers; give a "
            "higher one, or calibrate it on more images"
        )
