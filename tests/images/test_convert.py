"""8-bit conversion, transparency and orientation, against plain arithmetic.

That files and images in memory give the same result is tested in ``test_file.py``; what models
get to see of it in ``tests/test_transforms.py``.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from medzoo.images.convert import to_uint8
from medzoo.images.decoding import pixels as pixels_module
from medzoo.images.decoding.pixels import decode_pixels, pixels_to_uint8
from medzoo.images.depth import DepthCheck

EVERY_PAIR = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1).astype(np.uint8)
"""Every gray value with every alpha."""

EVERY_16_BIT = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)


def on_black(pixels):
    """The rounded product of colours and alpha, in exact arithmetic."""
    colours, alpha = pixels[..., :-1].astype(int), pixels[..., -1:].astype(int)
    return (2 * colours * alpha + 255) // (2 * 255)


def test_every_value_with_every_transparency():
    expected = on_black(EVERY_PAIR)[..., 0]
    assert np.array_equal(to_uint8(EVERY_PAIR)[0], expected)
    assert np.array_equal(decode_pixels(Image.fromarray(EVERY_PAIR, "LA")), expected)


def test_every_16_bit_value():
    expected = np.array([round(value / 257) for value in range(1 << 16)]).reshape(256, 256)
    for image in (EVERY_16_BIT, EVERY_16_BIT.astype(">u2"), Image.fromarray(EVERY_16_BIT)):
        assert np.array_equal(to_uint8(image)[0], expected)
    for values in (EVERY_16_BIT, EVERY_16_BIT.astype(np.int32)):
        assert np.array_equal(pixels_to_uint8(Image.fromarray(values))[0], expected)
    scaled = pixels_module.rescale_to_uint8(EVERY_16_BIT, 0, 65535)
    assert np.array_equal(scaled, expected)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(4))),
    st.integers(1, 50),
    st.sampled_from(["array", "planes", "tensor", "reversed", "pil"]),
)
def test_blocks_of_any_size_and_layout_give_the_same(pixels, block, form):
    image = {
        "array": lambda: pixels,
        "planes": lambda: np.asfortranarray(pixels),
        "tensor": lambda: torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
        "reversed": lambda: pixels[::-1][::-1],
        "pil": lambda: Image.fromarray(pixels),
    }[form]()
    deep = pixels[..., 0].astype(np.uint16) * 251 + 17
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels_module, "_BLOCK", block)
        assert np.array_equal(to_uint8(image).permute(1, 2, 0), on_black(pixels))
        assert np.array_equal(to_uint8(deep, depth=DepthCheck())[0], np.round(deep / 257))


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA"])
def test_premultiplied_and_palette_transparency(mode):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    image = Image.fromarray(pixels)
    image = image.convert("LA").convert(mode) if mode == "La" else image.convert(mode)
    plain = np.array(image.convert("LA" if mode == "La" else "RGBA"))
    shown = decode_pixels(image)
    assert np.array_equal(shown.reshape(9, 7, -1), on_black(plain))
    assert np.array_equal(to_uint8(image).permute(1, 2, 0), on_black(plain))


def test_a_palette_with_transparency():
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 2])
    image.putpalette([200, 100, 50, 255, 200, 100, 50, 128, 200, 100, 50, 0], "RGBA")
    assert "transparency" not in image.info
    assert decode_pixels(image).tolist() == [[[200, 100, 50], [100, 50, 25], [0, 0, 0]]]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "F"])
def test_every_orientation_of_every_kind_is_upright(turn, mode):
    values = np.arange(12).reshape(3, 4)
    upright = {
        "L": values.astype(np.uint8),
        "RGBA": np.dstack([values, values + 9, values + 99, np.full((3, 4), 255)]).astype(np.uint8),
        "I;16": (values * 5000).astype(np.uint16),
        "F": (values / 12).astype(np.float32),
    }[mode]
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[turn]
    image = Image.fromarray(np.ascontiguousarray(stored))
    assert image.mode == mode
    image.getexif()[0x0112] = turn
    assert torch.equal(to_uint8(image), to_uint8(upright))


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2),
        elements=st.floats(-0.25, 1.25, width=32) | st.just(np.float32(np.nan)),
    )
)
def test_floats_of_files_and_arrays_give_the_same(values):
    image = Image.fromarray(values)
    if values.min() >= -1e-3 and values.max() <= 1.001:
        expected = np.clip(np.rint(values * np.float32(255)), 0, 255)
        assert np.array_equal(pixels_to_uint8(image)[0], expected)
        assert np.array_equal(to_uint8(values)[0], expected)
        return
    for convert in (lambda: pixels_to_uint8(image), lambda: to_uint8(values)):
        with pytest.raises(ValueError, match=r"float image has .*, expected 0 to 1; scale it"):
            convert()


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_in_memory_must_be_16_bit(value):
    image = Image.fromarray(np.array([[0, value]], np.int32))
    with pytest.raises(ValueError, match=f"mode I has values from .*{value}.*window it"):
        to_uint8(image)
