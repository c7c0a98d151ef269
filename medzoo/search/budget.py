"""Whether any network of a search fits into its budget."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from medzoo.datasets import Dataset
from medzoo.search.architectures import suggest_architecture


def check_budget(
    architecture: str,
    data: Dataset,
    max_params: float | None,
    max_mflop: float | None,
    model_args: Mapping[str, Any] | None = None,
    vary: Collection[str] | None = None,
) -> None:
    """Make sure that the smallest network of an architecture's space fits into a budget.

    Args:
        architecture: One of medzoo's.
        data: Its images.
        max_params: Largest number of parameters, or None.
        max_mflop: Most operations for one image, in millions, or None.
        model_args: Arguments of the network that stay as they are.
        vary: Names of the arguments that may vary; all by default.

    Raises:
        TypeError: If a limit is not a number.
        ValueError: If it does not fit, or a limit is not above 0.
    """
    trial = optuna.create_study(sampler=_Least()).ask()
    try:
        suggest_architecture(
            trial,
            architecture,
            data.info,
            data.size,
            max_params=max_params,
            max_mflop=max_mflop,
            model_args=model_args,
            vary=vary,
        )
    except optuna.TrialPruned as pruned:
        raise ValueError(
            f"no network of the search fits: {pruned}; allow more, or leave {architecture} out of "
            "models="
        ) from None


class _Least(BaseSampler):
    """Chooses the network that costs least."""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        if isinstance(distribution, IntDistribution):
            return distribution.low
        assert isinstance(distribution, CategoricalDistribution)
        # Smaller maps are cheaper; of all else, the first option is the cheapest.
        return distribution.choices[-1 if "stride" in name else 0]
