"""medzoo: the model zoo for small medical images.

Public names are imported on first use, so that ``import medzoo`` itself costs next to nothing.
"""

__version__ = "0.1.0"
