"""DICOM files created from pixels, for the tests of DICOM and the fuzz tests."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


def dicom_file(
    pixels: np.ndarray, kind: str = "MONOCHROME2", syntax: str = "1.2.840.10008.1.2.1", **tags: Any
) -> bytes:
    """Return a DICOM file; the same arguments always give the same file.

    Args:
        pixels: (H, W) or (H, W, 3), integers.
        kind: Photometric interpretation.
        syntax: Transfer syntax, which must fit ``PixelData`` if that is among the tags; by default
            explicit, little endian. RLE is compressed here.
        **tags: Further elements by keyword; they override those derived from the pixels.

    Returns:
        The content of the file.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

    file = Dataset()
    file.file_meta = FileMetaDataset()
    compresses = syntax == RLELossless
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compresses else UID(syntax)
    file.SOPClassUID = SecondaryCaptureImageStorage
    file.SOPInstanceUID = "1.2.3"
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    file.PhotometricInterpretation = kind
    file.BitsAllocated = file.BitsStored = 8 * pixels.itemsize
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for name, value in tags.items():
        setattr(file, name, value)
    file.HighBit = file.BitsStored - 1
    if compresses:
        file.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
