"""A split as a PyTorch data set with a transform, as torchvision's data sets have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsIndex

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from medzoo.datasets.split import Split


class TransformedSplit(TorchDataset[tuple[Any, "int | Tensor"]]):
    """The images of a split, each transformed when it is read; `to_torch` makes it.

    Args:
        split: The images and labels.
        transform: A function of a PIL image.
    """

    def __init__(self, split: Split, transform: Callable[[Image.Image], Any]) -> None:
        self.split = split
        self.transform = transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int | Tensor]:
        """Return one transformed image and its label; see `Split`."""
        image, label = self.split[index]
        pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
        return self.transform(Image.fromarray(pixels.numpy())), label

    def __repr__(self) -> str:
        return f"TransformedSplit({self.split!r}, {self.transform!r})"


def to_torch(split: Split, transform: Callable[[Image.Image], Any]) -> TransformedSplit:
    """Return a split as a PyTorch data set whose images are transformed when they are read.

    Without a transform, a `Split` is a PyTorch data set itself.

    Args:
        split: The images and labels.
        transform: A function of a PIL image, gray (``"L"``) or ``"RGB"``, as in medmnist and
            torchvision: from `medzoo.create_transform`, torchvision or timm, or any other. Worker
            processes need one that can be pickled, so not a lambda.

    Returns:
        A data set of pairs: what the transform returns, and the label: an `int`, or float32 (L,)
        if multi-label. (In medmnist, labels are arrays (1,) or (L,) of integers.)

    Raises:
        TypeError: If `split` is not a `Split`, or the transform cannot be called.

    Example:
        >>> import medzoo
        >>> data = medzoo.synthetic("dermamnist", n_train=8)
        >>> transform = medzoo.create_transform(data.info)
        >>> image, label = medzoo.datasets.to_torch(data.train, transform)[0]
        >>> image.shape, image.dtype
        (torch.Size([3, 28, 28]), torch.float32)
    """
    if not isinstance(split, Split):
        raise TypeError(f"split is a {type(split).__name__}; give one split, e.g. data.train")
    if not callable(transform):
        raise TypeError(
            f"transform={transform!r:.80} is a {type(transform).__name__}, expected a function of "
            "a PIL image, e.g. medzoo.create_transform(model)"
        )
    return TransformedSplit(split, transform)
