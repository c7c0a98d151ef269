"""HTML that needs no network: pages to hand on, and what objects show of themselves in notebooks.

This package knows sections, tables and pictures, not what they are about.
"""

from medzoo.html.document import NOTICE, Figure, Picture, Section, Table
from medzoo.html.picture import picture_of
from medzoo.html.render import card, page

__all__ = ["NOTICE", "Figure", "Picture", "Section", "Table", "card", "page", "picture_of"]
