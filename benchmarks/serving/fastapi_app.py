"""A route that calls the model, written as FastAPI's documentation writes routes with files.

Its documentation shows ``async def`` for files and recommends ``def`` for work that blocks, so
there are both.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from fastapi import FastAPI, UploadFile

import medzoo

app = FastAPI()
model = medzoo.create_model(os.environ["MODEL"], pretrained=True).eval()
classes = model.spec.class_names
transform = medzoo.create_transform(model)


def classify(content: bytes) -> dict[str, Any]:
    """Return the probabilities of one image."""
    with torch.inference_mode():
        batch = transform(medzoo.images.read_image(content)).unsqueeze(0)
        probabilities = (model(batch)[0] / model.spec.temperature).softmax(0)
    ranked = sorted(zip(classes, probabilities.tolist(), strict=True), key=lambda pair: -pair[1])
    return {"label": ranked[0][0], "probabilities": dict(ranked)}


@app.post("/async")
async def predict_async(images: UploadFile) -> dict[str, Any]:
    """Predict in the event loop."""
    return classify(await images.read())


@app.post("/def")
def predict(images: UploadFile) -> dict[str, Any]:
    """Predict in one of the threads that FastAPI keeps for such routes."""
    return classify(images.file.read())
