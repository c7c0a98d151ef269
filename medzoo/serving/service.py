"""What all routes share: models, decoding, batches, limits, and how a request is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from starlette.requests import ClientDisconnect, Request

from medzoo.device import compute_in_threads
from medzoo.errors import DatasetError, unknown_name
from medzoo.images.shape import channels_where_expected
from medzoo.inference import TTA
from medzoo.prediction import Explanation
from medzoo.serving.batching import Batcher
from medzoo.serving.decoding import Decoded, Decoder, Outcomes
from medzoo.serving.intake import Intake, Upload, interruptible
from medzoo.serving.limits import Limits
from medzoo.serving.metrics import Metrics
from medzoo.serving.models import Answer, ServedModel
from medzoo.serving.problems import Problem, overloaded

T = TypeVar("T")


class Service:
    """The models and what runs them.

    Args:
        models: The models by name.
        limits: The limits.

    Attributes:
        models: The models by name.
        limits: The limits.
        intake: Receives requests.
        metrics: What is counted.
    """

    def __init__(self, models: Mapping[str, ServedModel], limits: Limits) -> None:
        self.models = models
        self.limits = limits
        self.intake = Intake(limits)
        self.metrics = Metrics()
        self._decoder = Decoder()
        self._batcher = Batcher(
            limits.max_batch,
            limits.max_wait_ms / 1000,
            self.metrics.batches.observe,
            partial(compute_in_threads, max(served.threads for served in models.values())),
        )
        # One: objects of Python take many times the memory of the text that they are read from.
        self._reader = ThreadPoolExecutor(1, "medzoo-read")
        self._in_progress = 0

    def find(self, name: str) -> ServedModel:
        """Return a model.

        Args:
            name: Its name.

        Raises:
            Problem: If there is none; the message names close matches.
        """
        if name not in self.models:
            raise Problem(404, str(unknown_name("model", name, self.models)))
        return self.models[name]

    async def read(self, parse: Callable[[], T]) -> T:
        """Read what a client wrote, one request after the other.

        Args:
            parse: What reads it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._reader, parse)

    async def predict(
        self, served: ServedModel, uploads: Sequence[Upload], tta: TTA = "none"
    ) -> tuple[list[Decoded], Sequence[Answer]]:
        """Decode images and run a model on them, in a batch with other requests.

        Args:
            served: The model.
            uploads: The images.
            tta: Views to average.

        Returns:
            The images as the model saw them, and an answer for each.

        Raises:
            Problem: If an image cannot be read; the document names it.
        """
        decoded: list[Decoded] = []

        def run_when_decoded(outcomes: Outcomes) -> None:
            # In a thread that decodes, so that the event loop is not asked in between.
            try:
                decoded.extend(_images(uploads, outcomes))
                images = torch.stack([one.pixels for one in decoded])
            except BaseException as error:
                self._batcher.fail(job, error)
            else:
                self._batcher.put(job, images)

        with self._batcher.expected((served.name, tta), partial(served.run, tta=tta)) as job:
            contents = [upload.content for upload in uploads]
            decoding = self._decoder.start(contents, served.spec.input, run_when_decoded)
            try:
                answers: Sequence[Answer] = await job.answer
            finally:
                decoding.drop()
        self.metrics.predictions.labels(served.name).inc(len(answers))
        return decoded, answers

    async def run(
        self, served: ServedModel, images: Awaitable[torch.Tensor], tta: TTA = "none"
    ) -> Sequence[Answer]:
        """Run a model on images that are prepared already, or will be.

        Args:
            served: The model.
            images: Gives uint8 (N, C, size, size).
            tta: Views to average.
        """
        key = (served.name, tta)
        answers = await self._batcher.run(key, partial(served.run, tta=tta), images)
        self.metrics.predictions.labels(served.name).inc(len(answers))
        return answers

    async def fit(self, served: ServedModel, images: np.ndarray) -> torch.Tensor:
        """Prepare pixels for a model.

        Args:
            served: The model.
            images: uint8 (N, H, W, C) or (N, C, H, W).

        Returns:
            uint8 (N, C, size, size).

        Raises:
            Problem: If they are not images, or the shape has two readings.
        """
        try:
            pixels = channels_where_expected(images)
            return await self._decoder.fit(np.asarray(pixels), served.spec.input)
        except ValueError as error:
            raise Problem(422, str(error)) from error

    async def explain(self, served: ServedModel, images: Sequence[Decoded]) -> list[Explanation]:
        """Explain images one after the other, between the batches of other requests.

        Args:
            served: A model that can be explained.
            images: The images.
        """
        return [await self._batcher.call(partial(served.explain, one.pixels)) for one in images]

    async def unless_given_up(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """Do what a request asks, until its client has gone or it has taken too long.

        Args:
            request: The request, whose body was received.
            work: What it asks.

        Raises:
            ClientDisconnect: If the client has gone.
            Problem: If it takes too long; otherwise what `work` raises.
        """
        seconds = self.limits.answer_timeout
        late = overloaded(f"there was no answer within {seconds:g} seconds")
        with interruptible(seconds, late) as interrupt:
            gone = asyncio.ensure_future(_gone(request))
            gone.add_done_callback(lambda _: interrupt(ClientDisconnect()))
            try:
                return await work
            finally:
                gone.cancel()

    @contextmanager
    def admitted(self, images: int) -> Iterator[None]:
        """Let images in while there is room for them.

        Args:
            images: Their number.

        Raises:
            Problem: If there is no room.
        """
        if self._in_progress + images > self.limits.queue_size:
            raise overloaded(f"{self._in_progress} images are in progress")
        self._in_progress += images
        self.metrics.images.inc(images)
        try:
            yield
        finally:
            self._in_progress -= images
            self.metrics.images.dec(images)

    def close(self) -> None:
        """End the thread that runs the models."""
        self._batcher.close()


def _images(uploads: Sequence[Upload], outcomes: Outcomes) -> Iterator[Decoded]:
    for index, (upload, outcome) in enumerate(zip(uploads, outcomes, strict=True)):
        if isinstance(outcome, DatasetError):
            name = upload.name or f"image {index}"
            raise Problem(422, f"{name}: {outcome}", file=name) from outcome
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
