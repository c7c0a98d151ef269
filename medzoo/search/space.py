"""What a search may change: choices and ranges for the fields of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias

from medzoo.datasets import Dataset, DatasetInfo
from medzoo.errors import unknown_name
from medzoo.lazy import import_optional
from medzoo.models import create_model
from medzoo.models._registry import ARCHITECTURES
from medzoo.training import Augmentation, Recipe
from medzoo.training.recipes.bundled import check_mixing
from medzoo.training.recipes.recipe import known_fields, merge
from medzoo.training.records.fingerprint import without_addresses

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

Domain: TypeAlias = "Sequence[Any] | Mapping[Any, Mapping[str, Any]] | BaseDistribution"
"""Choices; a mapping of choices to what is searched only with them; or a range of Optuna."""
Space: TypeAlias = "Mapping[str, Any] | Callable[[Trial, Recipe], Mapping[str, Any]]"
"""Fields of the recipe with their domains; or a function that suggests changes to the recipe."""

_NESTED = ("augmentation", "model_args")
_SMALLEST_BATCH = 8  # for the sake of batch normalisation
_EPOCHS_OF_BATCH = 4  # steps that an epoch has at least
KEEP = object()
"""What `choose` is told if a parameter is to have no value of its own."""


def default_space(
    recipes: Recipe | Sequence[Recipe], info: DatasetInfo, images: int
) -> dict[str, Any]:
    """Return what a search changes unless it is told otherwise.

    It holds optimiser and learning rate, weight decay, batch size, epochs and warm-up, label
    smoothing, the weights' moving average, class weights, dropout, if all start from trained
    weights how much less the early layers learn, and the augmentation that suits
    the images: colour images may be turned any way up, gray ones (radiographs, scans) only a
    little, and images whose classes tell left from right are not mirrored.

    Args:
        recipes: Recipe that the search starts from, one for each model.
        info: Description of the data set.
        images: Number of training images.

    Returns:
        A mapping like a recipe's, which may be changed: of fields to lists of choices, to mappings
        of choices to what depends on them, or to ranges (``optuna.distributions``).

    Raises:
        ImportError: If Optuna is not installed.
    """
    optuna = import_optional("optuna", "medzoo.search needs", "search")
    real, whole = optuna.distributions.FloatDistribution, optuna.distributions.IntDistribution
    bases = [recipes] if isinstance(recipes, Recipe) else list(recipes)
    epochs = [base.epochs for base in bases]
    largest = max(_SMALLEST_BATCH, min(256, images // _EPOCHS_OF_BATCH))
    colour, upright = info.channels == 3, info.has_laterality
    augmentation = {
        **({} if upright else {"horizontal_flip": [0.0, 0.5]}),
        **({"vertical_flip": [0.0, 0.5]} if colour and not upright else {}),
        "rotation": real(0, 180 if colour and not upright else 30),
        "scale": real(0, 0.3),
        "shift": real(0, 0.15),
        "brightness": real(0, 0.4),
        "contrast": real(0, 0.4),
        **({"saturation": real(0, 0.3)} if colour else {"widen": real(0, 1.5)}),
        "noise": real(0, 0.1),
        "erasing": real(0, 0.5),
        "mix_probability": {0.0: {}, 0.5: {"mixup": real(0.1, 0.4), "cutmix": [0.0, 1.0]}},
    }
    return {
        "optimizer": {
            "muon": {"learning_rate": real(0.003, 0.1, log=True)},
            "adamw": {"learning_rate": real(0.0003, 0.02, log=True)},
        },
        "weight_decay": real(0.001, 0.3, log=True),
        "batch_size": whole(_SMALLEST_BATCH, largest, log=True),
        "epochs": whole(max(1, min(epochs) // 2), 2 * max(epochs), log=True),
        "warmup": real(0, 0.4),
        "label_smoothing": real(0, 0.2),
        "ema_decay": sorted({0.98, 0.99, 0.995, 0.998}.union(base.ema_decay for base in bases)),
        "class_weights": ["none", "balanced"],
        "augmentation": augmentation,
        "model_args": {"drop_rate": real(0, 0.5)},
        **({"layer_decay": real(0.5, 1.0)} if all(base.backbone for base in bases) else {}),
    }


def choose(
    space: Mapping[str, Any],
    pick: Callable[[str, tuple[str, ...], Domain], Any],
    path: tuple[str, ...] = (),
    suffix: str = "",
) -> dict[str, Any]:
    """Choose a value from each domain of a space.

    Args:
        space: Fields with their domains.
        pick: Chooses a value, given the name of the parameter, its place in the recipe and its
            domain.
        path: Where in the recipe the fields are.
        suffix: Of the names, for what depends on a choice.

    Returns:
        Changes to the recipe.
    """
    changes: dict[str, Any] = {}
    for field, domain in space.items():
        here = (*path, field)
        if here in {(name,) for name in _NESTED}:
            changes = merge(changes, {field: choose(domain, pick, here, suffix)})
            continue
        value = pick(".".join(here) + suffix, here, domain)
        if value is KEEP:
            continue
        changes[field] = value
        if isinstance(domain, Mapping):
            # What depends on it may be in a mapping of which other fields have been chosen.
            changes = merge(changes, choose(domain[value], pick, path, f"{suffix}[{value}]"))
    return changes


def suggest(trial: Trial, name: str, domain: Domain) -> Any:
    """Let Optuna choose a value.

    Args:
        trial: The trial.
        name: Name of the parameter.
        domain: What it may be.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match domain:
        case FloatDistribution():
            return trial.suggest_float(
                name, domain.low, domain.high, step=domain.step, log=domain.log
            )
        case IntDistribution():
            return trial.suggest_int(
                name, domain.low, domain.high, step=domain.step, log=domain.log
            )
        case CategoricalDistribution():
            return trial.suggest_categorical(name, domain.choices)
    return trial.suggest_categorical(name, list(domain))  # type: ignore[arg-type]


def suggest_changes(trial: Trial, space: Space, recipe: Recipe) -> Mapping[str, Any]:
    """Let Optuna choose the changes to a recipe.

    Args:
        trial: The trial.
        space: What may change.
        recipe: The recipe.

    Raises:
        TypeError: If a function gives something other than a mapping.
    """
    if not callable(space):
        return choose(space, lambda name, _, domain: suggest(trial, name, domain))
    changes = space(trial, recipe)
    if not isinstance(changes, Mapping):
        raise TypeError(
            f"space= is a function that returned {changes!r:.80}; expected changes to the recipe, "
            "e.g. {'learning_rate': 0.01}"
        )
    return changes


def parameters_of(recipe: Recipe, space: Space) -> dict[str, tuple[Domain, Any]]:
    """Return where in a space a recipe is: domain and value of each parameter.

    Args:
        recipe: The recipe.
        space: The space. Values outside of their domains are left out, and so are all of those of
            a function, which cannot be known.
    """
    found: dict[str, tuple[Domain, Any]] = {}

    def read(name: str, path: tuple[str, ...], domain: Domain) -> Any:
        value: Any = recipe.to_dict()
        for key in path:
            value = value.get(key, KEEP)
        if not _contains(domain, value):
            return KEEP
        found[name] = (domain, value)
        return value

    if not callable(space):
        choose(space, read)
    return found


def check_space(space: object, recipe: Recipe, *, may_be_empty: bool = False) -> None:
    """Make sure that all values of a space are possible for a recipe.

    Args:
        space: What the user gave.
        recipe: The recipe that the space changes.
        may_be_empty: Whether something else is searched, too.

    Raises:
        TypeError: If it, or one of its domains, is of the wrong type.
        ValueError: If it is empty, a field is unknown or given twice, or a value is out of its
            range.
    """
    if callable(space):
        return
    if not isinstance(space, Mapping):
        raise TypeError(
            f"space={space!r:.80} is a {type(space).__name__}; expected a mapping of the recipe's "
            "fields to choices or ranges, or a function (trial, recipe) -> changes"
        )
    known_fields(Recipe, space)
    names = [name for name, *_ in domains(space)]
    known_fields(Augmentation, space.get("augmentation", {}))
    if not names and not may_be_empty:
        raise ValueError(
            "space= holds nothing to search; give fields with choices or ranges, or architecture="
        )
    _check_places(space)
    for name in names:
        if names.count(name) > 1:  # Optuna knows parameters by their names
            raise ValueError(
                f"space: two parameters have the same name, {name!r:.200}; let the choices that "
                "they depend on differ as text, too"
            )
    for _, path, domain in domains(space):
        for value in _ends(".".join(path), domain):
            change = value
            for key in reversed(path):
                change = {key: change}
            recipe.with_changes(**change)
    mixing: dict[str, float] = {}
    for _, path, domain in domains(space):
        if path in {("augmentation", name) for name in ("mixup", "cutmix", "mix_probability")}:
            most = max(_ends(".".join(path), domain))
            mixing[path[-1]] = max(most, mixing.get(path[-1], 0.0))
    if mixing.get("mix_probability") == 0:
        del mixing["mix_probability"]
    check_mixing({"augmentation": mixing}, recipe)


def _check_places(space: Mapping[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return the places in the recipe that a space may fill, if none is filled twice at once."""
    filled: set[tuple[str, ...]] = set()
    for field, domain in space.items():
        here = (*path, field)
        if here in {(name,) for name in _NESTED}:
            more = _check_places(domain, here)
        else:
            # One choice excludes the others, so what depends on them may fill the same place.
            rest = domain.values() if isinstance(domain, Mapping) else ()
            more = set().union(*(_check_places(one, path) for one in rest))
            filled, more = filled | {here}, more | ({here} & filled)
        if twice := sorted(filled & more):
            raise ValueError(
                f"space: {'.'.join(twice[0])} is given twice for the same trial, so that only one "
                "of its values would count; give it once, or once with each choice of one field"
            )
        filled |= more
    return filled


def check_model_args(space: Space, model: str, data: Dataset) -> None:
    """Make sure that an architecture has the arguments that a space gives it.

    Args:
        space: The space; what a function returns is not known before its trial.
        model: The architecture.
        data: What it is made for.

    Raises:
        ValueError: If it lacks one.
    """
    if not (given := model_args_of(space)):
        return
    if model in ARCHITECTURES:
        known = [*signature(ARCHITECTURES[model]).parameters]
        for name in given:
            if name not in known:
                raise unknown_name(f"argument of {model} in space's model_args", name, known)
        return
    # timm's architectures hand their arguments on, so only building one tells.
    first = {name: _ends(name, domain)[0] for name, domain in given.items()}
    try:
        create_model(model, dataset=data, **first)
    except TypeError as error:
        raise ValueError(f"space: model_args={first} do not fit {model}: {error}") from error


def model_args_of(space: Space) -> dict[str, Domain]:
    """Return the arguments of the architecture that a space changes, also those under a choice.

    Args:
        space: The space; what a function returns is not known before its trial.
    """
    if callable(space):
        return {}
    return {path[1]: domain for _, path, domain in domains(space) if path[0] == "model_args"}


def domains(
    space: Mapping[str, Any], path: tuple[str, ...] = (), suffix: str = ""
) -> Iterator[tuple[str, tuple[str, ...], Domain]]:
    """Yield name, place in the recipe and domain of each parameter, for all choices.

    Args:
        space: Fields with their domains.
        path: Where in the recipe the fields are.
        suffix: Of the names, for what depends on a choice.

    Raises:
        TypeError: If fields are not given as a mapping of their names.
    """
    if not isinstance(space, Mapping) or not all(isinstance(field, str) for field in space):
        raise TypeError(
            f"space: {'.'.join(path)}{suffix} is {space!r:.80}; expected a mapping of fields to "
            "choices or ranges, e.g. {} for none"
        )
    for field, domain in space.items():
        here = (*path, field)
        if here in {(name,) for name in _NESTED}:
            yield from domains(domain, here, suffix)
            continue
        yield ".".join(here) + suffix, here, domain
        if isinstance(domain, Mapping):
            for value, more in domain.items():
                yield from domains(more, path, f"{suffix}[{value}]")


def describe_space(space: Space) -> object:
    """Return JSON-safe values that distinguish a space from others.

    Args:
        space: The space. Functions count by their name and their code (not by values that they
            take from elsewhere), those of `functools.partial` also by their arguments, other
            callables by their name.
    """
    if isinstance(space, partial):
        arguments = repr([*space.args, *sorted(space.keywords.items())])
        return [describe_space(space.func), without_addresses(arguments)]
    if callable(space):
        name = getattr(space, "__qualname__", type(space).__qualname__)
        return [name, _describe_constant(getattr(space, "__code__", None))]
    return {
        name: list(map(repr, domain)) if isinstance(domain, Mapping | list | tuple) else str(domain)
        for name, _, domain in domains(space)
    }


def _describe_constant(value: object) -> object:
    """Return JSON-safe values that are the same in every process, unlike the order of a set."""
    match value:
        case CodeType():
            constants = [_describe_constant(one) for one in value.co_consts]
            return [value.co_code.hex(), constants, list(value.co_names)]
        case tuple():
            return [_describe_constant(one) for one in value]
        case frozenset():
            return sorted(map(repr, value))
    return repr(value)


def _ends(name: str, domain: Any) -> Sequence[Any]:
    """Return the choices of a domain, or the ends of its range."""
    if all(hasattr(domain, end) for end in ("low", "high")):
        return (domain.low, domain.high)
    choices = getattr(domain, "choices", domain)
    if not isinstance(choices, Mapping | list | tuple):
        raise TypeError(
            f"space: {name} is {domain!r:.80}; expected a list of choices, a mapping of choices to "
            "what depends on them, or a range such as optuna.distributions.FloatDistribution(0, 1)"
        )
    if not choices:
        raise ValueError(f"space: {name} has no choices; give at least one")
    return list(choices)


def _contains(domain: Any, value: Any) -> bool:
    if all(hasattr(domain, end) for end in ("low", "high")):
        return isinstance(value, int | float) and domain.low <= value <= domain.high
    return value in list(getattr(domain, "choices", domain))
