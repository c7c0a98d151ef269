"""The ``medzoo`` command: a thin layer over the public functions, one file per command."""

from medzoo.cli.main import main

__all__ = ["main"]
