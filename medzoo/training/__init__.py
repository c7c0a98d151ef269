"""Training: recipes, batched augmentation, the batch loader and the Trainer."""

from medzoo.training.augment import BatchAugmenter
from medzoo.training.loader import BatchLoader
from medzoo.training.recipe import Augmentation, Recipe, load_recipe, recipe_for
from medzoo.training.train import finetune, train
from medzoo.training.trainer import Run, Trainer

__all__ = [
    "Augmentation",
    "BatchAugmenter",
    "BatchLoader",
    "Recipe",
    "Run",
    "Trainer",
    "finetune",
    "load_recipe",
    "recipe_for",
    "train",
]
