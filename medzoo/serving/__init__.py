"""Trained models as an HTTP service: ``medzoo serve``, or an application to mount in your own.

Needs ``pip install 'medzoo[serve]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medzoo.lazy import export_lazily

if TYPE_CHECKING:
    from medzoo.serving.app import create_app
    from medzoo.serving.limits import Limits

__all__ = ["Limits", "create_app"]

export_lazily(__name__, {"app": ("create_app",), "limits": ("Limits",)})
