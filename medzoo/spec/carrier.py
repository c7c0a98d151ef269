"""What everything that carries a spec offers of it directly."""

from __future__ import annotations

from dataclasses import replace

from medzoo.datasets import DatasetInfo
from medzoo.errors import warn_caller
from medzoo.spec.model import ModelSpec


def without_outdated(before: ModelSpec | None, after: ModelSpec) -> ModelSpec:
    """Return a spec without the sets and risks of the one that it replaces, if they do not hold.

    Another input or temperature gives other probabilities than those that they were fitted to.

    Args:
        before: The spec until now, if there was one.
        after: The new one; what it does not share with the other was fitted for it.
    """
    if before and (before.input, before.temperature) != (after.input, after.temperature):
        if after.conformal is before.conformal:
            after = replace(after, conformal=None)
        if after.selective is before.selective:
            after = replace(after, selective=None)
    return after


class SpecCarrier:
    """A model that carries its spec; the properties read it, and setting one replaces it.

    Attributes:
        spec: What the model is.
    """

    spec: ModelSpec

    def current_spec(self, spec: ModelSpec) -> ModelSpec:
        """Return what the model is now; models whose parts may change without it override this.

        Args:
            spec: What it was when the spec was set.
        """
        return spec

    @property
    def architecture(self) -> str:
        """The name that builds it; empty if unknown."""
        return self.spec.architecture

    @property
    def dataset(self) -> DatasetInfo | None:
        """The data set that it was made for or trained on, or None."""
        return self.spec.dataset

    @property
    def temperature(self) -> float:
        """What its logits are divided by to become probabilities; can be set.

        Another one makes other probabilities, so what `medzoo.calibrate` fitted is dropped.
        """
        return self.spec.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        spec = replace(self.spec.uncalibrated(), temperature=value)
        if self.spec.conformal is not None or self.spec.selective is not None:
            if spec.temperature == self.spec.temperature:
                return
            warn_caller(
                "prediction sets and risks were calibrated for the earlier temperature, so the "
                "model gives none any more; medzoo.calibrate sets all of them"
            )
        self.spec = spec

    @property
    def licence(self) -> str:
        """Licence of its weights; empty if unknown or untrained. It can be set."""
        return self.spec.licence

    @licence.setter
    def licence(self, value: str) -> None:
        self.spec = replace(self.spec, licence=value)
