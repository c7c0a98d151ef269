"""Classify one image with a trained model.

You learn:

- how to get a trained model, and what it knows about itself (classes, input,
  data set);
- that `medzoo.predict` takes an image of any size and colour mode and prepares
  it as the model expects, so that nothing has to be guessed.

The image here is drawn, not a photograph: it shows how to call the model, and
its result has no meaning. Replace it by the path of a dermatoscopic photograph.

    python examples/classify_an_image.py [image]
"""

import sys

from PIL import Image, ImageDraw, ImageFilter

import medzoo


def draw_lesion(width: int = 200, height: int = 150) -> Image.Image:
    """Draw a brown spot on light skin."""
    image = Image.new("RGB", (width, height), (226, 178, 158))
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 40, 140, 115), fill=(122, 76, 58))
    draw.ellipse((80, 55, 120, 95), fill=(84, 50, 42))
    return image.filter(ImageFilter.GaussianBlur(3))


model = medzoo.create_model("advanced_cnn", dataset="dermamnist", pretrained=True)
channels, height, width = model.pretrained_cfg["input_size"]
print(f"Trained on {model.dataset.title}: {model.dataset.num_classes} classes.")
print(f"Sees images of {height} x {width} pixels in {channels} channels.\n")

image = sys.argv[1] if len(sys.argv) > 1 else draw_lesion()
prediction = medzoo.predict(model, image, top_k=3)
print(prediction)
print(f"\nMost probable: {prediction.label} ({prediction.probability:.1%}).")
print("Not a diagnosis.")
