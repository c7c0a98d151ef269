"""What Prometheus may ask about the service."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as generate
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters and histograms of one application.

    With several processes, prometheus_client adds up what each of them writes into the folder
    PROMETHEUS_MULTIPROC_DIR: numbers, nothing of the requests.

    Attributes:
        requests: Requests by method, route and status.
        seconds: Their duration by route.
        received: Bytes of their bodies.
        batches: Images that ran at once.
        images: Images that are received, decoded or waiting.
        predictions: Images that were answered, by model.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "medzoo_requests", "Requests.", ("method", "route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "medzoo_request_seconds",
            "Duration of requests.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.received = Counter("medzoo_received_bytes", "Bytes received.", registry=registry)
        self.batches = Histogram(
            "medzoo_batch_images", "Images that ran at once.", buckets=_IMAGES, registry=registry
        )
        self.images = Gauge(
            "medzoo_images_in_progress",
            "Images that are decoded, waiting or running.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.predictions = Counter(
            "medzoo_predictions", "Images that were answered.", ("model",), registry=registry
        )

    def text(self) -> bytes:
        """Return everything in the format of Prometheus, of all processes."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate(registry)


def forget_ended_processes() -> None:
    """Remove what processes that were ended had in progress."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            mark_process_dead(process)


def create_metrics(metrics: Metrics, protected: Sequence[Any]) -> APIRouter:
    """Return the route that Prometheus reads.

    Args:
        metrics: What it reads.
        protected: What FastAPI checks before.
    """
    router = APIRouter(dependencies=protected)

    @router.get("/metrics", include_in_schema=False)
    def read() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
