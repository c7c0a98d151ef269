"""Scans of fewer than 16 bits in 16-bit files: never scaled, and never without a word."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

import medzoo
from medzoo.errors import DatasetError
from medzoo.images import read_image, read_images, to_uint8
from medzoo.spec import InputSpec
from medzoo.transforms import create_transform

GRAY = InputSpec(1, 8, (0.5,), (0.5,))


def scan(highest, lowest=0):
    return np.linspace(lowest, highest, 64).astype(np.uint16).reshape(8, 8)


def silent(function, *args):
    """Call a function that must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(*args)


@pytest.mark.parametrize(
    ("highest", "bits"), [(1, 8), (255, 8), (256, 10), (1023, 10), (4095, 12), (16383, 14)]
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_file_of_fewer_bits_gives_a_warning_and_is_not_scaled(highest, bits, suffix, tmp_path):
    path, values = tmp_path / f"scan.{suffix}", scan(highest)
    Image.fromarray(values).save(path)
    text = f"values up to {2**bits - 1} in 16-bit images: they look like {bits}-bit"
    with pytest.warns(UserWarning, match=text) as caught:
        shown = read_image(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.array_equal(shown, np.round(values / 257))
    scaled = values * 2 ** (16 - bits)
    assert f"by {2 ** (16 - bits)}," in str(caught[0].message)
    Image.fromarray(scaled).save(path)
    if highest > 1:
        assert silent(read_image, path).max() > 60


@pytest.mark.parametrize("highest", [0, 16384, 65535])
def test_no_warning_for_images_of_all_bits_or_black_ones(highest, tmp_path):
    Image.fromarray(scan(highest)).save(tmp_path / "scan.png")
    silent(read_image, tmp_path / "scan.png")
    silent(to_uint8, scan(highest))


@pytest.mark.parametrize(
    "image",
    [
        scan(4095),
        scan(4095).astype(">u2"),
        torch.from_numpy(scan(4095)),
        np.dstack([scan(4095)] * 3),
        Image.fromarray(scan(4095)),
        Image.fromarray(scan(4095).astype(np.int32)),
    ],
    ids=lambda image: type(image).__name__,
)
def test_images_in_memory_give_the_same_warning(image):
    with pytest.warns(UserWarning, match="look like 12-bit") as caught:
        to_uint8(image)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="look like 12-bit") as caught:
        create_transform(GRAY)(image)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_colours_of_16_bits_are_noticed_although_pillow_reduces_them(tmp_path):
    """A PNG of 16-bit RGB, written by hand, since Pillow writes none."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    for highest, is_noticed in ((4095, True), (65535, False)):
        rows = np.dstack([scan(highest)] * 3).astype(">u2")
        lines = b"".join(b"\0" + row.tobytes() for row in rows)
        header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
        parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
        content = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
        assert Image.open(io.BytesIO(content)).mode == "RGB"
        if is_noticed:
            with pytest.warns(UserWarning, match="look like 12-bit"):
                read_image(content)
            with pytest.warns(UserWarning, match="look like 12-bit"):
                to_uint8(Image.open(io.BytesIO(content)))
        else:
            silent(read_image, content)
            silent(to_uint8, Image.open(io.BytesIO(content)))


def tiff(values, bits, photometric=1):
    """A gray TIFF of packed integers, written by hand."""
    height, width = values.shape
    text = "".join(f"{value:0{bits}b}" for value in values.flat)
    if bits == 16:
        pixels = values.astype("<u2").tobytes()
    else:
        pixels = int(text, 2).to_bytes(len(text) // 8, "big")
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric)]
    tags += [(273, 8), (277, 1), (278, height), (279, len(pixels))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory


READERS = {
    "file": read_image,
    "PIL image": lambda content: to_uint8(Image.open(io.BytesIO(content)))[0].numpy(),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_tiff_that_says_that_it_has_12_bits_is_scaled_by_them(reader):
    values = scan(4095)
    shown = silent(READERS[reader], tiff(values, 12))
    assert np.array_equal(shown, np.round(values / 4095 * 255))


@pytest.mark.parametrize("reader", READERS)
def test_a_16_bit_tiff_in_which_zero_is_white_is_not_inverted(reader):
    values = scan(65535)
    shown = silent(READERS[reader], tiff(values, 16, photometric=0))
    assert np.array_equal(shown, read_image(tiff(65535 - values, 16)))
    assert shown[0, 0] == 255


@pytest.fixture
def folder(tmp_path):
    """A folder of two classes of 12-bit scans, and one image of 8 bits."""
    for index in range(12):
        path = tmp_path / "scans" / f"class{index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scan(4000 + index, lowest=index)).save(path)
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "scans/class0/white.png")
    return tmp_path / "scans"


def test_a_data_set_gives_one_warning(folder):
    with pytest.warns(UserWarning, match="look like 12-bit") as caught:
        data = medzoo.Dataset.from_folder(folder, size=8)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert data.train.images.max() in (16, 255)


def test_one_image_of_all_bits_shows_that_the_others_are_merely_dark(folder):
    Image.fromarray(scan(65535)).save(folder / "class0" / "bright.png")
    silent(read_images, sorted(folder.rglob("*.png")), 8)


def test_a_content_is_named_in_errors():
    with pytest.raises(DatasetError, match="cannot read 3 bytes as an image: unknown format"):
        read_image(b"abc")
    with pytest.raises(DatasetError, match="cannot read scan 7 as an image"):
        read_image(b"abc", name="scan 7")
