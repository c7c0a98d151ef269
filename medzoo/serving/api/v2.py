"""The Open Inference Protocol (version 2, REST), which clients of Triton and KServe speak."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Path, Request, Response

import medzoo
from medzoo.serving.api.schemas import problems
from medzoo.serving.api.tensors import HEADER, INPUT, OUTPUTS, InferRequest, parse, render
from medzoo.serving.intake import Upload
from medzoo.serving.models import Answer, ServedModel
from medzoo.serving.problems import Problem
from medzoo.serving.service import Service

_VERSION = "1"
_REQUEST = {
    "inputs": [{"name": INPUT, "shape": [1], "datatype": "BYTES", "data": ["iVBORw0KGgo="]}],
    "outputs": [{"name": "probabilities"}],
}
_ANSWER = {
    "model_name": "simple_cnn.pneumoniamnist",
    "model_version": _VERSION,
    "outputs": [
        {"name": "probabilities", "datatype": "FP32", "shape": [1, 2], "data": [0.07, 0.93]}
    ],
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "One input called images: BYTES (files; in JSON, base64) or UINT8 pixels of "
        "the shape [images, height, width, channels] or [images, channels, height, width]; in JSON "
        f"or, with the header {HEADER}, as binary data after it.",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": _REQUEST},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The outputs: probabilities, and logits divided by the temperature.",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": _ANSWER},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

Name = Annotated[str, Path(description="The name of a model.")]
Version = Annotated[str, Path(description="Always 1.")]


def create_health() -> APIRouter:
    """Return the routes that say whether the service works; they need no token."""
    router = APIRouter(prefix="/v2/health", tags=["Open Inference Protocol"])

    # The models are loaded before the application answers anything.
    @router.get("/live")
    async def live() -> dict[str, bool]:
        """Say that the service runs."""
        return {"live": True}

    @router.get("/ready")
    async def ready() -> dict[str, bool]:
        """Say that all models are loaded."""
        return {"ready": True}

    return router


def create_v2(service: Service, protected: Sequence[Any]) -> APIRouter:
    """Return the other routes.

    Args:
        service: The models and what runs them.
        protected: What FastAPI checks before each of them.
    """
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], dependencies=protected)

    @router.get("", responses=problems(401))
    async def server() -> dict[str, Any]:
        """Describe the service."""
        extensions = ["binary_tensor_data"]
        return {"name": "medzoo", "version": medzoo.__version__, "extensions": extensions}

    async def find(name: Name) -> ServedModel:
        return service.find(name)

    async def find_version(name: Name, version: Version) -> ServedModel:
        served = service.find(name)
        if version != _VERSION:
            raise Problem(404, f"{name} has no version {version!r:.80}; there is only {_VERSION!r}")
        return served

    _add_routes(router, service, "/models/{name}", Depends(find))
    _add_routes(router, service, "/models/{name}/versions/{version}", Depends(find_version))
    return router


def _add_routes(router: APIRouter, service: Service, path: str, found: Any) -> None:
    """Add the routes of a model, which `found` finds by what is in the path."""

    @router.get(f"{path}/ready", responses=problems(401, 404))
    async def ready(served: ServedModel = found) -> dict[str, Any]:
        """Say that a model is loaded."""
        return {"name": served.name, "ready": True}

    @router.get(path, responses=problems(401, 404))
    async def describe(served: ServedModel = found) -> dict[str, Any]:
        """Describe inputs and outputs of a model."""
        shape = [-1, -1, -1, served.spec.input.channels]
        row = {"datatype": "FP32", "shape": [-1, served.spec.num_classes]}
        return {
            "name": served.name,
            "versions": [_VERSION],
            "platform": f"medzoo_{'pytorch' if served.is_module else 'onnxruntime'}",
            "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": shape}],
            "outputs": [{"name": name, **row} for name in OUTPUTS],
        }

    @router.post(
        f"{path}/infer",
        response_class=Response,
        responses=_ANSWERS | problems(401, 404, 408, 413, 415, 422, 503),
        openapi_extra=_BODY,
    )
    async def infer(request: Request, served: ServedModel = found) -> Response:
        """Classify images."""
        async with service.intake.body(request) as body:
            asked = await service.read(partial(parse, body, request.headers.get(HEADER)))
            count, most = len(asked.images), service.limits.max_images
            if count > most:
                raise Problem(422, f"there are {count} images; send at most {most} at once")
            with service.admitted(count):
                answers = await service.unless_given_up(request, _infer(service, served, asked))
        values = {"model_name": served.name, "model_version": _VERSION}
        if asked.identifier is not None:
            values["id"] = asked.identifier
        arrays = {
            name: np.stack([getattr(answer, name) for answer in answers]).astype(np.float32)
            for name in asked.outputs
        }
        content, headers = render(values, arrays, asked.outputs)
        return Response(content, headers=headers)


async def _infer(service: Service, served: ServedModel, asked: InferRequest) -> Sequence[Answer]:
    if isinstance(asked.images, np.ndarray):
        return await service.run(served, service.fit(served, asked.images))
    uploads = [Upload("", content) for content in asked.images]
    _, answers = await service.predict(served, uploads)
    return answers
