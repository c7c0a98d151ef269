"""Damage follows from the seed and the image alone, for any batch, size and number of channels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import medzoo
from medzoo.images import corruptions_for
from medzoo.images.corruptions import FAMILIES, SEVERITIES

BY_NAME = {
    name: one
    for dataset in medzoo.list_datasets()
    for name, one in corruptions_for(dataset).items()
}
EVERY = list(BY_NAME.values())


def pixels(n, channels, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def images():
    return medzoo.synthetic("dermamnist", n_train=1, n_val=1, n_test=12, size=64).test.images


@pytest.mark.parametrize("dataset", medzoo.list_datasets())
def test_each_data_set_has_its_corruptions(dataset):
    found = corruptions_for(dataset)
    assert {"pixelate", "jpeg_compression", "contrast_down"} <= {*found}
    families = [one.family for one in found.values()]
    assert families == sorted(families, key=FAMILIES.index)
    assert all(len(one.parameters) == 5 for one in found.values())
    channels = medzoo.dataset_info(dataset).channels
    assert ("saturate" in found) <= (channels == 3)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
@settings(max_examples=4, deadline=None)
@given(
    severity=st.sampled_from(SEVERITIES),
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    channels=st.sampled_from([1, 3]),
)
def test_an_image_does_not_depend_on_the_others(one, severity, seed, shape, channels):
    images = pixels(3, 3 if one.name == "saturate" else channels, *shape, seed % 99)
    given_before = images.clone()
    together = one(images, severity, seed=seed)
    assert together.dtype == torch.uint8
    assert together.shape == images.shape
    alone = [one(images[row : row + 1], severity, seed=seed, first=row) for row in range(3)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(images, given_before)
    laid_out = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(one(laid_out, severity, seed=seed), together)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_higher_severities_change_more(one, images):
    change = [
        (one(images, severity).float() - images.float()).abs().mean().item() for severity in (1, 5)
    ]
    assert 0 < change[0] < change[1]


def test_what_is_random_follows_from_seed_severity_and_position():
    images = pixels(1, 3, 16, 16).expand(2, -1, -1, -1)
    noise = corruptions_for("dermamnist")["gaussian_noise"]
    first, second = noise(images, 1)
    assert not torch.equal(first, second)
    assert not torch.equal(noise(images, 1, seed=1)[0], first)


def test_no_images_and_uniform_ones_are_fine():
    for one in EVERY:
        assert one(torch.empty(0, 3, 28, 28, dtype=torch.uint8), 1).shape == (0, 3, 28, 28)
        for value in (0, 255):
            assert one(torch.full((1, 3, 28, 28), value, dtype=torch.uint8), 5).shape[0] == 1
    flat = torch.full((1, 3, 28, 28), 100, dtype=torch.uint8)
    blurs = [one for one in EVERY if one.family == "blur"]
    assert all(torch.equal(one(flat, 5), flat) for one in blurs)


def test_refusals():
    noise = corruptions_for("dermamnist")["gaussian_noise"]
    with pytest.raises(ValueError, match=r"data set of MedMNIST-C 'dermanist'; did you mean"):
        corruptions_for("dermanist")
    for severity in (0, 6, "3", None):
        with pytest.raises(ValueError, match="whole number from 1 to 5"):
            noise(pixels(1, 3, 9, 9), severity)
    with pytest.raises(TypeError, match="ndarray"):
        noise(pixels(1, 3, 9, 9).numpy(), 1)
    for wrong in (pixels(1, 2, 9, 9), pixels(1, 3, 9, 9).float(), pixels(1, 3, 9, 9)[0]):
        with pytest.raises(ValueError, match=r"expected uint8 \(N, 1 or 3, H, W\)"):
            noise(wrong, 1)
    with pytest.raises(ValueError, match="at least 8x8"):
        noise(pixels(1, 3, 7, 9), 1)
    with pytest.raises(ValueError, match="images are gray"):
        corruptions_for("pathmnist")["saturate"](pixels(1, 1, 9, 9), 1)
