"""Arguments that architectures have in common: numbers per stage, rates, and layers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from timm.layers import create_attn, get_act_layer
from torch import nn

from medzoo.errors import unknown_name
from medzoo.spec.checks import MAX_ARGUMENT, check_whole, is_finite

GATES = ("cbam", "coord", "eca", "ecam", "ese", "gc", "gca", "lcbam", "se")
"""timm's names of the gates that take a map of any size and keep its shape."""

ACTIVATIONS = (
    "celu",
    "elu",
    "gelu",
    "hard_mish",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "tanh",
)
"""timm's names of the activations, one name for each."""
_AVERAGES = ("avg", "max", "avgmax", "catavgmax")
POOLINGS = (*_AVERAGES, "fast", *(f"fast{name}" for name in _AVERAGES))
"""timm's names of the poolings before a classifier."""


def check_positive(name: str, value: Any) -> None:
    """Check that an argument is a whole number from 1.

    Args:
        name: The argument, for the message.
        value: Its value.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is below 1 or too large.
    """
    check_whole(name, value, 1, MAX_ARGUMENT)


def check_kernel(name: str, value: Any) -> None:
    """Check that the side of a convolution's kernel is odd, so that its output can be centred.

    Args:
        name: The argument, for the message.
        value: Its value, in pixels.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is below 1, too large, or even.
    """
    check_positive(name, value)
    if value % 2 == 0:
        raise ValueError(f"{name}={value} is even; the side of a kernel is 1, 3, 5, ... pixels")


def check_factor(name: str, value: Any) -> None:
    """Check that a factor on the number of channels is above 0.

    Args:
        name: The argument, for the message.
        value: Its value.

    Raises:
        TypeError: If it is not a finite number.
        ValueError: If it is not above 0.
    """
    _check_finite(name, value, "above 0")
    if value <= 0:
        raise ValueError(f"{name}={value!r} must be above 0")


def check_rate(name: str, value: Any) -> None:
    """Check that a share of what is dropped in training is in [0, 1).

    Args:
        name: The argument, for the message.
        value: Its value.

    Raises:
        TypeError: If it is not a finite number.
        ValueError: If it is outside of [0, 1).
    """
    _check_finite(name, value, "in [0, 1)")
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value!r} must be in [0, 1)")


def _check_finite(name: str, value: Any, where: str) -> None:
    if not is_finite(value):
        raise TypeError(f"{name}={value!r:.80} must be a finite number {where}")


def check_activation(name: Any) -> None:
    """Check that timm has an activation, unless a function that makes one is given.

    Args:
        name: The argument `act_layer`.

    Raises:
        TypeError: If it is neither a name nor a function.
        ValueError: If the name is unknown.
    """
    if not isinstance(name, str):
        if not callable(name):
            raise TypeError(f"act_layer={name!r:.80} must be a name, such as 'relu' or 'silu'")
        return
    try:
        found = get_act_layer(name)
    except KeyError:
        found = None
    if found is None:
        raise unknown_name("act_layer", name, ACTIVATIONS)


def check_pooling(name: Any) -> None:
    """Check that timm has a pooling before the classifier.

    Args:
        name: The argument `global_pool`; ``""`` for none.

    Raises:
        TypeError: If it is not a name.
        ValueError: If the name is unknown.
    """
    if not isinstance(name, str):
        raise TypeError(f"global_pool={name!r:.80} must be a name, such as 'avg' or 'max'")
    if name and name.lower() not in POOLINGS:
        raise unknown_name("global_pool", name, POOLINGS)


def check_pooled(pooling: Any, num_classes: int) -> None:
    """Check that a classifier gets pooled features.

    Args:
        pooling: timm's name of the pooling; ``""`` for none.
        num_classes: Number of logits; 0 for no classifier.

    Raises:
        ValueError: If a classifier would get a map.
    """
    if pooling == "" and num_classes:
        raise ValueError(
            "global_pool='' gives the classifier a map; use 'avg', or num_classes=0 for maps"
        )


def per_stage(
    name: str,
    value: Any,
    stages: int | None = None,
    check: Callable[[str, Any], None] = check_positive,
) -> list[Any]:
    """Return an argument as a list of one checked number per stage.

    Args:
        name: The argument, for messages.
        value: A number for all stages, or a list or tuple of one per stage.
        stages: Number of stages; None if this argument decides it, as a list or tuple.
        check: Raises an error for a number that does not fit.

    Raises:
        TypeError: If something is not a number.
        ValueError: If a number does not fit, or there are more or fewer than stages.
    """
    is_list = isinstance(value, list | tuple)
    if stages is None and not (is_list and value):
        kind = ValueError if is_list else TypeError
        raise kind(f"{name}={value!r:.80} must be a list of at least one number, one per stage")
    numbers: Sequence[Any] = value if is_list else [value] * (stages or 0)
    if stages is not None and len(numbers) != stages:
        raise ValueError(
            f"{name}={value!r:.80} has {len(numbers)} numbers for the {stages} stages that widths "
            "describes; give as many as widths has"
        )
    for number in numbers:
        check(name, number)
    return list(numbers)


def create_gate(attention: str, channels: int, **options: Any) -> nn.Module:
    """Make a gate that scales a map, by timm's name.

    Args:
        attention: One of `GATES`, or ``""`` for none.
        channels: Channels of the map.
        **options: Other arguments of timm's module.

    Raises:
        ValueError: If the name is unknown.
    """
    if attention not in ("", *GATES):
        raise unknown_name("attention", attention, GATES)
    return create_attn(attention or None, channels, **options) or nn.Identity()
