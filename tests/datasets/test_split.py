import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medzoo.datasets import Dataset


def split(count, channels=3):
    """A split of random images, all different."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 6, 6, channels), np.uint8)
    pair = images, np.arange(count) % 2
    return Dataset.from_arrays(pair, pair, pair, classes=["a", "b"]).train


@given(st.integers(1, 30), st.integers(1, 40))
def test_chunks_are_consecutive_views_of_all_images(count, size):
    images = split(count)
    chunks = list(images.chunks(size))
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert torch.equal(torch.cat(chunks), images.images)
    assert chunks[0].data_ptr() == images.images.data_ptr()


@pytest.mark.parametrize("size", [0, -1])
def test_chunks_below_one_image_are_refused_at_once(size):
    with pytest.raises(ValueError, match=f"size={size} must be at least 1 image per batch"):
        split(3).chunks(size)


@given(st.lists(st.integers(0, 9), max_size=20), st.sampled_from([1, 3]))
def test_take_copies_the_rows(rows, channels):
    images, rows = split(10, channels), torch.tensor(rows, dtype=torch.int64)
    taken = images.take(rows)
    assert torch.equal(taken, images.images[rows])
    assert taken.is_contiguous(memory_format=torch.channels_last)
    out = torch.empty_like(taken)
    assert images.take(rows, out=out) is out
    assert torch.equal(out, taken)
    if len(rows):
        taken.zero_()
        assert images.images[rows].any()


@pytest.mark.parametrize("row", [-1, 10])
def test_take_refuses_rows_out_of_range(row):
    with pytest.raises((IndexError, RuntimeError), match="out of range"):
        split(10).take(torch.tensor([0, row]))
