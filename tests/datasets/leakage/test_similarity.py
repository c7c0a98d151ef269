import math

import pytest
import torch

from medzoo.datasets.leakage.similarity import TURNS, Similarity, centres, thumbnails, turned

from .photographs import sampled, scenes


def test_the_eight_turns_are_different_and_reach_all():
    image = torch.arange(4).reshape(1, 1, 2, 2)
    seen = {tuple(turned(image, turn).flatten().tolist()) for turn in range(TURNS)}
    assert len(seen) == TURNS
    assert torch.equal(turned(image, 0), image)


def test_thumbnails_and_centres():
    images = torch.zeros(3, 1, 56, 56, dtype=torch.uint8)
    images[1, :, 4:12, 24:32] = 200  # above the middle
    images[2, :, 24:32, 36:44] = 200  # right of the middle
    small = thumbnails(images)
    assert small.shape == (3, 1, 28, 28)
    assert small.dtype == torch.uint8
    (x0, y0), (x1, y1), (x2, y2) = centres(small).tolist()
    assert (x0, y0) == (0, 0)
    assert x1 == pytest.approx(0, abs=0.02)
    assert y1 < -0.5
    assert x2 == pytest.approx(12 / 28, abs=0.05)
    assert y2 == pytest.approx(0, abs=0.02)


def test_alignment_finds_zoom_and_angle():
    images = scenes(100, seed=4)
    likeness = Similarity(images)
    moved = torch.stack([sampled(image, zoom=0.8, degrees=10) for image in images[:8]])
    plain = torch.zeros(8, 4)
    before, _ = likeness.align(moved, plain, images[:8], plain, steps=0)
    after, pose = likeness.align(moved, plain, images[:8], plain, steps=20)
    assert (after > before).all()
    assert after.min() > 0.9
    assert pose[:, 0].exp().mean() == pytest.approx(0.8, abs=0.05)
    assert pose[:, 1].mean() == pytest.approx(math.radians(10), abs=0.05)
