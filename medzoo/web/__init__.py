"""What a web page about models needs, with a server behind it or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medzoo.lazy import export_lazily

if TYPE_CHECKING:
    from medzoo.web.describe import NOTICE, describe_model
    from medzoo.web.export import Sample, WebExport, export_web
    from medzoo.web.page_files import page_files

__all__ = ["NOTICE", "Sample", "WebExport", "describe_model", "export_web", "page_files"]

export_lazily(
    __name__,
    {
        "describe": ("NOTICE", "describe_model"),
        "export": ("Sample", "WebExport", "export_web"),
        "page_files": ("page_files",),
    },
)
