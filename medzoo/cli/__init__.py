"""The ``medzoo`` command: a thin face over the library's public functions, a file a command."""

from medzoo.cli.main import main

__all__ = ["main"]
