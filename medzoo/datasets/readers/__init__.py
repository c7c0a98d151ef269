"""Readers of images that are not arrays yet: folders, tables, Hugging Face data sets."""

from medzoo.datasets.readers.folder import read_folder
from medzoo.datasets.readers.huggingface import read_huggingface
from medzoo.datasets.readers.read import ReadingOptions
from medzoo.datasets.readers.table import read_table

__all__ = ["ReadingOptions", "read_folder", "read_huggingface", "read_table"]
