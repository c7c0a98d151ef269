"""Start from trained weights on another task.

You learn:

- that naming another data set keeps the trained trunk, adapts the first layer
  to its channels (here from colour to gray) and gives the model a new
  classifier;
- how to train it, and how to compare it fairly with a model that starts from
  nothing: same data, same recipe, same seed, scored on the validation split.

The target is made up, so that the example needs no download; with
``medzoo.load_dataset("pneumoniamnist")`` in its place it is a real one.
"""

import medzoo

data = medzoo.synthetic("pneumoniamnist", n_train=192, n_val=96, n_test=96)
recipe = medzoo.Recipe(epochs=3, batch_size=32, learning_rate=1e-3, ema_decay=0)
print(data)

starts = {"from nothing": "advanced_cnn", "from DermaMNIST": "advanced_cnn.dermamnist"}
scores = {}
for start, name in starts.items():
    run = medzoo.train(name, data, recipe, pretrained="." in name, progress=False)
    scores[start] = run.val_auc

print(f"\n{'start':<16} validation AUC after {recipe.epochs} epochs")
for start, auc in scores.items():
    print(f"{start:<16} {auc:.3f}")
