"""One thread that runs the models: images that wait at the same time become one batch."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Run = Callable[[Tensor], Sequence[Any]]
"""From a batch of images, uint8 (N, C, H, W), to one answer per image."""


@dataclass(eq=False)
class Job:
    """What one request asks: some images at once, or a function that is called alone.

    Attributes:
        key: Jobs of the same key may share a batch; None if it shares none.
        run: What is called, with the batch.
        answer: An answer per image, in the event loop that asked.
        images: uint8 (N, C, H, W); None if there are none yet, or at all.
        start: When they were there.
    """

    key: Hashable
    run: Callable[..., Any]
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    images: Tensor | None = None
    start: float = 0.0

    @property
    def size(self) -> int:
        """The number of images, or 1."""
        return 1 if self.images is None else len(self.images)


class Batcher:
    """Runs models in one thread, since a batch uses all processors by itself.

    An image does not wait for others if none are on their way: a batch is whatever came while the
    previous one ran. Only while images of the same kind are being decoded, it waits for them, at
    most `max_wait` seconds. Batches and other work, such as heat maps, take turns, so that neither
    waits for all of the other.

    Args:
        max_batch: Images in a batch. A single request may have more, and is then run in parts.
        max_wait: Seconds.
        observe: Called with the size of each batch.
        prepare: Called once in the thread, before anything runs.
    """

    def __init__(
        self,
        max_batch: int,
        max_wait: float,
        observe: Callable[[int], None] = lambda _: None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._observe = observe
        self._prepare = prepare
        self._changed = threading.Condition()
        self._shared: deque[Job] = deque()
        self._single: deque[Job] = deque()
        self._expected: defaultdict[Hashable, set[Job]] = defaultdict(set)
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @contextmanager
    def expected(self, key: Hashable, run: Run) -> Iterator[Job]:
        """Announce images, for which others of the same key wait a little.

        Whoever decodes them gives them to `put`, or the reason why there are none to `fail`, from
        any thread. If the context ends before that, the job is dropped.

        Args:
            key: Requests that may share a batch have the same.
            run: The same function for the same key.
        """
        job = Job(key, run)
        with self._changed:
            self._expected[key].add(job)
        try:
            yield job
        finally:
            job.answer.cancel()  # without effect if it is there
            self._arrived(job)

    def put(self, job: Job, images: Tensor) -> None:
        """Let images run that were expected.

        Args:
            job: Their job.
            images: uint8 (N, C, H, W).
        """
        self._arrived(job, images)

    def fail(self, job: Job, error: BaseException) -> None:
        """Give up images that were expected.

        Args:
            job: Their job.
            error: What its answer raises.
        """
        self._arrived(job)
        _deliver([(job.answer, None, error)])

    async def run(self, key: Hashable, run: Run, images: Awaitable[Tensor]) -> Sequence[Any]:
        """Run images in a batch, possibly together with those of other requests.

        Args:
            key: As in `expected`.
            run: As in `expected`.
            images: Gives uint8 (N, C, H, W).

        Returns:
            An answer per image.
        """
        with self.expected(key, run) as job:
            self.put(job, await images)
            return await job.answer

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call a function that uses a model in the same thread, when it is its turn.

        Args:
            function: The function.
        """
        job = Job(None, function)
        with self._changed:
            self._single.append(job)
            self._start()
            self._changed.notify()
        return await job.answer

    def close(self) -> None:
        """End the thread when the jobs that it has are done."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _arrived(self, job: Job, images: Tensor | None = None) -> None:
        """Note that a job is no longer expected; it waits for its turn if there are images."""
        with self._changed:
            others = self._expected.get(job.key, set())
            if job not in others:  # it was dropped, or was there before
                return
            others.remove(job)
            if not others:
                del self._expected[job.key]
            if images is not None:
                job.images, job.start = images, time.monotonic()
                self._shared.append(job)
                self._start()
            if not others or (images is not None and self._is_enough()):
                self._changed.notify()

    def _is_enough(self) -> bool:
        """Whether the thread has a reason to look; waking it up costs others their time."""
        first, last = self._shared[0], self._shared[-1]
        return (
            first is last
            or first.key != last.key
            or sum(job.size for job in self._shared) >= self._max_batch
        )

    def _start(self) -> None:
        """Start the thread: with the first job, so that a process may be forked before it."""
        if self._thread is None or not self._thread.is_alive():
            self._is_closed = False
            self._thread = threading.Thread(target=self._work, name="medzoo-models", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        self._prepare()
        while True:
            for take in (self._take_batch, self._take_single):
                if jobs := take():
                    _run(jobs, self._max_batch, self._observe)
            with self._changed:
                while not (self._shared or self._single):
                    if self._is_closed:
                        return
                    self._changed.wait()

    def _take_single(self) -> list[Job]:
        with self._changed:
            _drop_cancelled(self._single)
            return [self._single.popleft()] if self._single else []

    def _take_batch(self) -> list[Job]:
        """Return the oldest job, and others of its key that fit into the same batch."""
        with self._changed:
            while True:
                _drop_cancelled(self._shared)
                if not self._shared:
                    return []
                first = self._shared[0]
                batch: list[Job] = []
                size = 0
                for job in self._shared:
                    if job.key == first.key and (not batch or size + job.size <= self._max_batch):
                        batch.append(job)
                        size += job.size
                left = first.start + self._max_wait - time.monotonic()
                is_full = size >= self._max_batch or len(batch) < len(self._shared)
                if is_full or first.key not in self._expected or left <= 0:
                    for job in batch:
                        self._shared.remove(job)
                    return batch
                self._changed.wait(left)


def _drop_cancelled(jobs: deque[Job]) -> None:
    kept = [job for job in jobs if not job.answer.cancelled()]
    if len(kept) < len(jobs):
        jobs.clear()
        jobs.extend(kept)


def _run(jobs: list[Job], max_batch: int, observe: Callable[[int], None]) -> None:
    """Run jobs as one batch; if that fails, each alone, so that none fails for another."""
    try:
        answers = _answers(jobs, max_batch, observe)
    except Exception as error:
        if len(jobs) == 1:
            _deliver([(jobs[0].answer, None, error)])
        else:
            for job in jobs:
                _run([job], max_batch, observe)
    else:
        _deliver([(job.answer, answer, None) for job, answer in zip(jobs, answers, strict=True)])


def _answers(jobs: list[Job], max_batch: int, observe: Callable[[int], None]) -> list[Any]:
    given = [job.images for job in jobs if job.images is not None]
    if not given:
        return [jobs[0].run()]
    images = given[0] if len(given) == 1 else torch.cat(given)
    rows: list[Any] = []
    for batch in images.split(max_batch):
        observe(len(batch))
        rows += jobs[0].run(batch)
    parts, end = [], 0
    for job in jobs:
        parts.append(rows[end : end + job.size])
        end += job.size
    return parts


_Answered = tuple["asyncio.Future[Any]", Any, BaseException | None]


def _deliver(answered: list[_Answered]) -> None:
    """Hand answers over to the event loops that asked, each of which is woken up once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answered]] = {}
    for one in answered:
        by_loop.setdefault(one[0].get_loop(), []).append(one)
    for loop, own in by_loop.items():
        with suppress(RuntimeError):  # it was closed in the meantime, and nobody waits
            loop.call_soon_threadsafe(_set, own)


def _set(answered: list[_Answered]) -> None:
    for answer, value, error in answered:
        if answer.done():  # the request was given up
            continue
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)
