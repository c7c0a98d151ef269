"""What an architecture search varies in each of medzoo's architectures, within a budget."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from medzoo.datasets import DatasetInfo
from medzoo.errors import unknown_name
from medzoo.lazy import import_optional
from medzoo.models import (
    AdvancedCNN,
    AttentionUNet,
    EfficientNet,
    SimpleCNN,
    model_cost,
    network_args,
)
from medzoo.models._stages import check_factor

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

GATES = ("", "se", "eca", "cbam")
KERNELS = (3, 5)
CHANNELS = 8
"""Widths are multiples of it, which processors compute fastest, and it is the smallest."""
FINEST = 14
"""Largest height and width of the last stage's map, in positions; the smallest is 2."""
WIDTHS = ("widths", "head_width")
"""Arguments that a budget reduces."""


def suggest_architecture(
    trial: BaseTrial,
    architecture: str,
    info: DatasetInfo,
    size: int,
    *,
    max_params: float | None = None,
    max_mflop: float | None = None,
    model_args: Mapping[str, Any] | None = None,
    vary: Collection[str] | None = None,
) -> dict[str, Any]:
    """Let a trial of an Optuna study choose the arguments of an architecture.

    A network that would cost more than allowed gets narrower: all widths that may vary are
    multiplied by the same factor, so that few trials are spent on what may not be used. The trial's
    user attributes ``model_args``, ``parameters`` and ``mflop`` say what the network is and costs.

    Args:
        trial: The trial; names of its parameters begin with the architecture's.
        architecture: One of medzoo's, e.g. ``"efficientnet"``.
        info: The data set, whose channels and classes count.
        size: Height and width of its images, in pixels.
        max_params: Largest number of parameters, or None.
        max_mflop: Most operations for one image, in millions (`medzoo.models.ModelCost`), or None.
        model_args: Arguments that stay as they are, e.g. ``{"global_pool": "catavgmax"}``.
        vary: Names of the arguments that may vary, e.g. ``("widths", "depths")``; all by default.

    Returns:
        Arguments for `medzoo.create_model` and `medzoo.Recipe.model_args`, `model_args` included.

    Raises:
        TypeError: If a limit is not a number.
        ValueError: If the architecture is unknown or not medzoo's, a limit is not above 0 or given
            although widths may not vary, `vary` names what the architecture does not vary, or
            `model_args` has other values of what is chosen here than `create_model` has.
        optuna.TrialPruned: If it costs more than allowed although all these widths are 8.
        ImportError: If Optuna is not installed: ``pip install 'medzoo[search]'``.

    Example:
        >>> import medzoo, optuna
        >>> info = medzoo.dataset_info("octmnist")
        >>> defaults = default_architecture_params("simple_cnn", info, 28)
        >>> trial = optuna.trial.FixedTrial(defaults)
        >>> suggest_architecture(trial, "simple_cnn", info, 28, max_params=5e5)["widths"]
        [40, 88, 168]
    """
    optuna = import_optional("optuna", "architecture search needs", "search")
    for name, limit in (("max_params", max_params), ("max_mflop", max_mflop)):
        if limit is not None:
            check_factor(name, limit)
    fixed = dict(model_args or {})
    vary = _named_args(vary, architecture, info, size)
    check_fixed_args(architecture, info, size, fixed, vary=vary)
    found = _choose(_Chooser(architecture, trial, vary), architecture, info, size, fixed)
    narrowed = [name for name in WIDTHS if name in found]
    if "widths" not in narrowed and not (max_params is None and max_mflop is None):
        raise ValueError(
            f"max_params={max_params} and max_mflop={max_mflop} make networks narrower, but the "
            f"widths of {architecture} may not vary; add 'widths' to what may, or set no limit"
        )
    args = chosen = fixed | found
    factor = 1.0
    while True:
        cost = model_cost(architecture, dataset=info, size=size, **args)
        excess = max(
            cost.parameters / (max_params or math.inf), cost.mflop / (max_mflop or math.inf)
        )
        if excess <= 1:
            break
        while (narrower := chosen | _scaled(chosen, narrowed, factor)) == args:
            if _scaled(args, narrowed, 0) == {name: args[name] for name in narrowed}:
                raise optuna.TrialPruned(
                    f"even with {CHANNELS} channels everywhere, {architecture} has {cost}, more "
                    f"than max_params={max_params}, max_mflop={max_mflop}"
                )
            factor *= min(0.98, excess**-0.5)  # costs grow with the square of the widths
        args = narrower
    trial.set_user_attr("model_args", args)
    trial.set_user_attr("parameters", cost.parameters)
    trial.set_user_attr("mflop", cost.mflop)
    return args


def default_architecture_params(
    architecture: str,
    info: DatasetInfo,
    size: int,
    *,
    model_args: Mapping[str, Any] | None = None,
    vary: Collection[str] | None = None,
) -> dict[str, int | float | str]:
    """Return the trial's parameters that stand for the network which `create_model` builds.

    Args:
        architecture: One of medzoo's.
        info: The data set.
        size: Height and width of its images, in pixels.
        model_args: Arguments that stay as they are.
        vary: Names of the arguments that may vary; all by default.

    Returns:
        Values by name, for Optuna's `Study.enqueue_trial`.

    Raises:
        ValueError: If the architecture is unknown or not medzoo's, or `vary` names what it does not
            vary.
    """
    chooser = _Chooser(architecture, vary=_named_args(vary, architecture, info, size))
    _choose(chooser, architecture, info, size, model_args or {})
    return chooser.taken


def searchable_args(architecture: str, info: DatasetInfo, size: int) -> list[str]:
    """Return the names of the arguments that a search can vary.

    Args:
        architecture: One of medzoo's.
        info: The data set.
        size: Height and width of its images, in pixels.

    Raises:
        ValueError: If the architecture is unknown or not medzoo's.
    """
    return list(_choose(_Chooser(architecture), architecture, info, size))


def check_fixed_args(
    architecture: str,
    info: DatasetInfo,
    size: int,
    fixed: Mapping[str, Any],
    varied: Iterable[str] = (),
    *,
    vary: Collection[str] | None = None,
) -> None:
    """Make sure that arguments are not those that an architecture search chooses itself.

    Args:
        architecture: One of medzoo's.
        info: The data set.
        size: Height and width of its images, in pixels.
        fixed: Arguments of a recipe. They may have the values of the network that `create_model`
            builds, which the search starts from.
        varied: Arguments that a space of recipes changes.
        vary: Names of the arguments that the architecture search may vary; all by default.

    Raises:
        ValueError: If an argument is chosen by the architecture search.
    """
    own = _choose(_Chooser(architecture, vary=vary), architecture, info, size)
    default = _default_args(architecture, info, size)
    for name in own:
        if name in varied:
            raise ValueError(
                f"space= changes model_args {name!r}, which the search for an architecture of "
                f"{architecture} changes, too; leave it out of the space, or leave out "
                "architecture=, max_params= and max_mflop="
            )
        if name in fixed and _plain(fixed[name]) not in map(_plain, (default[name], own[name])):
            raise ValueError(
                f"model_args: {name}={fixed[name]!r:.100} is not where the search for an "
                f"architecture of {architecture} starts, {name}={_plain(default[name])!r}, and "
                "would be replaced; leave it out of the recipe, or leave out architecture=, "
                "max_params= and max_mflop="
            )


def _named_args(
    vary: Collection[str] | None, architecture: str, info: DatasetInfo, size: int
) -> list[str] | None:
    """Return the names of arguments that may vary, each of which the architecture has."""
    if vary is None:
        return None
    names = [vary] if isinstance(vary, str) else list(vary)
    known = searchable_args(architecture, info, size)
    for name in names:
        if name not in known:
            raise unknown_name("argument in vary=", name, known)
    return names


class _Chooser:
    """Asks a trial for values; without one, takes the defaults and remembers them by name.

    What may not vary has its default, and is neither asked for nor remembered.
    """

    def __init__(
        self, prefix: str, trial: BaseTrial | None = None, vary: Collection[str] | None = None
    ) -> None:
        self._prefix, self._trial, self._vary = prefix, trial, vary
        self.taken: dict[str, int | float | str] = {}

    def varies(self, argument: str) -> bool:
        """Return whether an argument of the architecture may vary."""
        return self._vary is None or argument in self._vary

    def one_of(self, name: str, default: Any, options: Sequence[Any]) -> Any:
        """Return one of some options."""
        if not self.varies(_argument(name)):
            return default
        name = f"{self._prefix}.{name}"
        self.taken[name] = (
            default if self._trial is None else self._trial.suggest_categorical(name, options)
        )
        return self.taken[name]

    def whole(self, name: str, default: int, low: int, high: int, step: int = 1) -> Any:
        """Return a whole number from `low` to `high`."""
        if not self.varies(_argument(name)):
            return default
        name = f"{self._prefix}.{name}"
        self.taken[name] = (
            default if self._trial is None else self._trial.suggest_int(name, low, high, step=step)
        )
        return self.taken[name]

    def width(self, name: str, default: int) -> Any:
        """Return a number of channels, from half of the default to twice as many."""
        low = max(CHANNELS, default // 2 // CHANNELS * CHANNELS)
        return self.whole(name, default, low, 2 * default, CHANNELS)

    def each(
        self, choose: Callable[..., Any], name: str, defaults: Sequence[Any], *limits: Any
    ) -> list[Any]:
        """Return one value per stage, numbered from 1."""
        return [choose(f"{name}_{i}", default, *limits) for i, default in enumerate(defaults, 1)]


def _argument(name: str) -> str:
    """Return to which argument a trial's parameter belongs: ``depth_2`` to ``depths``."""
    if not (numbered := re.fullmatch(r"(.+)_\d+", name)):
        return name
    stem = numbered[1]
    return f"{stem}s" if stem in ("width", "depth", "stride") else stem


def _choose(
    choose: _Chooser,
    architecture: str,
    info: DatasetInfo,
    size: int,
    fixed: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Choose the arguments that vary; the defaults are those that `create_model` has."""
    default = _default_args(architecture, info, size) | dict(fixed)
    if "depths" in default:  # these may be one number for all stages
        for name in ("depths", "strides", "kernel_size", "expansion"):
            if not isinstance(default[name], list | tuple):
                default[name] = [default[name]] * len(default["widths"])
    args = _SPACES[architecture][1](choose, default, size)
    return {name: value for name, value in args.items() if choose.varies(name)}


def _default_args(architecture: str, info: DatasetInfo, size: int) -> dict[str, Any]:
    if architecture not in _SPACES:
        raise unknown_name("architecture for a search", architecture, _SPACES)
    parameters = signature(_SPACES[architecture][0]).parameters
    default = {name: one.default for name, one in parameters.items()}
    return default | network_args(architecture, info.name, size)


def _plain(value: Any) -> Any:
    """Return sequences as lists, as recipes have them."""
    return [*map(_plain, value)] if isinstance(value, list | tuple) else value


def _advanced_cnn(choose: _Chooser, default: Mapping[str, Any], size: int) -> dict[str, Any]:
    return {
        **_stages(choose, default, size),
        "expansion": choose.each(choose.one_of, "expansion", default["expansion"], (0.5, 1.0, 2.0)),
    }


def _efficientnet(choose: _Chooser, default: Mapping[str, Any], size: int) -> dict[str, Any]:
    stages = len(default["widths"])
    return {
        **_stages(choose, default, size),
        "expansion": choose.each(choose.one_of, "expansion", default["expansion"], (2, 3, 4, 6)),
        "fused_stages": choose.whole("fused_stages", default["fused_stages"], 0, stages),
        "head_width": choose.width("head_width", default["head_width"]),
        "act_layer": choose.one_of("act_layer", default["act_layer"], ("relu", "silu")),
    }


def _stages(choose: _Chooser, default: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Choose what networks of residual blocks have in common."""
    stem_stride, *strides = _strides(choose, [default["stem_stride"], *default["strides"]], size)
    return {
        "widths": choose.each(choose.width, "width", default["widths"]),
        "depths": choose.each(choose.whole, "depth", default["depths"], 1, 6),
        "strides": strides,
        "kernel_size": choose.each(choose.one_of, "kernel_size", default["kernel_size"], KERNELS),
        "attention": choose.one_of("attention", default["attention"], GATES),
        "stem_stride": stem_stride,
        "stem_kernel_size": choose.one_of("stem_kernel_size", default["stem_kernel_size"], KERNELS),
    }


def _strides(choose: _Chooser, defaults: Sequence[int], size: int) -> list[int]:
    """Choose where the map is halved: at the stem, and at each stage.

    The last map has from 2 to 14 positions each way, so that it is neither a single one nor as
    expensive as the image. A trial is asked only where this leaves a choice.
    """
    least, most = math.ceil(math.log2(size / FINEST)), math.ceil(math.log2(size)) - 1
    varies = [
        choose.varies("strides" if place else "stem_stride") for place in range(len(defaults))
    ]
    kept = [stride for stride, can_vary in zip(defaults, varies, strict=True) if not can_vary]
    halvings, left = math.log2(math.prod(kept)), sum(varies)
    strides: list[int] = []
    for place, (default, can_vary) in enumerate(zip(defaults, varies, strict=True)):
        if not can_vary:
            strides.append(default)
            continue
        if halvings > most - 1:
            strides.append(1)
        elif least - halvings >= left:
            strides.append(2)
        else:
            name = f"stride_{place}" if place else "stem_stride"
            strides.append(choose.one_of(name, default, (1, 2)))
        halvings, left = halvings + strides[-1] - 1, left - 1
    return strides


def _simple_cnn(choose: _Chooser, default: Mapping[str, Any], size: int) -> dict[str, Any]:
    fits = 2 ** len(default["widths"]) < size  # each width after the first halves the map, too
    return {
        "widths": choose.each(choose.width, "width", default["widths"]),
        "depth": choose.whole("depth", default["depth"], 1, 4),
        "kernel_size": choose.one_of("kernel_size", default["kernel_size"], KERNELS),
        "stem_stride": choose.one_of("stem_stride", default["stem_stride"], (1, 2)) if fits else 1,
    }


def _attention_unet(choose: _Chooser, default: Mapping[str, Any], size: int) -> dict[str, Any]:
    return {
        **_simple_cnn(choose, default, size),
        "head_width": choose.width("head_width", default["head_width"]),
    }


_SPACES: dict[str, tuple[type, Callable[..., dict[str, Any]]]] = {
    "advanced_cnn": (AdvancedCNN, _advanced_cnn),
    "attention_unet": (AttentionUNet, _attention_unet),
    "efficientnet": (EfficientNet, _efficientnet),
    "simple_cnn": (SimpleCNN, _simple_cnn),
}


def _scaled(args: Mapping[str, Any], names: Collection[str], factor: float) -> dict[str, Any]:
    """Return named widths multiplied by a factor, as multiples of 8."""

    def scaled(width: int) -> int:
        return max(CHANNELS, round(width * factor / CHANNELS) * CHANNELS)

    return {
        name: [*map(scaled, args[name])] if name == "widths" else scaled(args[name])
        for name in names
    }
