"""Looking at a data set before training on it: counts, copies, leaks, and the images themselves."""

from medzoo.datasets.preview.contact_sheet import contact_sheet
from medzoo.datasets.preview.summary import DatasetPreview, preview

__all__ = ["DatasetPreview", "contact_sheet", "preview"]
