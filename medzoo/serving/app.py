"""The ASGI application: what `create_app` takes, and how it is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import torch

import medzoo
from medzoo.lazy import import_optional
from medzoo.serving.limits import Limits
from medzoo.serving.models import Sources, load_models

if TYPE_CHECKING:
    from fastapi import FastAPI

_PACKAGES = ("fastapi", "python_multipart", "prometheus_client")


def create_app(
    models: Sources,
    *,
    token: str | None = None,
    compile: bool = False,
    device: str | torch.device = "auto",
    cors: Sequence[str] = (),
    limits: Limits | None = None,
) -> FastAPI:
    """Return an ASGI application that serves models over HTTP.

    The models are loaded, and have run once, when it returns. ``medzoo serve`` runs it in uvicorn;
    any other ASGI server does, too, and it can be mounted in an application of your own.

    Args:
        models: One or several of: the name of a checkpoint, a weights file, an exported .onnx
            file, ``"hf-hub:org/name"``, or a list of these (an ensemble; in text, ``"a+b"``). They
            are served under the names of the checkpoint, file or repository. Or a mapping from
            names to these or to models that are loaded already.
        token: What clients have to send, as ``Authorization: Bearer ...``, to everything but the
            page, the documentation and the state of health; None for no restriction.
        compile: Whether to run the models in ONNX Runtime; see `medzoo.compile`.
        device: Where the models compute; see `medzoo.device.resolve_device`.
        cors: Origins whose pages may use the service, e.g. ``["https://lab.example"]``.
        limits: What requests may cost; see `Limits`.

    Raises:
        ImportError: If the extra ``medzoo[serve]`` is missing, or one that a model needs.
        TypeError: If something is not a model, or has no name.
        ValueError: If there are no models, two have the same name, a name cannot be part of an
            address, a model has no classifier, the token is empty, or an origin could never match.
        WeightsError: If weights cannot be found or read.

    Example:
        >>> app = create_app(["simple_cnn.pneumoniamnist"], token="a secret")
    """
    for package in _PACKAGES:
        import_optional(package, "the service needs", "serve")
    # Here, because they need these packages.
    from fastapi import FastAPI

    from medzoo.serving.api.access import allow_origins, require_token
    from medzoo.serving.api.docs import create_docs
    from medzoo.serving.api.page import create_page
    from medzoo.serving.api.v1 import create_v1
    from medzoo.serving.api.v2 import create_health, create_v2
    from medzoo.serving.metrics import create_metrics
    from medzoo.serving.observe import Observe
    from medzoo.serving.problems import add_handlers
    from medzoo.serving.service import Service

    protected = require_token(token)
    service = Service(load_models(models, compile=compile, device=device), limits or Limits())

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="medzoo",
        version=medzoo.__version__,
        description="Trained models for small medical images. For research and teaching; not for "
        "clinical use.",
        openapi_url=None,  # instead, `create_docs`
        lifespan=lifespan,
    )
    for router in (
        create_v1(service, protected),
        create_v2(service, protected),
        create_metrics(service.metrics, protected),
        create_health(),
        create_page(),
        create_docs(app),
    ):
        app.router.routes += router.routes  # not included, as FastAPI would look into each in turn
    add_handlers(app)
    allow_origins(app, cors)
    app.add_middleware(Observe, metrics=service.metrics)
    return app
