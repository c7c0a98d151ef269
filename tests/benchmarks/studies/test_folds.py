"""Folds of a data set."""

import pytest
import torch

import medzoo
from benchmarks.studies import folds


@pytest.fixture(scope="module")
def retina():
    return medzoo.synthetic("retinamnist", n_train=120, n_val=30, n_test=20)


@pytest.mark.parametrize("kind", ["random", "alike"])
def test_every_image_validates_in_one_fold_and_trains_in_the_others(kind, retina):
    parts = folds.FOLDS[kind](retina)
    assert len(parts) == folds.COUNT
    assert sum(len(part.val) for part in parts) == 150
    for part in parts:
        assert len(part.train) + len(part.val) == 150
        inside = {image.numpy().tobytes() for image in part.train.images}
        assert not any(image.numpy().tobytes() in inside for image in part.val.images)
        assert torch.equal(part.test.images, retina.test.images)


def test_images_of_one_colour_are_in_one_fold(retina):
    """Sixty series of photographs, all of one series of the same colour."""
    colours = torch.linspace(0, 240, 60)[torch.arange(150) % 60].byte()
    images = colours.view(-1, 1, 1, 1).expand(150, 3, 28, 28).contiguous()
    data = medzoo.Dataset.from_arrays(
        (images[:120], retina.train.labels),
        (images[120:], retina.val.labels),
        (images[:20], retina.test.labels),
        name="series",
        classes=list(retina.info.classes),
    )
    for part in folds.alike(data):
        inside, outside = (
            set(split.images[:, 0, 0, 0].tolist()) for split in (part.train, part.val)
        )
        assert not inside & outside
