"""Reading images for a model: batch by batch, several files at a time, noting what failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

from medzoo.errors import DatasetError
from medzoo.images import ImageLike
from medzoo.prediction.result import Failure
from medzoo.prediction.sources import ImageSource, load_image, path_of

_READERS = min(4, os.cpu_count() or 1)  # threads: so many files are in memory in full size
_PATIENCE = 2.0  # seconds after which a progress bar appears


class BatchReader:
    """The way from images to batches.

    Args:
        images: Files or images in memory.
        transform: Makes one image ready for the model.
        batch_size: Images in a batch.
        skips: Whether files that cannot be read are left out.

    Attributes:
        sources: The path, or None, of each image that went into the batches so far.
        failures: The files that were left out so far.
    """

    def __init__(
        self,
        images: Sequence[ImageSource],
        transform: Callable[[ImageLike], Tensor],
        batch_size: int,
        skips: bool,
    ) -> None:
        self.images = images
        self.transform = transform
        self.batch_size = batch_size
        self.skips = skips
        self.sources: list[str | None] = []
        self.failures: list[Failure] = []

    def batches(self) -> Iterator[Tensor]:
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

    def _prepared(self) -> Iterator[Tensor]:
        from tqdm.auto import tqdm

        count = len(self.images)
        # A bar only if it takes longer, and only where a person sees it.
        bar = tqdm(
            total=count, unit="image", delay=_PATIENCE, leave=False, disable=count == 1 or None
        )
        numbered = enumerate(self.images)
        with bar, ThreadPoolExecutor(_READERS) as pool:
            while group := list(islice(numbered, self.batch_size)):
                # Only files gain from threads; what is in memory is prepared in less time than
                # it takes to hand it over.
                files = sum(path_of(image) is not None for _, image in group)
                each = pool.map if files > 1 else map
                for outcome, (_, image) in zip(each(self._prepare, group), group, strict=True):
                    bar.update()
                    if isinstance(outcome, Failure):
                        self.failures.append(outcome)
                    else:
                        self.sources.append(path_of(image))
                        yield outcome

    def _prepare(self, numbered: tuple[int, ImageSource]) -> Tensor | Failure:
        index, image = numbered
        path = path_of(image)
        try:
            return self.transform(load_image(image))
        except (DatasetError, OSError) as error:
            if path is None:  # a PIL image whose file turns out to be damaged only now
                raise ValueError(f"image {index}: {error}") from error
            if not self.skips:
                raise
            return Failure(path, str(error), index)
        except (TypeError, ValueError) as error:
            name = index if path is None else repr(path)
            raise type(error)(f"image {name}: {error}") from error
