"""What three and four axes stand for; two answers are an error that names both."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medzoo.datasets import Dataset
from medzoo.errors import DatasetError
from medzoo.images.shape import channels_where_expected, check_one_image, is_gray_stack
from medzoo.spec import InputSpec
from medzoo.transforms import create_transform

GRAY, RGB = InputSpec(1, 28, (0.5,), (0.5,)), InputSpec(3, 28, (0.5,) * 3, (0.5,) * 3)


def array(*shape):
    return np.zeros(shape, np.uint8)


def tensor(*shape):
    return torch.zeros(shape, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("images", "channels", "is_stack"),
    [
        (array(9, 28, 28), 1, True),
        (array(9, 28, 28), 3, True),
        (array(2, 28, 28), 1, True),
        (tensor(9, 28, 28), 3, True),
        (array(28, 28, 28), 1, True),
        (array(28, 28), 1, False),
        (array(28, 28, 3), 1, False),
        (array(9, 28, 5), 1, False),  # of another shape than gray images or (H, W, C)
        (array(512, 512, 13), 1, False),
        (tensor(3, 28, 28), 3, False),
        (tensor(1, 28, 28), 3, False),
        (tensor(3, 300, 400), 1, False),
        (array(0, 28, 28), 1, False),
        ([array(28, 28)], 1, False),
    ],
    ids=lambda value: f"{type(value).__name__}{tuple(getattr(value, 'shape', ''))}",
)
def test_several_gray_images_are_told_from_one_image(images, channels, is_stack):
    assert is_gray_stack(images, channels) is is_stack


@pytest.mark.parametrize(
    ("images", "channels", "fixes"),
    [
        (array(3, 28, 28), 3, ["images[..., None]", "image.transpose(1, 2, 0)"]),
        (array(3, 28, 28), 1, ["images[..., None]", "image.transpose(1, 2, 0)"]),
        (array(1, 28, 28), 1, ["images[..., None]", "image.transpose(1, 2, 0)"]),
        (tensor(3, 28, 28), 1, ["images[:, None]", "image.permute(1, 2, 0).numpy()"]),
        (tensor(2, 28, 28), 1, ["images[:, None]", "image.permute(1, 2, 0).numpy()"]),
        (tensor(4, 28, 28), 3, ["images[:, None]", "image.permute(1, 2, 0).numpy()"]),
    ],
)
def test_two_readings_are_an_error_with_a_fix_for_each(images, channels, fixes):
    count = len(images)
    expected = InputSpec(channels, 28, (0.5,) * channels, (0.5,) * channels)
    for read in (
        lambda: is_gray_stack(images, channels),
        lambda: check_one_image(images, channels),
        lambda: create_transform(expected)(images),
    ):
        with pytest.raises(ValueError, match="may be") as caught:
            read()
        message = str(caught.value)
        assert f"{count} gray images (N, H, W) or one image (C, H, W)" in message
        assert all(fix in message for fix in fixes)
    stack, image = (eval(fix, {"images": images, "image": images}) for fix in fixes)
    assert stack.ndim == 4
    assert create_transform(expected)(image).shape == (channels, 28, 28)


@pytest.mark.parametrize("images", [array(9, 28, 28), tensor(9, 28, 28)], ids=["array", "tensor"])
def test_a_transform_takes_one_image(images):
    with pytest.raises(ValueError, match=r"\(9, 28, 28\), which is 9 gray images, expected one"):
        create_transform(GRAY)(images)


@given(st.integers(5, 40), st.integers(5, 40), st.integers(1, 4), st.booleans())
def test_channels_of_batches_are_found_at_either_end(height, width, channels, first):
    pixels = np.random.default_rng(0).integers(0, 256, (2, height, width, channels), np.uint8)
    given_ = pixels.transpose(0, 3, 1, 2) if first else pixels
    assert np.array_equal(channels_where_expected(given_), pixels)
    as_tensor = channels_where_expected(torch.from_numpy(given_.copy()))
    assert np.array_equal(as_tensor, pixels.transpose(0, 3, 1, 2))


def test_channels_at_both_ends_are_an_error():
    for images in (array(2, 3, 28, 3), tensor(2, 1, 28, 3)):
        with pytest.raises(ValueError, match=r"may be \(N, C, H, W\) or \(N, H, W, C\)"):
            channels_where_expected(images)


def test_in_a_data_set_the_labels_say_how_many_images_there_are():
    """(3, 28, 28) are three gray images with three labels; with one label, it is an error."""
    three = array(3, 28, 28), np.arange(3) % 2
    assert Dataset.from_arrays(three, three, three).train.images.shape == (3, 1, 28, 28)
    one = array(3, 28, 28), np.zeros(1, int)
    with pytest.raises(DatasetError, match="1 labels for 3 images"):
        Dataset.from_arrays(three, three, one)
    with pytest.raises(DatasetError, match=r"shape is \(3, 3, 28, 3\)"):
        Dataset.from_arrays(three, three, (array(3, 3, 28, 3), np.arange(3)))
