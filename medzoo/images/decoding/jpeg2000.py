"""Check the boxes around a JPEG 2000 image in a DICOM file, before pydicom reads them."""

from __future__ import annotations

from typing import Any

_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_SIGNATURE_BOX = 12  # bytes of the box that contains the signature
_HEADER = 8  # bytes of the length and type of a box


def check_first_frame(dataset: Any) -> None:
    """Check the boxes of the first frame of a DICOM file; see `check_boxes`.

    Args:
        dataset: A data set of pydicom with pixels compressed as JPEG 2000.

    Raises:
        ValueError: If the boxes are damaged, or there is no such frame.
    """
    from pydicom.encaps import get_frame

    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths
    frames = dataset.get("NumberOfFrames") or 1
    pixels = dataset.PixelData
    check_boxes(get_frame(pixels, 0, number_of_frames=int(frames), extended_offsets=offsets))


def check_boxes(codestream: bytes) -> None:
    """Check the length of each box before the JPEG 2000 codestream.

    pydicom (3.0) finds the next box by adding the length in the first four bytes, which never ends
    if that is 0. A length of 0 ("until the end") or 1 ("64 bits follow") is valid for the box of
    the codestream, where pydicom stops.

    Args:
        codestream: A frame, with boxes around it (JP2) or without.

    Raises:
        ValueError: If another box is shorter than its own header.
    """
    if not codestream.startswith(_SIGNATURE):
        return
    offset = _SIGNATURE_BOX
    while offset < len(codestream) and codestream[offset + 4 : offset + 8] != b"jp2c":
        length = int.from_bytes(codestream[offset : offset + 4], "big")
        if length < _HEADER:
            raise ValueError(
                f"its JPEG 2000 image is damaged: a box at byte {offset} claims {length} bytes, "
                f"expected at least {_HEADER}"
            )
        offset += length
