"""A contact sheet shows what a model gets, by class, and the same each time."""

import numpy as np
import pytest
import torch
from PIL import Image

import medzoo
from medzoo.errors import WriteError


@pytest.fixture
def data():
    """Six images of the first two of three classes."""
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)
    labels = np.array([0, 0, 1, 0, 1, 1])
    return medzoo.Dataset.from_arrays(
        train=(images, labels), task="multi-class", classes=["a", "b", "c"]
    )


def test_the_picture_shows_images_of_each_class_in_its_row(data):
    sheet = data.train.plot(per_class=2)
    side, gap, head = 84, 4, 16  # 28 pixels, three times as large
    assert sheet.size == (2 * (side + gap) + gap, 3 * (side + head + gap) + gap)
    pixels = torch.from_numpy(np.array(sheet))
    of_class = {number: (data.train.labels == number).nonzero().flatten() for number in (0, 1)}
    for number, rows in of_class.items():
        top = number * (side + head + gap) + gap + head
        shown = pixels[top : top + side : 3, gap : gap + side : 3]
        first = data.train.images[rows[0]].expand(3, -1, -1).permute(1, 2, 0)
        assert torch.equal(shown, first)
        shown = pixels[top : top + side : 3, -gap - side : -gap : 3]
        last = data.train.images[rows[-1]].expand(3, -1, -1).permute(1, 2, 0)
        assert torch.equal(shown, last)
    empty = pixels[2 * (side + head + gap) + gap + head : -gap]
    assert (empty == 255).all()


def test_a_picture_has_at_least_one_image_per_class(data):
    with pytest.raises(ValueError, match="per_class=0"):
        data.train.plot(per_class=0)


@pytest.mark.parametrize("name", ["dermamnist", "chestmnist"])
def test_it_is_saved_as_it_is_returned_and_always_the_same(name, tmp_path):
    split = medzoo.synthetic(name, n_train=30).train
    sheet = split.plot(tmp_path / "new" / "sheet.png", per_class=3)
    with Image.open(tmp_path / "new" / "sheet.png") as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(sheet))
    assert np.array_equal(np.asarray(split.plot(per_class=3)), np.asarray(sheet))


def test_images_with_a_label_are_in_its_row():
    split = medzoo.synthetic("chestmnist", n_train=30).train
    pixels = np.asarray(split.plot(per_class=1))
    for number in range(split.info.num_classes):
        top = number * (84 + 16 + 4) + 4 + 16
        first = (split.labels[:, number] == 1).nonzero()[0, 0]
        shown = pixels[top : top + 84 : 3, 4 : 4 + 84 : 3, 0]
        assert np.array_equal(shown, split.images[first, 0].numpy())


def test_what_cannot_be_written_is_an_error(data, tmp_path):
    with pytest.raises(ValueError, match=r"unknown suffix; use .png"):
        data.train.plot(tmp_path / "sheet.xyz")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(WriteError, match="cannot write the picture"):
        data.train.plot(tmp_path / "folder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_show_is_the_sheet_of_a_split(data):
    shown, drawn = medzoo.show(data.train, per_class=3), data.train.plot(per_class=3)
    assert np.array_equal(np.asarray(shown), np.asarray(drawn))
    with pytest.raises(TypeError, match="split is a Dataset; give one split"):
        medzoo.show(data)


def test_the_picture_is_as_wide_as_the_largest_class(data):
    assert data.train.plot(per_class=2000).size == data.train.plot(per_class=3).size
    assert data.train.plot(per_class=np.int64(2)).size == data.train.plot(per_class=2).size


def test_a_picture_that_is_too_large_is_refused_before_it_is_drawn():
    images = np.zeros((1600, 1, 28, 28), np.uint8)
    data = medzoo.Dataset.from_arrays(
        train=(images, np.arange(1600) % 2), task="binary-class", classes=["a", "b"]
    )
    with pytest.raises(ValueError, match=r"per_class=2000 .*70,404 x 212 pixels.* at most 744$"):
        data.train.plot(per_class=2000)
    assert data.train.plot(per_class=744).width == 744 * 88 + 4


@pytest.mark.parametrize("wrong", ["3", 2.5, None, True])
def test_numbers_of_images_are_whole(data, wrong):
    for call in (
        lambda: data.train.plot(per_class=wrong),
        lambda: medzoo.show(data.train, per_class=wrong),
        lambda: data.train.chunks(wrong),
        lambda: data.train.head(wrong),
    ):
        with pytest.raises(TypeError, match=r"^(per_class|size|count)=.* must be a whole number"):
            call()
    with pytest.raises(ValueError, match="count=-1 must be a whole number of at least 0"):
        data.train.head(-1)
