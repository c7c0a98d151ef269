import io
import os
import struct
import sys
import zlib

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, PngImagePlugin

from medzoo.errors import DatasetError
from medzoo.images.convert import to_uint8
from medzoo.images.decoding.decode import decode
from medzoo.images.decoding.limits import MAX_PIXELS
from medzoo.images.decoding.pixels import rescale_to_uint8
from medzoo.images.file import IMAGE_SUFFIXES, is_image, read_image

LOSSLESS = ["png", "bmp", "tif", "ppm", "tga", "qoi", "pcx", "sgi", "jp2"]
LOSSY = ["jpg", "webp", "avif"]


@pytest.fixture(scope="module")
def colour():
    """A smooth image with different height and width."""
    rows, columns = np.mgrid[:40, :56]
    return np.stack([4 * columns, 6 * rows, 200 - 2 * columns], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("channels", ["gray", "rgb"])
def test_lossless_formats_come_back_to_the_bit(suffix, channels, colour, tmp_path):
    # QOI has no gray.
    expected = colour[..., 0] if channels == "gray" and suffix != "qoi" else colour
    Image.fromarray(expected).save(tmp_path / f"a.{suffix}")
    found = read_image(tmp_path / f"a.{suffix}")
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_come_back_alike(suffix, colour, tmp_path):
    Image.fromarray(colour).save(tmp_path / f"a.{suffix}", quality=95)
    found = read_image(tmp_path / f"a.{suffix}").astype(int)
    assert found.shape == colour.shape
    assert np.abs(found - colour).mean() < 4


def test_content_decides_not_the_name(colour, tmp_path):
    Image.fromarray(colour).save(tmp_path / "a.png")
    for name in ("really.jpg", "no-ending", "a.txt"):
        (tmp_path / name).write_bytes((tmp_path / "a.png").read_bytes())
        assert np.array_equal(read_image(str(tmp_path / name)), colour)
        assert is_image(tmp_path / name)
    (tmp_path / "notes.csv").write_text("path,label\n")
    assert not is_image(tmp_path / "notes.csv")
    assert not is_image(tmp_path / "nowhere")
    assert {".png", ".jpeg", ".tiff", ".dcm"} <= IMAGE_SUFFIXES


def test_sixteen_bits_are_scaled_by_their_full_range(tmp_path):
    values = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    for suffix in ("png", "tif", "pgm"):
        Image.fromarray(values).save(tmp_path / f"a.{suffix}")
        assert read_image(tmp_path / f"a.{suffix}").tolist() == [[0, 0, 1, 128, 255]]


def test_16_and_32_bits_are_distinguished_where_pillow_opens_both_in_mode_i(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    signed = {258: 16, 339: 2}  # bits a sample, and their sign
    Image.fromarray(np.array([[0, 257, 32767]], np.uint16)).save(path, tiffinfo=signed)
    with Image.open(path) as image:
        assert image.mode == "I"
    assert read_image(path).tolist() == [[0, 1, 127]]
    Image.fromarray(np.array([[0, 257, 32768]], np.uint16)).save(tmp_path / "a.png")
    modes = PngImagePlugin._MODES | {(16, 0): ("I", "I;16B")}  # as older versions of Pillow have it
    monkeypatch.setattr(PngImagePlugin, "_MODES", modes)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "I"
    assert read_image(tmp_path / "a.png").tolist() == [[0, 1, 128]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [[0, 128, 255]]),
        (np.array([[-1e-4, 1.0001]], np.float32), [[0, 255]]),
        (np.array([[0, 257, 65535]], np.int32), [[0, 1, 255]]),
        (np.array([[-1000, 500, 2000]], np.float32), "float image has values from -1000 to 2000"),
        (np.array([[0, 0.5, 255]], np.float32), "from 0 to 255, expected 0 to 1; scale it"),
        (np.array([[0, 1, np.nan]], np.float32), "float image has NaN as a value"),
        (np.array([[0, 1, np.inf]], np.float32), "from 0 to inf"),
        (np.array([[-10, 0, 10]], np.int32), "values from -10 to 10, expected 0 to 65535; window"),
    ],
)
def test_numbers_are_scaled_by_a_known_range_or_refused(values, expected, tmp_path):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as image:
        if isinstance(expected, list):
            assert read_image(tmp_path / "a.tif").tolist() == expected
            assert to_uint8(image)[0].tolist() == expected
            return
        with pytest.raises(DatasetError, match=rf"a\.tif.*{expected}"):
            read_image(tmp_path / "a.tif")
        with pytest.raises(ValueError, match=expected):
            to_uint8(image)


def test_floats_whose_zero_is_white_are_inverted(tmp_path):
    values = np.array([[0, 0.2, 1]], np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[262] == 0
        assert to_uint8(image)[0].tolist() == [[255, 204, 0]]
    assert read_image(tmp_path / "a.tif").tolist() == [[255, 204, 0]]


def test_32_bit_integers_of_few_bits_are_noticed_like_those_of_16(tmp_path):
    Image.fromarray(np.array([[0, 51, 255]], np.int32)).save(tmp_path / "a.tif")
    with pytest.warns(UserWarning, match="look like 8-bit"):
        assert read_image(tmp_path / "a.tif").tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_reads_as_the_transform_reads_it(mode, colour, tmp_path):
    if mode == "YCbCr" and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow before 13 does not read the YCbCr files that it writes")
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    image = Image.fromarray(colour).convert({"LA": "L", "RGBA": "RGB"}.get(mode, mode))
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(colour[..., 1]))
    image.save(path)
    with Image.open(path) as opened:
        assert opened.mode == mode
        expected = to_uint8(opened).permute(1, 2, 0).numpy()
    found = read_image(path)
    assert found.ndim == (2 if mode in ("1", "L", "LA") else 3)
    assert np.array_equal(found.reshape(expected.shape), expected)


def test_what_is_transparent_is_black(tmp_path):
    Image.new("RGBA", (2, 3), (200, 100, 50, 0)).save(tmp_path / "clear.png")
    assert not read_image(tmp_path / "clear.png").any()
    Image.new("LA", (2, 3), (200, 255)).save(tmp_path / "opaque.png")
    assert (read_image(tmp_path / "opaque.png") == 200).all()
    assert read_image(tmp_path / "opaque.png").shape == (3, 2)


def test_transparent_colours_of_a_palette_are_black(tmp_path):
    header = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 3, 32, 0, 0, 3, 1, 8, 0x20)
    palette = bytes([0, 100, 200, 255, 0, 100, 200, 128, 0, 100, 200, 0])  # BGRA
    (tmp_path / "a.tga").write_bytes(header + palette + bytes([0, 1, 2]))
    found = read_image(tmp_path / "a.tga")
    assert found.tolist() == [[[200, 100, 0], [100, 50, 0], [0, 0, 0]]]
    with Image.open(tmp_path / "a.tga") as image:
        assert np.array_equal(to_uint8(image).permute(1, 2, 0), found)


def test_the_transparent_value_of_16_bit_gray_is_black(tmp_path):
    values = np.array([[128 * 257, 0, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png", transparency=65535)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["transparency"] == 65535
        assert to_uint8(image)[0, 0].tolist() == read_image(tmp_path / "a.png").tolist()[0]
    assert read_image(tmp_path / "a.png")[0, 2] == 0


def test_exif_turns_it_upright(colour, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(colour).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(colour, -1))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_an_opened_file_is_turned_once_whether_its_pixels_were_loaded_or_not(
    suffix, turn, colour, tmp_path
):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"webp": {"lossless": True}, "jpg": {"quality": 95}}.get(suffix, {})
    Image.fromarray(colour).save(path, exif=exif, **options)
    found = read_image(path)
    assert found.shape[:2] == ((56, 40) if turn > 4 else (40, 56))
    for load in (False, True):
        with Image.open(path) as image:
            if load:
                image.load()
            for _ in range(2):  # the first time must not change what the second gives
                assert np.array_equal(to_uint8(image).permute(1, 2, 0), found)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_first_frame_of_several(suffix, tmp_path):
    frames = [Image.new("RGB", (9, 7), shade) for shade in ("white", "black")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    found = read_image(tmp_path / f"a.{suffix}")
    assert found.shape[:2] == (7, 9)
    assert (found == 255).all()


def test_files_that_are_not_images_are_named(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    Image.new("RGB", (9, 7)).save(tmp_path / "a.eps")
    for name, reason in [
        ("text.png", "unknown format"),
        ("empty.png", "unknown format"),
        ("a.eps", "PostScript"),
        ("nowhere.png", "does not exist"),
        (".", "folder"),
    ]:
        with pytest.raises(DatasetError, match=reason) as caught:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="is not a regular file"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY, "gif"])
def test_half_a_file_is_refused(suffix, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(whole)
    read_image(whole)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DatasetError, match=r"cannot read .*cut"):
        read_image(cut)


def png(width, height):
    """A PNG of black pixels that claims to be so large; it is small in the file."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    content = zlib.compress(bytes(1 << 16))
    parts = (b"IHDR", header), (b"IDAT", content), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("size", [(8193, 8192), (60_000, 60_000), (1, MAX_PIXELS + 1)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_before_they_are_decoded(size, tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(png(*size))
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(DatasetError, match="pixels"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", ["dds", "eps", "icns", "im", "msp", "psd", "xbm"])
def test_formats_that_are_not_listed_are_refused_although_pillow_reads_them(name, tmp_path):
    path = tmp_path / f"a.{name}"
    if name == "psd":
        path.write_bytes(b"8BPS" + bytes(40))
    else:
        Image.new("1" if name in ("msp", "xbm") else "RGB", (32, 32)).save(path)
    with pytest.raises(DatasetError, match=f"a.{name}.* save it as PNG"):
        read_image(path)
    assert not is_image(path)


def test_text_that_starts_like_an_image_is_none(tmp_path):
    for content in (b"BMI,age\n21,40\n", b"P1 was a patient\n", b"P6,P7\n", b"\xff\xd8\xff"):
        (tmp_path / "table").write_bytes(content)
        assert not is_image(tmp_path / "table")


def test_a_jpeg_of_endless_scans_is_refused(colour, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(colour).save(path, progressive=True)
    assert read_image(path).shape == colour.shape
    whole = path.read_bytes()
    end, last = whole.rindex(b"\xff\xd9"), whole.rindex(b"\xff\xda")
    path.write_bytes(whole[:end] + 200 * whole[last:end] + whole[end:])
    with pytest.raises(DatasetError, match=r"a\.jpg.* scans, expected at most 100"):
        read_image(path)


@settings(max_examples=50, deadline=None)
@given(
    arrays(
        np.float64, array_shapes(max_dims=2), elements=st.floats(-1e6, 1e6, allow_subnormal=False)
    ),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
)
def test_eight_bits_keep_the_order(values, low, high):
    shown = rescale_to_uint8(values, low, high).astype(int)
    if low == high:
        assert not shown.any()
        return
    order = np.argsort(values.ravel(), kind="stable")
    steps = np.diff(shown.ravel()[order])
    assert (steps >= 0).all() if high > low else (steps <= 0).all()
    assert (shown[values <= low] == 0).all() if high > low else (shown[values >= low] == 0).all()
    assert (
        (shown[values >= high] == 255).all() if high > low else (shown[values <= high] == 255).all()
    )


def test_dicom_without_pydicom_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImportError, match=r"pip install 'medzoo\[dicom\]'"):
        decode(io.BytesIO(bytes(128) + b"DICM"), "a.dcm", lambda width, height: None)
