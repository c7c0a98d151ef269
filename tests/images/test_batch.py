import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from medzoo.errors import DatasetError
from medzoo.images import batch as module
from medzoo.images.batch import read_images
from medzoo.images.file import read_image
from medzoo.spec import InputSpec
from medzoo.transforms import create_transform, prepare_batch
from tests.datasets.own_images import write_image

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(MODES), st.tuples(st.integers(1, 70), st.integers(1, 70)), st.integers(0, 9))
def test_training_sees_the_very_pixels_that_prediction_sees(tmp_path, mode, size, seed):
    path = write_image(tmp_path / "a.png", seed, "L" if mode == "I;16" else mode, size)
    if mode == "I;16":
        pixels = np.random.default_rng(seed).integers(0, 65536, size, np.uint16)
        Image.fromarray(pixels).save(path)
    images, broken = read_images([path], 28)
    assert not broken
    config = InputSpec(3, 28, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    predicted = create_transform(config)(read_image(path))
    assert torch.equal(prepare_batch(images, config)[0], predicted)


def test_gray_unless_one_image_has_colour(tmp_path):
    gray = write_image(tmp_path / "gray.png", 0)
    same = tmp_path / "same.png"
    Image.open(gray).convert("RGB").save(same)
    colour = write_image(tmp_path / "colour.png", 1, "RGB")
    images, _ = read_images([gray, same], 8)
    assert images.shape == (2, 1, 8, 8)
    assert torch.equal(images[0], images[1])
    mixed, _ = read_images([gray, colour, same], 8)
    assert mixed.shape == (3, 3, 8, 8)
    assert mixed.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(mixed[[0, 2]], images.expand(-1, 3, -1, -1))
    assert not torch.equal(mixed[1, 0], mixed[1, 1])


def test_order_is_kept_over_many_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 3)
    paths = [write_image(tmp_path / f"{i}.png", i, size=(8, 8)) for i in range(10)]
    images, _ = read_images(paths, 8)
    assert torch.equal(images[:, 0], torch.tensor(np.stack([read_image(p) for p in paths])))


def test_an_unreadable_image_is_an_error_or_left_empty(tmp_path):
    good = write_image(tmp_path / "good.png", 0)
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:-40])
    paths = [good, cut, tmp_path / "gone.png", good]
    with pytest.raises(DatasetError, match=r"cut\.png"):
        read_images(paths, 8)
    images, broken = read_images(paths, 8, on_error="skip")
    assert list(broken) == [1, 2]
    assert "gone.png does not exist" in str(broken[2])
    assert torch.equal(images[0], images[3])


def test_memory_holds_small_images_only(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WORKERS", 2)
    path = tmp_path / "large.png"
    Image.new("RGB", (900, 900), (9, 8, 7)).save(path, compress_level=1)
    tracemalloc.start()
    try:
        read_images([path] * 16, 28)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * 900 * 900 * 3, f"{peak:,} bytes: more than a few of 16 decoded images at once"


def test_the_bar_is_shown_when_asked(tmp_path, capsys):
    path = write_image(tmp_path / "a.png", 0)
    read_images([path], 8)
    assert capsys.readouterr().err == ""
    read_images([path], 8, progress=True)
    assert "1/1" in capsys.readouterr().err
