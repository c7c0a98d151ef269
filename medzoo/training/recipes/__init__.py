"""Recipes: everything that decides a training run, and those that come with medzoo."""

from medzoo.training.recipes.bundled import fit_to_images, load_recipe, recipe_for
from medzoo.training.recipes.recipe import Augmentation, ClassWeights, FrozenPart, Recipe

__all__ = [
    "Augmentation",
    "ClassWeights",
    "FrozenPart",
    "Recipe",
    "fit_to_images",
    "load_recipe",
    "recipe_for",
]
