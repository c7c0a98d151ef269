import io
import subprocess
import sys
import warnings

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from medzoo.errors import DatasetError
from medzoo.images.decoding.jpeg2000 import check_boxes
from medzoo.images.file import read_image
from tests.fuzz.dicom_files import dicom_file


def save(path, *pixels_and_kind, **tags):
    """Write a file of what `dicom_file` takes."""
    path.write_bytes(dicom_file(*pixels_and_kind, **tags))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan"  # DICOM files often have no ending


HOUNSFIELD = np.array([[-1024, -160, 40, 240, 3000]])


def test_the_window_is_seen_after_rescaling(path):
    stored = (HOUNSFIELD + 1024).astype(np.uint16)
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "VOILUTFunction": "LINEAR_EXACT"}
    save(path, stored, WindowCenter=40, WindowWidth=400, **tags)
    assert read_image(path).tolist() == [[0, 0, 128, 255, 255]]
    save(path, stored, "MONOCHROME1", WindowCenter=40, WindowWidth=400, **tags)
    assert read_image(path).tolist() == [[255, 255, 127, 0, 0]]


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_the_first_of_several_windows_counts_also_for_signed_values(dtype, path):
    save(path, HOUNSFIELD.astype(dtype), WindowCenter=[40, 0], WindowWidth=[400, 9])
    assert read_image(path).tolist() == [[0, 0, 128, 255, 255]]


def test_a_sigmoid_window(path):
    tags = {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "SIGMOID"}
    save(path, HOUNSFIELD.astype(np.int16), **tags)
    expected = 255 / (1 + np.exp(-4 * (HOUNSFIELD - 40) / 400))
    assert np.abs(read_image(path) - expected).max() <= 1


def test_a_voi_table_comes_before_a_window(path):
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.LUTData = np.array([0, 65535, 257, 32896], np.uint16).tobytes()
    stored = np.array([[0, 1, 2, 3, 9]], np.uint16)
    tags = {"VOILUTSequence": Sequence([table]), "WindowCenter": 1, "WindowWidth": 2}
    save(path, stored, **tags)
    assert read_image(path).tolist() == [[0, 255, 1, 128, 128]]


def test_without_a_window_deep_values_are_stretched_and_eight_bits_kept(path):
    save(path, np.array([[100, 200, 500]], np.uint16), BitsStored=12)
    assert read_image(path).tolist() == [[0, 64, 255]]
    save(path, np.array([[100, 150, 200]], np.uint8))
    assert read_image(path).tolist() == [[100, 150, 200]]
    save(path, np.array([[100, 150, 200]], np.uint8), RescaleSlope=2, RescaleIntercept=-5)
    assert read_image(path).tolist() == [[100, 150, 200]]
    save(path, np.full((2, 3), 77, np.uint16))
    assert read_image(path).tolist() == [[0] * 3] * 2


def test_the_window_of_an_enhanced_file_is_in_its_groups(path):
    def group(**tags):
        dataset = Dataset()
        for name, value in tags.items():
            setattr(dataset, name, value)
        return Sequence([dataset])

    shared = group(
        PixelValueTransformationSequence=group(RescaleSlope=1, RescaleIntercept=-1024),
        FrameVOILUTSequence=group(WindowCenter=40, WindowWidth=400),
    )
    stored = (HOUNSFIELD + 1024).astype(np.uint16)
    save(path, stored, SharedFunctionalGroupsSequence=shared)
    assert read_image(path).tolist() == [[0, 0, 128, 255, 255]]


def test_first_frame_of_several(path):
    frames = np.stack([np.full((2, 4), 9, np.uint8), np.full((2, 4), 200, np.uint8)])
    save(path, frames[0], NumberOfFrames=2, PixelData=frames.tobytes())
    assert (read_image(path) == 9).all()
    assert read_image(path).shape == (2, 4)


def test_colours(path):
    colour = np.array([[[255, 0, 0], [0, 128, 255]], [[9, 9, 9], [255, 255, 255]]], np.uint8)
    save(path, colour, "RGB")
    assert np.array_equal(read_image(path), colour)
    save(path, colour.astype(np.uint16) * 257, "RGB")
    assert np.array_equal(read_image(path), colour)
    ybr = pydicom.pixels.convert_color_space(colour, "RGB", "YBR_FULL")
    save(path, ybr, "YBR_FULL")
    assert np.abs(read_image(path).astype(int) - colour).max() <= 2


def test_a_palette(path):
    tags = {}
    for name, values in {"Red": [0, 255], "Green": [128, 0], "Blue": [7, 8]}.items():
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, 8]
        tags[f"{name}PaletteColorLookupTableData"] = bytes(values)
    save(path, np.array([[0, 1]], np.uint8), "PALETTE COLOR", **tags)
    assert read_image(path).tolist() == [[[0, 128, 7], [255, 0, 8]]]


def jpeg(gray):
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_jpeg_inside(path):
    gray = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    save(path, gray, syntax=JPEGBaseline8Bit, PixelData=encapsulate([jpeg(gray)]))
    assert np.abs(read_image(path).astype(int) - gray).mean() < 2


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Rows": 60_000, "Columns": 60_000}, "60000 x 60000 pixels"),
        ({"Rows": 0}, "pixels"),
        ({"PixelData": bytes(40)}, "cannot read"),
        ({"WindowCenter": 5, "WindowWidth": 0}, "Window Width"),
        ({"PhotometricInterpretation": "HSV"}, "cannot read"),
    ],
)
def test_what_does_not_fit_is_refused(tags, reason, path):
    with pytest.raises(DatasetError, match=reason) as caught:
        read_image(save(path, np.zeros((64, 64), np.uint16), **tags))
    assert str(path) in str(caught.value)


def test_a_jpeg_that_is_larger_than_its_frame_is_refused(path):
    data = encapsulate([jpeg(np.zeros((900, 900), np.uint8))])
    save(path, np.zeros((64, 64), np.uint8), syntax=JPEGBaseline8Bit, PixelData=data)
    with pytest.raises(DatasetError, match="cannot read"):
        read_image(path)


JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"


def jpeg_2000(gray, **options):
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "JPEG2000", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("boxes", [True, False])
def test_jpeg_2000_inside(boxes, path):
    gray = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)
    data = encapsulate([jpeg_2000(gray, no_jp2=not boxes)])
    save(path, gray, syntax=JPEG2000Lossless, PixelData=data)
    assert np.array_equal(read_image(path), gray)


def test_a_jpeg_2000_box_without_length_is_refused(path):
    data = encapsulate([JP2 + bytes(20)])
    save(path, np.zeros((64, 64), np.uint8), syntax=JPEG2000Lossless, PixelData=data)
    # In a separate process, since a failure here would never end.
    code = f"from medzoo.images.file import read_image; read_image({str(path)!r})"
    ended = subprocess.run([sys.executable, "-c", code], timeout=60, stderr=subprocess.PIPE)
    assert b"box at byte 12 claims 0 bytes" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("length", [0, 1, 7])
def test_only_the_codestreams_box_may_claim_less_than_its_head(length):
    claimed = length.to_bytes(4, "big")
    check_boxes(JP2 + claimed + b"jp2c" + bytes(9))
    check_boxes(claimed + b"ftyp")  # no boxes at all
    for rest in (b"ftyp" + bytes(9), b""):
        with pytest.raises(ValueError, match=f"claims {length} bytes"):
            check_boxes(JP2 + claimed + rest)


def test_deflated_files_and_reports_are_refused(path):
    save(path, np.zeros((64, 64), np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    with pytest.raises(DatasetError, match="deflated"):
        read_image(path)
    report = pydicom.dcmread(save(path, np.zeros((2, 2), np.uint8)))
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.save_as(path)
    with pytest.raises(DatasetError, match="without an image"):
        read_image(path)


def test_what_is_missing_from_a_dicom_file_is_said(path):
    whole = dicom_file(np.zeros((4, 4), np.uint8))
    meta_length = 12 + int.from_bytes(whole[140:144], "little")
    for head in (132, 132 + meta_length):  # the preamble, or with it all about the file
        path.write_bytes(whole[head:])
        with pytest.raises(DatasetError, match="without the preamble"):
            read_image(path)
    path.with_suffix(".dcm").write_bytes(b" " + whole[132:])
    with pytest.raises(DatasetError, match="without the preamble"):
        read_image(path.with_suffix(".dcm"))
    path.write_bytes(whole.replace(b"\2\0\x10\0UI", b"\2\0\x11\0UI"))
    with pytest.raises(DatasetError, match="without a transfer syntax"):
        read_image(path)


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("stored", "tags"),
    [
        ([[-2000, 0, 20, 100]], {"PixelPaddingValue": -2000}),
        ([[3000, 0, 20, 100]], {"PixelPaddingValue": 3000}),
        ([[-1999, 0, 20, 100]], {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1000}),
        ([[-1999, 0, 20, 100]], {"PixelPaddingValue": -1000, "PixelPaddingRangeLimit": -2000}),
    ],
)
def test_padding_is_black_and_does_not_darken_the_rest(path, stored, tags, kind):
    image = read_image(save(path, np.array(stored, np.int16), kind, **tags))
    assert image[0, 0] == 0
    assert image[0, 1:].tolist() == ([0, 51, 255] if kind == "MONOCHROME2" else [255, 204, 0])
    window = {"WindowCenter": -1000, "WindowWidth": 3000}
    assert read_image(save(path, np.array(stored, np.int16), kind, **tags, **window))[0, 0] == 0


def test_padding_of_other_values_changes_nothing(path):
    stored = np.array([[0, 48, 255]], np.uint8)
    assert read_image(save(path, stored, PixelPaddingValue=63536)).tolist() == stored.tolist()
    assert read_image(save(path, stored, PixelPaddingValue=48)).tolist() == [[0, 0, 255]]
    only = np.full((2, 2), 7, np.uint16)
    assert not read_image(save(path, only, PixelPaddingValue=7)).any()


# Against the definitions in the standard, for every combination of tables and windows


def table(values, first=0, bits=16):
    """A look-up table as the standard stores it; `first` is the value that its start is for."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS", [len(values), first, bits])
    item.add_new("LUTData", "US", [int(value) for value in values])
    return Sequence([item])


def looked_up(values, entries, first):
    return np.asarray(entries)[np.clip(np.rint(values).astype(int) - first, 0, len(entries) - 1)]


@st.composite
def grayscale(draw):
    """Pixels, tags, and what is to be seen of them, from 0 (black) to 1 (white)."""
    bits = draw(st.sampled_from([8, 12, 16]))
    signed = draw(st.booleans())
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    kind = np.dtype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    stored = draw(st.lists(st.integers(low, high), min_size=2, max_size=6))
    pixels, tags = np.array([stored], kind), {"BitsStored": bits}
    values = np.array(stored, float)
    possible = np.arange(low, high + 1)
    modality = draw(st.sampled_from(["none", "slope", "table"]))
    if modality == "slope":
        slope = draw(st.sampled_from([-2.5, -1, -0.25, 0.5, 1, 3]))
        tags |= {"RescaleSlope": slope, "RescaleIntercept": draw(st.integers(-2000, 2000))}
        change = lambda v: v * slope + tags["RescaleIntercept"]  # noqa: E731
    else:
        entries = draw(st.lists(st.integers(0, 65535), min_size=2, max_size=9))
        first = draw(st.integers(low, high - 1))
        if modality == "table":
            tags["ModalityLUTSequence"] = table(entries, min(first, 32767))
        change = lambda v: (  # noqa: E731
            v if modality == "none" else looked_up(v, entries, min(first, 32767))
        )
    values = change(values)
    voi = draw(st.sampled_from(["none", "window", "table"]))
    if voi == "window":
        center, width = draw(st.integers(-3000, 3000)), draw(st.integers(1, 5000))
        tags |= {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": "LINEAR_EXACT"}
        shown = np.clip((values - center) / width + 0.5, 0, 1)
    elif voi == "table":
        depth = draw(st.sampled_from([8, 12, 16]))
        count = draw(st.sampled_from([2, 7, 300]))
        entries = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 2**depth, count)
        first = draw(st.integers(-3000, 3000))
        tags["VOILUTSequence"] = table(entries, first, depth)
        shown = looked_up(values, entries, first) / (2**depth - 1)
    else:
        ends = change(possible) if bits == 8 and not signed else values
        spread = ends.max() - ends.min()
        shown = (values - ends.min()) / spread if spread else 0 * values
    return pixels, tags, shown


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(grayscale(), st.sampled_from(["MONOCHROME1", "MONOCHROME2"]))
def test_every_slope_table_and_window_is_shown_as_the_standard_says(path, image, kind):
    pixels, tags, shown = image
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about the values that it writes
        save(path, pixels, kind, **tags)
    expected = 1 - shown if kind == "MONOCHROME1" else shown
    assert np.abs(read_image(path)[0] - 255 * expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_a_falling_slope_or_table_turns_dark_into_bright(path, kind):
    stored = np.array([[0, 10, 40, 50]], np.uint16)
    for tags in (
        {"RescaleSlope": -1, "RescaleIntercept": 0},
        {"RescaleSlope": -1, "RescaleIntercept": 50},
        {"ModalityLUTSequence": table(range(50, -1, -1))},
    ):
        save(path, stored, kind, **tags)
        expected = [255, 204, 51, 0] if kind == "MONOCHROME2" else [0, 51, 204, 255]
        assert read_image(path).tolist() == [expected]
    save(path, np.array([[0, 10, 255]], np.uint8), RescaleSlope=-1, RescaleIntercept=255)
    assert read_image(path).tolist() == [[255, 245, 0]]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stored=st.lists(st.integers(0, 4095), min_size=2, max_size=5),
    slope=st.sampled_from([0.5, 1, 2]),
    entries=st.none() | st.lists(st.integers(0, 65535), min_size=2, max_size=5),
    window=st.tuples(st.integers(-500, 4000), st.integers(2, 4000)),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    voi=st.booleans(),
)
def test_the_order_of_values_is_pydicoms(path, stored, slope, entries, window, function, voi):
    """pydicom's own functions, one after the other, where they are right (slopes above 0)."""
    tags = {"RescaleSlope": slope, "RescaleIntercept": -100}
    if entries:
        tags = {"ModalityLUTSequence": table(entries)}
    tags |= dict(zip(("WindowCenter", "WindowWidth"), window, strict=True))
    tags |= {"VOILUTFunction": function}
    if voi:
        tags["VOILUTSequence"] = table(np.arange(4096) * 16)
    save(path, np.array([stored], np.uint16), BitsStored=12, **tags)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about tables for floats
        dataset = pydicom.dcmread(path)
        values = apply_modality_lut(dataset.pixel_array, dataset)
        values = apply_voi_lut(values, dataset)[0].astype(float)
    shown = read_image(path)[0].astype(float)
    order = np.argsort(values, kind="stable")
    assert (np.diff(shown[order]) >= 0).all()
