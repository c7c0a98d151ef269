"""Read one DICOM file as it is displayed on a screen: windowed, in 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from medzoo.images.decoding.jpeg2000 import check_first_frame
from medzoo.images.decoding.pixels import rescale_to_uint8

_FUNCTIONAL_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_OF_FRAME = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def is_dicom(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a DICOM file.

    Args:
        head: At least the first 132 bytes of the file.
    """
    return head[128:132] == b"DICM"


def lacks_preamble(head: bytes) -> bool:
    """Return whether a file of unknown format starts like the data elements of a DICOM file.

    Args:
        head: The first bytes of the file.
    """
    # In little-endian order, the first data element is of group 0002, or of group 0008 with a low
    # element number.
    return head[:4] == b"\2\0\0\0" or (head[:2] == b"\x08\0" and head[3:4] == b"\0")


def read_dicom(stream: BinaryIO, reserve: Callable[[int, int], None]) -> np.ndarray:
    """Read the first frame of a DICOM file.

    The modality rescaling or look-up table is applied to gray values, then the VOI look-up table
    or the first window. Without a window, values of up to 8 stored bits keep their range, and
    deeper values are scaled from their minimum and maximum. MONOCHROME1, where large values are
    dark, is inverted. Gray values that are padding (Pixel Padding Value, up to Pixel Padding Range
    Limit if there is one) become black. Palettes and YBR become RGB; of colours with more than 8
    bits, the upper 8 are kept.

    Args:
        stream: The file, at its start.
        reserve: Called with the width and height before the pixels are decoded.

    Returns:
        uint8 (H, W) if gray, else (H, W, 3).

    Raises:
        ImportError: If pydicom is not installed.
        Exception: Any error that pydicom raises if the file is damaged or of an unsupported kind;
            `medzoo.images.file.read_image` converts it to `DatasetError`.
    """
    try:
        from pydicom import dcmread
        from pydicom.pixels import apply_color_lut, pixel_array
        from pydicom.uid import JPEG2000TransferSyntaxes
    except ImportError as error:
        raise ImportError(
            f"DICOM needs the package pydicom ({error}); "
            "install it with: pip install 'medzoo[dicom]'"
        ) from error
    header = dcmread(stream, stop_before_pixels=True)
    syntax = header.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise ValueError(
            "it is a DICOM file without a transfer syntax (0002,0010), which specifies how pixels "
            "are stored; save it again with one"
        )
    if syntax.is_deflated:
        raise ValueError("it is a deflated DICOM file; save it without deflation")
    if "Rows" not in header or "Columns" not in header:
        raise ValueError("it is a DICOM file without an image")
    reserve(header.Columns, header.Rows)
    if syntax in JPEG2000TransferSyntaxes:
        stream.seek(0)
        check_first_frame(dcmread(stream))
    stream.seek(0)
    pixels = pixel_array(stream, index=0)
    kind = header.PhotometricInterpretation
    if kind.startswith("MONOCHROME"):
        return _windowed(pixels, _with_frame(header))
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)[..., :3]
        bits = 8 * pixels.itemsize
    else:
        bits = header.BitsStored
    if pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise ValueError(f"its {kind} pixels have the shape {pixels.shape}, expected (H, W, 3)")
    return (pixels >> max(bits - 8, 0)).astype(np.uint8)


def _with_frame(header: Any) -> Any:
    """Copy rescaling and window of the first frame to where single-frame files have them."""
    for groups in _FUNCTIONAL_GROUPS:
        for name in _OF_FRAME:
            if header.get(groups) and (found := header[groups][0].get(name)):
                for element in found[0]:
                    header.setdefault(element.tag, element)
    return header


def _windowed(pixels: np.ndarray, header: Any) -> np.ndarray:
    """Apply the rescaling or look-up tables of modality and VOI; return uint8, padding in black."""
    from pydicom.pixels import apply_modality_lut

    bits = header.get("BitsStored", 8 * pixels.itemsize)
    if pixels.itemsize > 2:
        is_padding = _find_padding(pixels, header)
        values = apply_modality_lut(pixels, header)
        return _apply_voi(values, values[~is_padding], header, is_padding)
    # All possible values are converted once, and pixels are then looked up.
    index = pixels.view(f"u{pixels.itemsize}")
    codes = np.arange(1 << 8 * pixels.itemsize, dtype=index.dtype).view(pixels.dtype)
    is_padding = _find_padding(codes, header)
    if bits <= 8 and pixels.dtype.kind == "u":
        used = codes < 2**bits
    else:
        used = np.zeros(codes.shape, bool)
        used[index] = True
        used &= ~is_padding
    # In 64 bits: pydicom subtracts the first value of a table in the type of the pixels.
    values = apply_modality_lut(codes.astype(np.int64), header)
    return _apply_voi(values, values[used], header, is_padding)[index]


def _find_padding(stored: np.ndarray, header: Any) -> np.ndarray:
    """Return where stored values are padding, as a mask."""
    first = header.get("PixelPaddingValue")
    if first is None or stored.dtype.kind not in "iu":
        return np.zeros(stored.shape, bool)
    last = header.get("PixelPaddingRangeLimit")
    ends = [_as_stored(end, stored.dtype) for end in (first, first if last is None else last)]
    return (stored >= min(ends)) & (stored <= max(ends))


def _as_stored(value: int, dtype: np.dtype) -> int:
    """Return a value that may have been written as signed for unsigned pixels, or vice versa."""
    limits, span = np.iinfo(dtype), 1 << 8 * dtype.itemsize
    readings = (value, value - span, value + span)
    return next((v for v in readings if limits.min <= v <= limits.max), value)


def _apply_voi(
    values: np.ndarray, used: np.ndarray, header: Any, is_padding: np.ndarray
) -> np.ndarray:
    """Apply the VOI look-up table or window; return uint8, in which large values are bright.

    Args:
        values: Values after the modality's rescaling or table, which may reverse their order.
        used: Those that occur. Without a table or window, their extremes become black and white.
        header: The header.
        is_padding: Where values are padding, which becomes black.
    """
    from pydicom.pixels import apply_voi, apply_windowing

    if header.get("VOILUTSequence"):
        table = header.VOILUTSequence[0]
        count, first, bits = table.LUTDescriptor
        low, high = 0, 2**bits - 1
        # pydicom computes positions in the type of the table's values: 8 bits are too few for
        # tables of more than 256 values, and 16 for positions that are not clipped.
        table.LUTDescriptor = [count, first, max(bits, 16)]
        values = np.clip(np.rint(values), first, first + (count or 1 << 16) - 1)
        values = apply_voi(values.astype(np.int64), header)
    elif None not in (header.get("WindowCenter"), header.get("WindowWidth")):
        values = apply_windowing(values, header)
        # With a falling slope, pydicom returns the smaller value for what is above the window.
        low, high = apply_windowing(np.array([-np.inf, np.inf]), header)
    else:
        low, high = (used.min(), used.max()) if used.size else (0, 0)
    shown = rescale_to_uint8(values, float(low), float(high))
    if header.PhotometricInterpretation == "MONOCHROME1":
        shown = 255 - shown
    shown[is_padding] = 0
    return shown
