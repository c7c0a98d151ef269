"""The images that a model expects: channels, size and normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medzoo.datasets import DatasetInfo
from medzoo.spec.checks import (
    MAX_CHANNELS,
    MAX_SIZE,
    MAX_STATISTIC,
    as_tuple,
    check_whole,
    exactly,
    is_finite,
    is_positive,
)

if TYPE_CHECKING:
    from medzoo.datasets import Dataset, Split


@dataclass(frozen=True)
class InputSpec:
    """The images that a model expects.

    Attributes:
        channels: 1 (gray), 3 (RGB), or as many as a network of other images takes.
        size: Height (= width) in pixels, at most 4096.
        mean: Mean of each channel, for images scaled to [0, 1].
        std: Standard deviation of each channel, for images scaled to [0, 1]; above 0.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a value does not fit.

    Example:
        >>> InputSpec(channels=1, size=28, mean=(0.5,), std=(0.25,)).shape
        (1, 28, 28)
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        check_whole("channels", self.channels, 1, MAX_CHANNELS)
        check_whole("size", self.size, 1, MAX_SIZE)
        for name in ("mean", "std"):
            object.__setattr__(self, name, as_tuple(name, getattr(self, name)))
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(
                f"mean={self.mean!r} and std={self.std!r} need one value for each of the "
                f"{self.channels} channels"
            )
        means_fit = all(is_finite(v) and abs(v) <= MAX_STATISTIC for v in self.mean)
        if not means_fit or not all(is_positive(v, MAX_STATISTIC) for v in self.std):
            raise ValueError(
                f"mean={self.mean!r} and std={self.std!r} must be finite numbers of at most "
                f"{MAX_STATISTIC:g}, std above 0 (at least {1 / MAX_STATISTIC:g})"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return (self.channels, self.size, self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {
            "channels": self.channels,
            "size": self.size,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputSpec:
        """Rebuild from `to_dict`'s values.

        Args:
            values: The values, as read from JSON.

        Raises:
            TypeError: If a value has the wrong type.
            ValueError: If a value is missing, unknown, or does not fit.
        """
        return cls(**exactly(cls, values))

    @classmethod
    def for_data(cls, data: Dataset | Split | DatasetInfo) -> InputSpec:
        """Return the input that suits a data set.

        Args:
            data: A `Dataset` gives its size, channels, and its training images' mean and standard
                deviation; a `Split` its size, a `DatasetInfo` its smallest size, both with the
                mean and standard deviation that are known of the set, or 0.5 as in MedMNIST's own
                baselines if none are.
        """
        from medzoo.datasets import Dataset, Split  # here, because they import PyTorch

        if isinstance(data, Dataset):
            mean, std = data.mean_std()
            # A channel that never changes has no spread to scale by.
            return cls(data.info.channels, data.size, mean, tuple(s or 1.0 for s in std))
        info = data.info if isinstance(data, Split) else data
        default = (0.5,) * info.channels
        size = data.images.shape[-1] if isinstance(data, Split) else min(info.sizes, default=28)
        return cls(info.channels, size, info.mean or default, info.std or default)
