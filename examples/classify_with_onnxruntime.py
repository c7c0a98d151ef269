"""Export a model, and classify with ONNX Runtime, without medzoo or PyTorch.

You learn:

- that `medzoo.export` writes one file, which says itself how images are prepared
  and what its output means;
- how to use that file where only onnxruntime, NumPy and Pillow are installed: the
  second half imports nothing else. Copy it into your own program.

The image here is drawn, not a photograph, and the classes mean nothing for it.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw

# --- Where medzoo is installed --------------------------------------------------------------


def draw_lesion() -> Image.Image:
    """Draw a brown spot on light skin."""
    image = Image.new("RGB", (200, 150), (226, 178, 158))
    ImageDraw.Draw(image).ellipse((60, 40, 140, 115), fill=(122, 76, 58))
    return image


def export(path: Path, image: Image.Image) -> dict[str, float]:
    """Write the file, and return what medzoo says about the image."""
    import medzoo

    model = medzoo.create_model("simple_cnn.dermamnist", pretrained=True)
    exported = medzoo.export(model, path)
    print(f"{path.name}: opset {exported.opset}, differs by {exported.difference:.0e} at most")
    return medzoo.predict(model, image).probabilities


# --- Where it is not ------------------------------------------------------------------------


def prepare(image: Image.Image, wanted: dict) -> np.ndarray:
    """Follow the steps that the file's metadata describe: (1, channels, size, size)."""
    image = image.convert("RGB" if wanted["colour"] == "RGB" else "L")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    image = image.resize((wanted["size"], wanted["size"]), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.float32).reshape(wanted["size"], wanted["size"], -1)
    pixels = (pixels * wanted["scale"] - wanted["mean"]) / wanted["std"]
    return pixels.transpose(2, 0, 1)[None].astype(np.float32)


def classify(path: Path, image: Image.Image) -> dict[str, float]:
    """Return the probability of each class."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["medzoo"])
    output = about["output"]
    logits = session.run(None, {about["input"]["name"]: prepare(image, about["preparation"])})[0][0]
    scores = logits.astype(np.float64) / output["temperature"]
    if output["activation"] == "softmax":
        odds = np.exp(scores - scores.max())
        probabilities = odds / odds.sum()
    else:
        probabilities = 1 / (1 + np.exp(-scores))
    return dict(zip(output["classes"], probabilities, strict=True))


with tempfile.TemporaryDirectory() as folder:
    file, picture = Path(folder) / "model.onnx", draw_lesion()
    expected = export(file, picture)
    found = classify(file, picture)

for name, probability in sorted(found.items(), key=lambda pair: -pair[1]):
    print(f"{name:50} {probability:.4f}   medzoo: {expected[name]:.4f}")
difference = max(abs(found[name] - expected[name]) for name in expected)
print(f"\nLargest difference from medzoo.predict: {difference:.1e}. Not a diagnosis.")
assert difference < 1e-3, "the file does not say what medzoo does"
