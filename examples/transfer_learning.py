"""Start from trained weights where there are few labelled images.

You learn:

- to fine-tune a trained backbone: `medzoo.finetune` adapts its first layer to the
  channels (here from colour to gray), gives it a new classifier, and trains
  all of it;
- to compare fairly with random weights: same images, same recipe, same seed, and
  several draws of the few images, because one draw can be lucky.

The backbone has seen photographs of skin; the target is a tenth of BreastMNIST's
training images, which are ultrasound scans (a download of 0.6 MB).
"""

from statistics import mean

import numpy as np

import medzoo

full = medzoo.load_dataset("breastmnist")
train, val, test = (len(full.splits[name]) for name in ("train", "val", "test"))
short = {"epochs": 10, "batch_size": 16, "ema_decay": 0.9, "validate_every": 10}
scores: dict[str, list[tuple[float, float]]] = {"random weights": [], "DermaMNIST": []}

for seed in range(3):
    few = np.random.default_rng(seed).permutation(train)[: train // 10]
    split = {"train": few, "val": range(train, train + val), "test": range(train + val, train + val + test)}
    data = medzoo.datasets.resplit(full, split)

    tuned = medzoo.finetune("simple_cnn.dermamnist", data, {**short, "seed": seed}, progress=False)
    recipe = tuned.recipe.with_changes(backbone="")
    fresh = medzoo.train("simple_cnn", data, recipe, progress=False)
    for start, run in zip(scores, (fresh, tuned), strict=True):
        scores[start].append((run.val_auc, medzoo.evaluate(run.model, data.test).auc))

print(f"{len(few)} training images, mean of {seed + 1} draws\n")
print(f"{'start':<16}validation AUC   test AUC")
for start, aucs in scores.items():
    validation, final = (mean(column) for column in zip(*aucs, strict=True))
    print(f"{start:<16}{validation:14.3f}{final:11.3f}")
