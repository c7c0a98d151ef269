"""Reading images for a model: batch by batch, several files at a time, noting what failed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from medzoo.device import reader_pool
from medzoo.errors import DatasetError
from medzoo.images import to_uint8
from medzoo.images.depth import DepthCheck
from medzoo.prediction.result import Failure
from medzoo.prediction.sources import (
    ImageSource,
    Source,
    Sources,
    is_file_content,
    load_image,
    path_of,
)
from medzoo.spec import InputSpec
from medzoo.transforms import prepare_batch

_READERS = min(4, os.cpu_count() or 1)  # threads: so many files are in memory in full size
_PATIENCE = 2.0  # seconds after which a progress bar appears

_Started: TypeAlias = "Tensor | Failure | Future[Tensor | Failure]"
Item = TypeVar("Item")


class BatchReader:
    """The way from images to batches.

    Args:
        sources: Files or images in memory.
        expected: What the model expects.
        batch_size: Images in a batch.
        skips: Whether images that cannot be read are left out; None for those that were found.

    Attributes:
        sources: Files or images in memory.
        depth: The depth of the images that were read so far.
    """

    def __init__(
        self, sources: Sources, expected: InputSpec, batch_size: int, skips: bool | None
    ) -> None:
        self.sources = sources
        self.expected = expected
        self.batch_size = batch_size
        self.skips = skips
        self._read: list[str | Failure | None] = []
        self.depth = DepthCheck()

    def batches(self) -> Generator[Tensor, None, None]:
        """Yield batches (N, C, H, W), each read when it is asked for.

        Raises:
            FileNotFoundError: If a file does not exist, and is not to be skipped.
            DatasetError: If a file is not a readable image, and is not to be skipped.
            TypeError: If something is not an image.
            ValueError: If an image in memory has the wrong shape, type or values, or is damaged.
        """
        prepared = self._prepared()
        while group := list(islice(prepared, self.batch_size)):
            yield torch.stack(group)

    def take(self) -> list[str | Failure | None]:
        """Return the images that were read since the last call, in their order.

        Returns:
            The path, or None, of those that went into the batches; a failure for the others.
        """
        taken, self._read = self._read, []
        return taken

    def _prepared(self) -> Iterator[Tensor]:
        count = self.sources.count
        pool = None if count == 1 else reader_pool(_READERS)
        with _progress(count) as advance:
            try:
                for path, started in _ahead(self._started(pool), self.batch_size):
                    outcome = started.result() if isinstance(started, Future) else started
                    advance()
                    if isinstance(outcome, Failure):
                        self._read.append(outcome)
                    else:
                        self._read.append(path)
                        yield outcome
            finally:
                if pool:
                    pool.shutdown(cancel_futures=True)

    def _started(self, pool: ThreadPoolExecutor | None) -> Iterator[tuple[str | None, _Started]]:
        for index, source in enumerate(self.sources.images):
            yield path_of(source.image), self._start(pool, index, source)

    def _start(self, pool: ThreadPoolExecutor | None, index: int, source: Source) -> _Started:
        """Read a file in a thread; prepare what is in memory at once, before it may change."""
        image = source.image
        skips = source.is_found if self.skips is None else self.skips
        if pool and isinstance(image, str | os.PathLike | bytes):
            return pool.submit(self._prepare, index, image, skips)
        return self._prepare(index, image, skips)

    def _prepare(self, index: int, image: ImageSource, skips: bool) -> Tensor | Failure:
        path = path_of(image)
        name = f"image {index}" if path is None else repr(path)
        try:
            with ExitStack() as held:
                pixels = to_uint8(load_image(image, self.depth, name, held), depth=self.depth)
                return prepare_batch(pixels.unsqueeze(0), self.expected)[0]
        except (DatasetError, OSError) as error:
            if skips:
                return Failure(path or name, str(error), index)
            if path is None and not is_file_content(image):  # a PIL image, decoded only now
                raise ValueError(f"{name}: {error}") from error
            raise
        except (TypeError, ValueError) as error:
            name = name if path is None else f"image {name}"
            raise type(error)(f"{name}: {error}") from error


@contextmanager
def _progress(count: int | None) -> Iterator[Callable[[], object]]:
    """Show a bar if reading takes longer, where a person sees it; give what is called per image.

    Args:
        count: Number of images, if it is known.
    """
    if count == 1:
        yield lambda: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=count or None, unit="image", delay=_PATIENCE, leave=False, disable=None) as bar:
        yield bar.update


def _ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield items, and take them from their source so early that up to `count` are waiting.

    So the images of the next batch are decoded while the model computes this one.
    """
    waiting: deque[Item] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) == count:
            yield waiting.popleft()
    yield from waiting
