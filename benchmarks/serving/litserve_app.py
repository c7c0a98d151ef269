"""The model behind LitServe with batching, written as LitServe's documentation writes services.

MODEL=advanced_cnn.dermamnist python -m benchmarks.serving.litserve_app PORT
"""

import os
import sys
from typing import Any

import litserve
import torch
from fastapi import Request
from torch import Tensor

import medzoo


class Classifier(litserve.LitAPI):
    """A service with batching: requests are decoded, collected, and run together."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = medzoo.create_model(os.environ["MODEL"], pretrained=True).eval().to(device)
        self.transform = medzoo.create_transform(self.model)

    def decode_request(self, request: Request) -> Tensor:
        """Turn a form with a file into the model's input."""
        return self.transform(medzoo.images.read_image(request["images"].file.read()))

    def batch(self, inputs: list[Tensor]) -> Tensor:
        """Join the inputs of several requests."""
        return torch.stack(inputs)

    def predict(self, x: Tensor) -> Tensor:
        """Run the model over a batch."""
        with torch.inference_mode():
            return (self.model(x) / self.model.spec.temperature).softmax(1)

    def unbatch(self, output: Tensor) -> list[Tensor]:
        """Give each request its own row."""
        return list(output)

    def encode_response(self, output: Tensor) -> dict[str, Any]:
        """Name the probabilities."""
        pairs = zip(self.model.spec.class_names, output.tolist(), strict=True)
        ranked = sorted(pairs, key=lambda pair: -pair[1])
        return {"label": ranked[0][0], "probabilities": dict(ranked)}


if __name__ == "__main__":
    api = Classifier(max_batch_size=64, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", devices=1)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False)
