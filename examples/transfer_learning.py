"""Use trained weights where there are few labelled images.

You learn:

- to fit a logistic regression (a "linear probe") or a nearest-neighbour vote to
  the features of a trained backbone: it takes seconds, and is a good first step;
- to compare with the same network untrained, over several draws of the few images,
  because one draw can be lucky.

The backbone has seen photographs of skin. The target is a tenth of the training
images of RetinaMNIST, which are photographs of the retina (a download of 3 MB).
What is chosen (how strong the penalty is, how many neighbours vote) is chosen on
the validation split. To train the backbone itself, use `medzoo.finetune`.
"""

from statistics import mean, stdev

import numpy as np
import torch

import medzoo

BACKBONE = "simple_cnn.dermamnist"

full = medzoo.load_dataset("retinamnist")
train, val, test = np.split(
    np.arange(sum(len(split) for split in full.splits.values())),
    np.cumsum([len(full.train), len(full.val)]),
)
scores: dict[tuple[str, str], list[float]] = {}
for seed in range(5):
    few = np.random.default_rng(seed).permutation(train)[: len(train) // 10]
    data = medzoo.datasets.resplit(full, {"train": few, "val": val, "test": test})
    torch.manual_seed(seed)
    untrained = medzoo.create_model("simple_cnn", dataset="dermamnist")
    for name, start in (("random weights", untrained), ("DermaMNIST", BACKBONE)):
        for method in (medzoo.linear_probe, medzoo.knn_probe):
            auc = method(start, data).test.auc
            scores.setdefault((method.__name__, name), []).append(auc)

print(f"{len(few)} of {len(train):,} training images, {seed + 1} draws: mean test AUC ± deviation")
for (method_name, name), aucs in scores.items():
    print(f"{method_name:<14}{name:<16}{mean(aucs):.3f} ± {stdev(aucs):.3f}")
