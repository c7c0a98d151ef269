"""Training: recipes, batched augmentation, the batch loader, callbacks and the Trainer."""

from medzoo.training.augment import BatchAugmenter, choose_corruptions
from medzoo.training.callbacks import Callback, EarlyStopping, RunState, TensorBoard
from medzoo.training.loader import BatchLoader
from medzoo.training.recipes.bundled import fit_to_images, load_recipe, recipe_for
from medzoo.training.recipes.recipe import Augmentation, Recipe
from medzoo.training.state import Run
from medzoo.training.train import TrainerOptions, finetune, train
from medzoo.training.trainer import Trainer

__all__ = [
    "Augmentation",
    "BatchAugmenter",
    "BatchLoader",
    "Callback",
    "EarlyStopping",
    "Recipe",
    "Run",
    "RunState",
    "TensorBoard",
    "Trainer",
    "TrainerOptions",
    "choose_corruptions",
    "finetune",
    "fit_to_images",
    "load_recipe",
    "recipe_for",
    "train",
]
