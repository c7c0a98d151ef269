"""From arrays of your own to a trained model in a file, and back.

You learn:

- how to make a data set of NumPy arrays, or of an .npz file with MedMNIST's six
  keys;
- to train, to measure on the test split once, to save, and to load the model
  again: the file knows its classes, its input size and its normalisation.
"""

import tempfile
from pathlib import Path

import numpy as np

import medzoo

CLASSES = ["disc", "ring"]


def draw(count: int, seed: int, size: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """Draw noisy discs and rings: images (N, H, W), uint8, and labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    y, x = np.mgrid[:size, :size]
    centre = rng.uniform(10, size - 10, (2, count, 1, 1))
    distance = np.hypot(y - centre[0], x - centre[1])
    hole = np.where(labels == 1, rng.uniform(2, 4, count), 0)[:, None, None]
    shape = (distance < 8) & (distance >= hole)
    images = 100 + 50 * shape + rng.normal(0, 40, shape.shape)
    return images.clip(0, 255).astype(np.uint8), labels


splits = {"train": draw(512, seed=1), "val": draw(96, seed=2), "test": draw(128, seed=3)}

# Arrays in memory ...
data = medzoo.Dataset.from_arrays(**splits, name="shapes", classes=CLASSES)
print(data)

with tempfile.TemporaryDirectory() as folder:
    # ... or a file in MedMNIST's format: the same data set.
    path = Path(folder) / "shapes.npz"
    arrays = {f"{s}_images": images for s, (images, _) in splits.items()}
    arrays |= {f"{s}_labels": labels for s, (_, labels) in splits.items()}
    np.savez_compressed(path, **arrays)
    data = medzoo.load_dataset(path, classes=CLASSES)

    model = medzoo.create_model("simple_cnn", dataset=data)
    recipe = medzoo.Recipe(epochs=5, batch_size=32, ema_decay=0)
    run = medzoo.Trainer(model, data, recipe, progress=False).fit()
    print(f"\nbest epoch {run.best_epoch}: validation AUC {run.val_auc:.3f}\n")
    print(medzoo.evaluate(run.model, data.test, resamples=200))

    weights = medzoo.save_weights(run.model, Path(folder) / "shapes.safetensors")
    again = medzoo.create_model(weights)
    image, label = data.test.images[0], data.test.labels[0]
    print(f"\nLoaded from {weights.name}; its classes: {', '.join(again.dataset.classes)}.")
    print(f"The first test image is a {CLASSES[label]}. The model says:")
    print(medzoo.predict(again, image))
