"""What a web page about models needs, without a server."""

from typing import TYPE_CHECKING

from medzoo.lazy import export_lazily

if TYPE_CHECKING:
    from medzoo.web.page_files import page_files

__all__ = ["page_files"]

export_lazily(__name__, {"page_files": ("page_files",)})
