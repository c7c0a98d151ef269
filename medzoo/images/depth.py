"""Notice 16-bit images that use only the lowest of their bits, and are therefore too dark."""

from __future__ import annotations

import warnings
from threading import Lock

_DEPTHS = (8, 10, 12, 14)  # bits of devices whose values are stored in 16 bits


class DepthCheck:
    """Finds out whether all 16-bit images of a call have values of fewer bits.

    Scans of 10 to 14 bits are often stored in 16-bit files without being scaled. Black and white
    of these files are 0 and 65535, so such images are almost black. A single image may be dark for
    other reasons, and scaling each by its own maximum would make images incomparable. So nothing
    is scaled; all images of a call are considered together, and give one warning.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # images are read in threads
        self._highest = 0

    def add(self, highest: int) -> None:
        """Take note of an image.

        Args:
            highest: Its largest value, as it is stored in 16 bits.
        """
        with self._lock:
            self._highest = max(self._highest, highest)

    def message(self) -> str | None:
        """Return what to warn of: that no image has a value of 15 or 16 bits; None if one has."""
        bits = next((bits for bits in _DEPTHS if self._highest < 1 << bits), None)
        if not (self._highest and bits):
            return None
        return (
            f"values up to {(1 << bits) - 1} in 16-bit images: they look like {bits}-bit "
            "images, which are too dark here, as white is 65535; if they are, multiply "
            f"their values by {1 << 16 - bits}, for training and prediction alike"
        )

    def finish(self, stacklevel: int = 2) -> None:
        """Warn if none of the images that were added has a value of 15 or 16 bits.

        Args:
            stacklevel: Which line the warning is about: 1 for the one that calls this method, 2
                for the one that calls the function around it, and so on.
        """
        if message := self.message():
            warnings.warn(message, stacklevel=stacklevel + 1)
