"""Data files on disk: archives, memory maps, downloads and checksums."""

from medzoo.datasets.storage.archive import read_archive
from medzoo.datasets.storage.download import download_file
from medzoo.datasets.storage.md5 import file_md5, known_files
from medzoo.datasets.storage.mmap import iter_chunks, take_rows
from medzoo.datasets.storage.partial import remove_leftovers

__all__ = [
    "download_file",
    "file_md5",
    "iter_chunks",
    "known_files",
    "read_archive",
    "remove_leftovers",
    "take_rows",
]
