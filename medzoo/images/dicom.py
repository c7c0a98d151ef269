"""Read one DICOM file as it is displayed on a screen: windowed, in 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medzoo.images.convert import check_pixels, rescale_to_uint8
from medzoo.images.jpeg2000 import check_first_frame

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


def read_dicom(path: Path) -> np.ndarray:
    """Read the first frame of a DICOM file.

    The modality rescaling or look-up table is applied to gray values, then the VOI look-up table
    or the first window. Without a window, values of up to 8 stored bits keep their range, and
    deeper values are scaled from their minimum and maximum. MONOCHROME1, where large values are
    dark, is inverted. Palettes and YBR become RGB; of colours with more than 8 bits, the upper 8
    are kept.

    Args:
        path: The file.

    Returns:
        uint8 (H, W) if gray, else (H, W, 3).

    Raises:
        ImportError: If pydicom is not installed.
        Exception: Any error that pydicom raises if the file is damaged or of an unsupported kind;
            `medzoo.images.file.read_image` converts it to `DatasetError`.
    """
    try:
        from pydicom import dcmread
        from pydicom.filereader import read_file_meta_info
        from pydicom.pixels import apply_color_lut, pixel_array
        from pydicom.uid import JPEG2000TransferSyntaxes
    except ImportError as error:
        raise ImportError(
            f"DICOM needs the package pydicom ({error}); "
            "install it with: pip install 'medzoo[dicom]'"
        ) from error
    syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    if not syntax:
        raise ValueError(
            "it is a DICOM file without a transfer syntax (0002,0010), which specifies how pixels "
            "are stored; save it again with one"
        )
    if syntax.is_deflated:
        # pydicom would decompress the whole file before anything can be checked.
        raise ValueError("it is a deflated DICOM file; save it without deflation")
    header = dcmread(path, stop_before_pixels=True)
    if "Rows" not in header or "Columns" not in header:
        raise ValueError("it is a DICOM file without an image")
    check_pixels(header.Columns, header.Rows)
    if syntax in JPEG2000TransferSyntaxes:
        check_first_frame(dcmread(path))
    pixels = pixel_array(path, index=0)
    kind = header.PhotometricInterpretation
    if kind.startswith("MONOCHROME"):
        gray = _windowed(pixels, _with_frame(header))
        return 255 - gray if kind == "MONOCHROME1" else gray
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
    """Apply the rescaling or look-up tables of modality and VOI; return uint8."""
    from pydicom.pixels import apply_modality_lut

    bits = header.get("BitsStored", 8 * pixels.itemsize)
    if pixels.itemsize > 2:
        values = apply_modality_lut(pixels, header)
        return _apply_voi(values, values, header)
    # All possible values are converted once, and pixels are then looked up.
    index = pixels.view(f"u{pixels.itemsize}")
    codes = np.arange(1 << 8 * pixels.itemsize, dtype=index.dtype).view(pixels.dtype)
    if bits <= 8 and pixels.dtype.kind == "u":
        used = codes < 2**bits
    else:
        used = np.zeros(codes.shape, bool)
        used[index] = True
    # In 64 bits: pydicom subtracts the first value of a table in the type of the pixels.
    values = apply_modality_lut(codes.astype(np.int64), header)
    return _apply_voi(values, values[used], header)[index]


def _apply_voi(values: np.ndarray, used: np.ndarray, header: Any) -> np.ndarray:
    """Apply the VOI look-up table or window; return uint8.

    Args:
        values: Values after the modality's rescaling or table, which may reverse their order.
        used: Those that occur. Without a table or window, their extremes become black and white.
        header: The header.
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
        low, high = used.min(), used.max()
    return rescale_to_uint8(values, float(low), float(high))
