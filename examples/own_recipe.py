"""Write a recipe: everything that decides a training run, in one object.

You learn:

- to start from the recipe that comes with a model and a data set, and to change
  parts of it;
- to keep a recipe as a JSON file, which `medzoo.train` and the command line
  read;
- what a run returns: a row of figures per epoch, and the weights of the best
  one.
"""

import json
import tempfile
from pathlib import Path

import medzoo

data = medzoo.synthetic("octmnist", n_train=512, n_val=128, n_test=1)

bundled = medzoo.recipe_for("simple_cnn", "octmnist")
print(f"bundled: {bundled.epochs} epochs of {bundled.optimizer}, at most {bundled.learning_rate}")

recipe = bundled.with_changes(
    epochs=5,
    batch_size=32,
    ema_decay=0.9,
    validate_every=1,
    augmentation=medzoo.Augmentation(horizontal_flip=0.5, vertical_flip=0.5),
)

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "short.json"
    file.write_text(json.dumps(recipe.to_dict(), indent=2))

    run = medzoo.train("simple_cnn", data, file, output=folder, progress=False)

    print("\nepoch   loss  val AUC  val ACC     rate")
    for row in run.history:
        print(
            f"{row['epoch']:>5}  {row['loss']:.3f}    {row['val_auc']:.3f}    {row['val_acc']:.3f}"
            f"  {row['lr']:.1e}"
        )
    print(f"\nkept: epoch {run.best_epoch}, in {run.weights.relative_to(folder)}")
    written = sorted(path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    print("written:", *written, sep="\n  ")
