"""Looking at a data set before training on it: counts, copies and leaks."""

from medzoo.datasets.preview.summary import DatasetPreview, preview

__all__ = ["DatasetPreview", "preview"]
