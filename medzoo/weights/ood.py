"""The detector of images of another kind that is stored with a model's weights."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medzoo.spec.checks import is_positive

if TYPE_CHECKING:
    from torch import Tensor

# torch is imported where tensors are used: headers are read without it, and quickly.

_VERSION = 1
_LARGEST = 1e12
_MOST_TEXT = 4 << 20  # characters; the axes of 640 features take 110,000


@dataclass(frozen=True, eq=False)
class OODDetector:
    """Measures how far an image is from those that a model was trained on.

    The measure is the Mahalanobis distance of an image's features, standardised, from their mean
    over training images. The covariance is that of probabilistic PCA: as observed along the axes
    of largest variance, and the same in all other directions. The distance is divided by the one
    that 95 % of the validation images do not exceed. `medzoo.fit_ood_detector` makes it.

    Attributes:
        mean: Mean of the features, float32 (D,).
        scale: Their standard deviations, float32 (D,), above 0.
        axes: Axes of largest variance as columns, float32 (D, k), rounded to float16.
        variances: Variances along the axes, float32 (k,), above 0.
        rest_variance: Variance in each other direction, above 0.
        threshold: Distance above which an image is of another kind, above 0.

    Raises:
        ValueError: If shapes or values do not fit.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    variances: Tensor
    rest_variance: float
    threshold: float

    def __post_init__(self) -> None:
        shape = (len(self.mean), len(self.variances))
        if tuple(self.axes.shape) != shape or not 1 <= shape[1] <= shape[0] == len(self.scale):
            raise ValueError(f"axes of {tuple(self.axes.shape)} for {shape[0]} features")
        if not all(bool(part.isfinite().all()) for part in (self.mean, self.axes)):
            raise ValueError("an out-of-distribution detector has NaN or infinite numbers")
        several = (*self.variances.tolist(), *self.scale.tolist())
        for value in (self.rest_variance, self.threshold, *several):
            if not is_positive(value, _LARGEST):
                raise ValueError(f"{value!r:.40} is not a variance or threshold of a detector")

    @property
    def features(self) -> int:
        """How many features it expects."""
        return len(self.mean)

    def score(self, features: Tensor) -> Tensor:
        """Return the out-of-distribution scores of images.

        Args:
            features: (N, D), on any device.

        Returns:
            float32 (N,), from 0; above 1, an image is farther away than 95 % of the validation
            images.
        """
        import torch

        mean, scale, axes, variances = (
            part.to(features.device) for part in (self.mean, self.scale, self.axes, self.variances)
        )
        # In few operations, each of which takes a single image longer than its arithmetic.
        standardised = (features.float() - mean) / scale
        along = standardised @ axes
        rest = torch.addmm(standardised, along, axes.T, alpha=-1) / self.rest_variance**0.5
        return torch.cat((along * variances.rsqrt(), rest), dim=1).norm(dim=1) / self.threshold

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; tensors are base64 of little-endian numbers."""
        return {
            "version": _VERSION,
            "mean": _encoded(self.mean, "<f4"),
            "scale": _encoded(self.scale, "<f4"),
            "axes": _encoded(self.axes, "<f2"),
            "variances": _encoded(self.variances, "<f4"),
            "rest_variance": self.rest_variance,
            "threshold": self.threshold,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OODDetector:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            TypeError: If a value has the wrong type.
            ValueError: If a value is missing, unknown, or does not fit.
        """
        names = {"version", "mean", "scale", "axes", "variances", "rest_variance", "threshold"}
        if not isinstance(values, Mapping):
            raise TypeError(f"{values!r:.80} is not an out-of-distribution detector")
        if values.keys() != names or values["version"] != _VERSION:
            raise ValueError(
                f"an out-of-distribution detector of version {values.get('version')!r:.20} with "
                f"{sorted(map(str, values))!s:.200}, expected {_VERSION} with {sorted(names)}"
            )
        mean, scale, variances = (
            _decoded(values[name], "<f4") for name in ("mean", "scale", "variances")
        )
        axes = _decoded(values["axes"], "<f2")
        if len(axes) != len(mean) * len(variances):
            raise ValueError(f"{len(axes)} numbers of {len(variances)} axes, {len(mean)} features")
        axes = axes.reshape(len(mean), len(variances))
        return cls(mean, scale, axes, variances, values["rest_variance"], values["threshold"])


def _encoded(numbers: Tensor, kind: str) -> str:
    return base64.b64encode(numbers.numpy().astype(kind).tobytes()).decode()


def _decoded(text: object, kind: str) -> Tensor:
    import numpy as np
    import torch

    if not isinstance(text, str) or len(text) > _MOST_TEXT:
        raise TypeError(f"{text!r:.40} is not the text of a detector's numbers")
    content = base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
    return torch.from_numpy(np.frombuffer(content, kind).astype(np.float32))
