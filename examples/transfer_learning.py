"""Start from trained weights on another task.

You learn:

- to fine-tune a trained backbone: `medzoo.finetune` adapts its first layer to the
  channels (here from colour to gray), gives it a new classifier, and trains
  all of it;
- to keep a part of it fixed, with `freeze`;
- to compare fairly with a model that starts from random weights: same data, same
  number of epochs, same seed, scored on the validation split.

The target is synthetic, so that the example needs no download; replace it by
``medzoo.load_dataset("pneumoniamnist")`` for a real one.
"""

import medzoo

data = medzoo.synthetic("pneumoniamnist", n_train=128, n_val=64, n_test=64)
short = {"epochs": 3, "batch_size": 32, "learning_rate": 1e-3, "ema_decay": 0}
print(data)

runs = {
    "from nothing": medzoo.train("advanced_cnn", data, short),
    "from DermaMNIST": medzoo.finetune("advanced_cnn.dermamnist", data, short),
    "its stem and two stages fixed": medzoo.finetune(
        "advanced_cnn.dermamnist", data, short | {"freeze": 2}
    ),
}

print(f"\n{'start':<30} validation AUC after {short['epochs']} epochs")
for start, run in runs.items():
    print(f"{start:<30} {run.val_auc:.3f}")
