"""Augmentation: exact where it can be, honest targets, repeatable."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.spec import InputSpec
from medzoo.training import Augmentation, BatchAugmenter
from medzoo.transforms import prepare_batch
from tests.training.recipes.test_recipe import augmentations

MEAN, STD = {1: (0.4,), 3: (0.3, 0.5, 0.7)}, {1: (0.2,), 3: (0.1, 0.2, 0.3)}


def pixels(n=4, channels=3, size=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n, channels, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def one_hot(n=4, classes=3):
    return torch.eye(classes)[torch.arange(n) % classes]


def augment(images, targets=None, seed=0, **changes):
    channels = images.shape[1]
    augmenter = BatchAugmenter(Augmentation(**changes), MEAN[channels], STD[channels])
    targets = one_hot(len(images)) if targets is None else targets
    return augmenter(images, targets, np.random.default_rng(seed))


def plain(images):
    channels = images.shape[1]
    return augment(images)[0] * torch.tensor(STD[channels]).view(-1, 1, 1) + torch.tensor(
        MEAN[channels]
    ).view(-1, 1, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_no_augmentation_equals_the_evaluation_transform(channels):
    images = pixels(channels=channels)
    x, targets = augment(images)
    expected = prepare_batch(images, InputSpec(channels, 12, MEAN[channels], STD[channels]))
    torch.testing.assert_close(x, expected, atol=2e-6, rtol=1e-6)
    assert torch.equal(targets, one_hot())
    assert x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "axis"), [("horizontal_flip", 3), ("vertical_flip", 2)])
def test_flips_are_exact(name, axis, channels):
    images = pixels(channels=channels)
    x, _ = augment(images, **{name: 1.0})
    torch.testing.assert_close(x, augment(images.flip(axis))[0], atol=1e-4, rtol=1e-4)


def test_flips_happen_as_often_as_asked():
    images = pixels(n=400, size=6)
    x, _ = augment(images, one_hot(400), horizontal_flip=0.25)
    flipped = (x - augment(images.flip(3), one_hot(400))[0]).abs().amax((1, 2, 3)) < 1e-3
    same = (x - augment(images, one_hot(400))[0]).abs().amax((1, 2, 3)) < 1e-3
    assert (flipped ^ same).all()
    assert 60 < flipped.sum() < 140


class Fixed(np.random.Generator):
    """Gives the upper end of every range, so that the change is known."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.broadcast_to(high, size or np.shape(high)).astype(float)


def at_upper_end(images, **changes):
    augmenter = BatchAugmenter(Augmentation(**changes), (0.0,) * 3, (1.0,) * 3)
    return augmenter(images, one_hot(len(images)), Fixed())[0]


@pytest.mark.parametrize("quarters", [1, 2])
def test_rotation_by_quarter_turns(quarters):
    images = pixels()
    x = at_upper_end(images, rotation=90 * quarters)
    turned = [images.rot90(k, (2, 3)).float() / 255 for k in (quarters, -quarters)]
    assert min((x - t).abs().max() for t in turned) < 1e-4


def test_shift_moves_by_that_share_of_the_side():
    images = pixels(size=12)
    x = at_upper_end(images, shift=0.25)
    expected = images[:, :, 3:, 3:].float() / 255
    torch.testing.assert_close(x[:, :, :-3, :-3], expected, atol=1e-4, rtol=0)


def test_scale_zooms_into_the_centre():
    images = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    images[:, :, 10:30, 10:30] = 255
    x = at_upper_end(images, scale=0.5)
    assert (x > 0.5).float().mean() == pytest.approx(0.25 * 1.5**2, abs=0.03)


def test_widening_shows_the_middle_of_the_width_and_all_of_the_height():
    images = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    images[:, :, 10:30, 15:25] = 255
    x = at_upper_end(images, widen=1.0)
    bright = x[0, 0] > 0.5
    assert bright.any(1).nonzero().flatten().tolist() == list(range(10, 30))
    assert bright.any(0).nonzero().flatten().tolist() == list(range(10, 30))


def test_widening_goes_from_none_to_all_evenly_on_a_logarithmic_scale():
    images = torch.zeros(400, 1, 64, 64, dtype=torch.uint8)
    images[:, :, :, 24:40] = 255
    x, _ = augment(images, one_hot(400), widen=1.0)
    width = (x[:, 0, 32] > x[:, 0, 32].mean()).sum(1) / 16
    assert width.min() < 1.1
    assert 1.8 < width.max() <= 2.1
    assert width.median() == pytest.approx(2**0.5, abs=0.1)


def test_speckle_noise_is_proportional_to_the_pixel():
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 16:] = 100
    augmenter = BatchAugmenter(Augmentation(noise=0.1), (0.0,) * 3, (1 / 255,) * 3)
    x = augmenter(images, one_hot(8), np.random.default_rng(0))[0]
    assert (x[:, :, :16] == 0).all()
    assert x[:, :, 16:].mean() == pytest.approx(100, abs=0.5)
    assert x[:, :, 16:].std() == pytest.approx(10, abs=0.5)
    assert torch.equal(x[:, 0], x[:, 1])  # gray noise: no colours appear


def test_borders_are_reflected():
    images = torch.full((2, 3, 12, 12), 200, dtype=torch.uint8)
    x = at_upper_end(images, rotation=45, shift=0.5, scale=0.2)
    torch.testing.assert_close(x, torch.full_like(x, 200 / 255), atol=1e-5, rtol=0)


def test_brightness_contrast_and_saturation():
    images = pixels() // 4 + 64
    x = images.float() / 255
    torch.testing.assert_close(at_upper_end(images, brightness=0.5), (1.5 * x).clamp(0, 1))
    mean = x.mean((1, 2, 3), keepdim=True)
    expected = (mean + 1.5 * (x - mean)).clamp(0, 1)
    torch.testing.assert_close(at_upper_end(images, contrast=0.5), expected)
    luminance = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    expected = (luminance + 1.5 * (x - luminance)).clamp(0, 1)
    torch.testing.assert_close(at_upper_end(images, saturation=0.5), expected)


def test_saturation_leaves_gray_images_alone():
    images = pixels(channels=1)
    assert torch.equal(augment(images, saturation=0.9)[0], augment(images)[0])


def test_erasing_fills_rectangles_with_the_mean_colour():
    images = pixels(n=64, size=20) | 1
    x, targets = augment(images, one_hot(64), erasing=1.0)
    unchanged = augment(images, one_hot(64))[0]
    erased = (x != unchanged).any(1)
    for mask, image in zip(erased, x, strict=True):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        assert (image[:, top : bottom + 1, left : right + 1] == 0).all()
        assert mask.sum() == (bottom - top + 1) * (right - left + 1)
    assert 0.02 < erased.float().mean() < 0.25
    assert torch.equal(targets, one_hot(64))


@pytest.mark.parametrize("method", ["mixup", "cutmix"])
def test_targets_hold_the_share_that_images_hold(method):
    # Each image is of one value, its class; so the mean of a mixed image gives its shares.
    n = 8
    images = torch.zeros(n, 3, 16, 16, dtype=torch.uint8)
    images[::2] = 255
    targets = torch.stack([images[:, 0, 0, 0] / 255, 1 - images[:, 0, 0, 0] / 255], 1)
    augmenter = BatchAugmenter(
        Augmentation(**{method: 1.0}, mix_probability=1.0), (0.0,) * 3, (1.0,) * 3
    )
    x, mixed = augmenter(images, targets, np.random.default_rng(0))
    torch.testing.assert_close(mixed.sum(1), torch.ones(n))
    torch.testing.assert_close(x.mean((1, 2, 3)), mixed[:, 0])
    assert ((mixed > 0) & (mixed < 1)).all(1).sum() >= n - 1
    if method == "cutmix":
        assert set(x.unique().tolist()) == {0.0, 1.0}


def test_mixing_leaves_some_images_alone():
    x, targets = augment(pixels(200), one_hot(200), mixup=1.0, mix_probability=0.3)
    mixed = (x != augment(pixels(200), one_hot(200))[0]).any(3).any(2).any(1)
    assert 30 < mixed.sum() < 90
    assert torch.equal(targets[~mixed], one_hot(200)[~mixed])


@settings(max_examples=40, deadline=None)
@given(
    augmentations, st.sampled_from([1, 3]), st.sampled_from([1, 2, 5]), st.integers(0, 2**32 - 1)
)
def test_any_augmentation_is_finite_repeatable_and_keeps_shape(strength, channels, n, seed):
    augmenter = BatchAugmenter(strength, MEAN[channels], STD[channels])
    images, targets = pixels(n, channels, 9), one_hot(n)
    before = images.clone()
    x, mixed = augmenter(images, targets, np.random.default_rng(seed))
    assert x.shape == images.shape
    assert x.dtype == mixed.dtype == torch.float32
    assert x.isfinite().all()
    torch.testing.assert_close(mixed.sum(1), torch.ones(n))
    assert torch.equal(images, before)
    again, again_mixed = augmenter(images, targets, np.random.default_rng(seed))
    assert torch.equal(x, again)
    assert torch.equal(mixed, again_mixed)


def test_another_seed_gives_another_augmentation():
    images = pixels()
    assert not torch.equal(
        augment(images, rotation=90, seed=0)[0], augment(images, rotation=90, seed=1)[0]
    )
