"""The boxes around a JPEG 2000 image inside a DICOM file, checked before pydicom follows them."""

from __future__ import annotations

from typing import Any

_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_FIRST = 12  # bytes of the signature's own box
_HEAD = 8  # bytes of a box's length and type


def check_first_frame(dataset: Any) -> None:
    """Check the boxes of a DICOM file's first frame; see `check_boxes`.

    Args:
        dataset: pydicom's data set with its pixels, compressed as JPEG 2000.

    Raises:
        ValueError: If they are damaged, or there is no such frame.
    """
    from pydicom.encaps import get_frame

    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths
    frames = dataset.get("NumberOfFrames") or 1
    pixels = dataset.PixelData
    check_boxes(get_frame(pixels, 0, number_of_frames=int(frames), extended_offsets=offsets))


def check_boxes(codestream: bytes) -> None:
    """Make sure that each box before the JPEG 2000 codestream leads on to another.

    pydicom (3.0) goes from box to box by the first four bytes, and for ever if they are 0. A length of 0
    ("to the end") or 1 ("64 bits follow") is right for the box of the codestream, where it stops.

    Args:
        codestream: A frame, with boxes around it (JP2) or without.

    Raises:
        ValueError: If another box is shorter than its own head.
    """
    if not codestream.startswith(_SIGNATURE):
        return
    offset = _FIRST
    while offset < len(codestream) and codestream[offset + 4 : offset + 8] != b"jp2c":
        length = int.from_bytes(codestream[offset : offset + 4], "big")
        if length < _HEAD:
            raise ValueError(
                f"its JPEG 2000 image is damaged: a box at byte {offset} claims {length} bytes, "
                f"expected at least {_HEAD}"
            )
        offset += length
