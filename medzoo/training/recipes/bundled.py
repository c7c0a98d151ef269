"""Which recipe applies: bundled ones refine each other, and follow the number of images."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from medzoo.datasets import Dataset, DatasetInfo, dataset_info, list_datasets
from medzoo.datasets.info import DEFAULT_SIZE, split_tag
from medzoo.distributed import world_size
from medzoo.errors import unknown_name
from medzoo.files import parse_json, regular_file
from medzoo.models import network_args
from medzoo.training.recipes.recipe import Recipe, known_fields, merge

STEPS_PER_EPOCH = 10
"""Steps per epoch that a small data set gets, by smaller batches."""
MIN_BATCH = 8
"""Images per batch at least, for the sake of batch normalisation."""
COUNTED = 32
"""Images per batch that count at most; with larger batches, fewer steps are enough."""
FEW = 1000
"""Training images below which a validation split of the usual share would choose an epoch by
chance."""

_UPRIGHT = {"augmentation": {"horizontal_flip": 0.0, "vertical_flip": 0.0}}


def recipe_for(architecture: str, dataset: str | DatasetInfo | Dataset) -> Recipe:
    """Return the bundled recipe of a model on a data set.

    What is bundled for the pair refines what is bundled for the model, and that the default, so
    that every pair has one. Images whose classes tell left from right are not mirrored. Unless
    they were chosen for the data set, batch size and epochs follow the number of training images
    (`fit_to_images`).

    Args:
        architecture: A model's name, e.g. ``"advanced_cnn"``.
        dataset: Your data; or a data set's name, e.g. ``"dermamnist"``, or its description
            (``data.info``), which count all of its images. A name may have a size,
            ``"dermamnist_64"``.
    """
    return load_recipe("default", architecture, dataset)


def load_recipe(
    source: str | Path | Mapping[str, Any] | Recipe,
    architecture: str,
    dataset: str | DatasetInfo | Dataset,
    backbone: str = "",
    changes: Mapping[str, Any] | None = None,
) -> Recipe:
    """Find a recipe by name or file; what it says refines the pair's bundled recipe.

    A named recipe may in turn be refined as the default is: ``"fast.*.dermamnist"`` for a data
    set, ``"fast.simple_cnn"`` for an architecture, ``"fast.simple_cnn.dermamnist"`` for both.

    Args:
        source: A `Recipe`, ``"default"`` (the bundled one), a bundled name such as ``"fast"``, a
            JSON file, or a mapping of some fields.
        architecture: The model that will be trained.
        dataset: The data set it will be trained on, as in `recipe_for`.
        backbone: What it starts from, instead of what the source says. Trained weights fix the
            architecture's arguments, so with a backbone those that are bundled do not count.
        changes: Fields that replace the source's.

    Returns:
        The recipe, complete: what source and changes do not say is the pair's bundled recipe's,
        fitted to the number of images. A `Recipe` comes back as it is, but for backbone and
        changes.

    Raises:
        TypeError: If the source is none of these.
        ValueError: If the name is unknown, or the file is not a recipe.
    """
    own = dict(changes or {}) | ({"backbone": backbone} if backbone else {})
    if isinstance(source, Recipe):
        return source.with_changes(**own) if own else source
    if not isinstance(source, str | Path | Mapping):
        raise TypeError(
            f"recipe={source!r:.80} is not a recipe; give a medzoo.Recipe, a bundled name such as "
            "'default', a JSON file, or a mapping of some fields"
        )
    info = dataset.info if isinstance(dataset, Dataset) else dataset
    name, size = (info.name, DEFAULT_SIZE) if isinstance(info, DatasetInfo) else split_tag(info)
    tags = (name, info if isinstance(info, str) else name)
    if isinstance(dataset, Dataset):
        size = dataset.size
        tags = (name, dataset.info.tag(size))
    images = _training_images(name if isinstance(info, str) else dataset)
    named, stated = _read(source)
    own = merge(stated, own)
    if {
        field.name for field in fields(Recipe)
    } <= stated.keys():  # nothing is left that could be refined
        recipe = Recipe.from_dict(own)
        check_mixing(own, recipe)
        return recipe

    layers = _layers("default", architecture, tags)
    network = network_args(architecture, name, size)
    bundled = merge(*layers.values(), {"model_args": network})
    if own.get("backbone"):
        bundled["model_args"] = {}
    if named != "default":
        layers |= _layers(named, architecture, tags)
        bundled = merge(bundled, *_layers(named, architecture, tags).values())
    if isinstance(info, DatasetInfo) and info.has_laterality:
        bundled = merge(bundled, _UPRIGHT)
    min_steps = bundled.pop("min_steps", 0)
    recipe = Recipe.from_dict(bundled).with_changes(**own)
    check_mixing(own, recipe)
    if images is None:
        return recipe
    # What was chosen for a data set was chosen for all of its images.
    is_whole = 2 * images >= _official_images(name)
    chosen = set(own) | (_chosen_for(tags, layers) if is_whole else set())
    return fit_to_images(recipe, images, min_steps, keep=chosen)


def check_mixing(own: Mapping[str, Any], recipe: Recipe) -> None:
    """Refuse mixing that was asked for and would mix nothing, as its probability is 0.

    Args:
        own: What was asked for, by the recipe's fields.
        recipe: The recipe that contains it.

    Raises:
        ValueError: If nothing would be mixed.
    """
    changes = own.get("augmentation", {})
    wanted = changes if isinstance(changes, Mapping) else vars(changes)
    if "mix_probability" in wanted or recipe.augmentation.mix_probability > 0:
        return
    for name in ("mixup", "cutmix"):
        if wanted.get(name):
            raise ValueError(
                f"augmentation.{name}={wanted[name]!r} mixes nothing, because mix_probability is 0 "
                "in this recipe; add the share of images to mix, e.g. mix_probability=0.5"
            )


def fit_to_images(
    recipe: Recipe, images: int, min_steps: int, keep: Collection[str] = ()
) -> Recipe:
    """Return a recipe that takes enough steps on a small data set.

    The batch is halved until an epoch has about 10 steps, but not below 8 images per process. Then
    epochs are added until the run has enough steps; with batches of more than 32 images, as many
    as see the same number of images. If that adds any for fewer than 1,000 images, only the last
    epoch is validated. Recipes that take as many steps are not changed.

    Args:
        recipe: The recipe.
        images: Number of training images, at least 1.
        min_steps: Steps that the run has to take, of up to 32 images.
        keep: Names of fields that must not change: ``"batch_size"``, ``"epochs"`` (which keeps
            the validations, too), ``"validate_every"`` or ``"patience"``. A batch that is kept gets
            the epochs that the halved one would have got.
    """
    batch = recipe.batch_size
    least = MIN_BATCH * world_size()  # torchrun's processes share a batch
    while images < STEPS_PER_EPOCH * batch and batch >= 2 * least:
        batch //= 2
    changes = {} if "batch_size" in keep else {"batch_size": batch}
    needed = math.ceil(min_steps * min(batch, images, COUNTED) / images)
    if "epochs" not in keep and needed > recipe.epochs:
        changes["epochs"] = needed
        if images < FEW and not {"validate_every", "patience"} & set(keep):
            changes["validate_every"] = needed
    return recipe.with_changes(**changes)


def _training_images(dataset: str | DatasetInfo | Dataset) -> int | None:
    if isinstance(dataset, Dataset):
        return len(dataset.train)
    if isinstance(dataset, DatasetInfo):
        return dataset.n_samples.get("train")
    return _official_images(dataset) or None


def _official_images(name: str) -> int:
    """Return the number of training images of one of MedMNIST's data sets, 0 for others."""
    return dataset_info(name).n_samples["train"] if name in list_datasets() else 0


def _layers(recipe: str, architecture: str, tags: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what is bundled under a recipe's name, from general to special.

    The tags are the data set's name and, for larger images, that with their size.
    """
    # A mapping keeps each tag once: at 28 pixels both are the same.
    keys = [f"*.{tag}" for tag in dict.fromkeys(tags)] + [architecture]
    keys += [f"{architecture}.{tag}" for tag in dict.fromkeys(tags)]
    if architecture.startswith("timm/"):
        keys.insert(0, "timm")
    own = keys if recipe == "default" else [f"{recipe}.{key}" for key in keys]
    return {key: _bundled().get(key, {}) for key in (recipe, *own)}


def _chosen_for(tags: Sequence[str], layers: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the fields whose value comes from a layer for a data set."""
    chosen: set[str] = set()
    for key, values in layers.items():
        is_for_data = key.endswith(tuple(f".{tag}" for tag in tags))
        chosen = chosen | set(values) if is_for_data else chosen - set(values)
    return chosen


def _read(source: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a bundled recipe, and the fields that a mapping or a file sets."""
    if isinstance(source, Mapping):
        return "default", dict(source)
    if Path(source).suffix == ".json":
        try:
            values = parse_json(regular_file(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"recipe file {str(source)!r} cannot be read: {error}") from error
        return "default", known_fields(Recipe, values)
    if source not in _bundled():
        raise unknown_name("recipe", source, _bundled())
    return str(source), {}


@cache
def _bundled() -> dict[str, Any]:
    text = (
        resources.files("medzoo.training.recipes")
        .joinpath("recipes.json")
        .read_text(encoding="utf-8")
    )
    return json.loads(text)
