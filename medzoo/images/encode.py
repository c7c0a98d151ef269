"""Pictures as the content of image files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def encode_picture(picture: Image, path: str | Path) -> bytes:
    """Return the content of an image file.

    Args:
        picture: The picture.
        path: The file; its suffix decides the format.

    Raises:
        ValueError: If Pillow writes no such picture in a format of that suffix.
    """
    from PIL import Image

    format_ = Image.registered_extensions().get(Path(path).suffix.lower())
    if format_ not in Image.SAVE:
        raise ValueError(f"cannot write {str(path)!r}: unknown suffix; use .png")
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format=format_)
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error}; use .png") from error
    return buffer.getvalue()
