"""From a folder of your images to a trained, evaluated and exported model.

You learn:

- to read a folder that has a sub-folder for each class; images may be of any
  size, and images without splits are split at random by seed;
- to train, and to evaluate on the test split once;
- to write the model as an ONNX file, which other programs run without medzoo
  (``pip install 'medzoo[onnx]'``).

The images here are drawn. Replace them by your own folder, CSV table, arrays or
Hugging Face data set.

    python examples/own_data.py [folder]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import medzoo


def draw(path: Path, hole: float, rng: np.random.Generator) -> None:
    """Draw a noisy disc, or a ring if it has a hole, in an image of random size."""
    height, width = rng.integers(40, 70, 2)
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2 - rng.normal(0, 3), x - width / 2 - rng.normal(0, 3))
    pixels = 100 + 40 * ((distance < 15) & (distance >= hole)) + rng.normal(0, 90, distance.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary) / "shapes"
    for number, rng in enumerate(np.random.default_rng(0).spawn(400)):
        name, hole = (("disc", 0), ("ring", rng.uniform(4, 8)))[number % 2]
        draw(folder / name / f"{number}.png", hole, rng)

    # Or "table.csv", with the columns path and label; arrays: medzoo.Dataset.from_arrays((images,
    # labels), ...); Hugging Face: medzoo.Dataset.from_huggingface(datasets.load_dataset("name")).
    data = medzoo.load_dataset(sys.argv[1] if len(sys.argv) > 1 else folder)
    print(data)

    recipe = medzoo.Recipe(epochs=3, batch_size=32, ema_decay=0)
    run = medzoo.train("simple_cnn", data, recipe, progress=False)
    print(f"\nbest epoch {run.best_epoch}: validation AUC {run.val_auc:.3f}\n")
    print(medzoo.evaluate(run.model, data.test, resamples=200))

    exported = medzoo.export(run.model, folder / f"{data.info.name}.onnx")
    print(f"\n{exported.path.name}: {exported.bytes:,} bytes, ONNX operators {exported.opset},")
    print(f"classes {', '.join(data.info.classes)}; differs by {exported.difference:.0e} at most.")
