"""What a recipe would give, without training it."""

import math
from types import SimpleNamespace

BEST_RATE = 0.01


def train(model, data, recipe, **_):
    """Return what the search reads of a run; the score is best at one learning rate."""
    auc = 1 - 0.1 * abs(math.log10(recipe.learning_rate / BEST_RATE)) - 0.2 * recipe.warmup
    return SimpleNamespace(
        model=model, val_auc=auc, val_acc=auc / 2, calibration=SimpleNamespace(nll=1 - auc)
    )
