"""The batch loader: every epoch a new permutation, any epoch can be had again."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.datasets import Dataset, synthetic
from medzoo.training import Augmentation, BatchAugmenter, BatchLoader
from medzoo.training.loader import soft_targets

NO_CHANGE = BatchAugmenter(Augmentation(), (0.0,), (1.0,))


def numbered(count):
    """A split whose image i has the value i everywhere."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    part = (images.contiguous(), torch.arange(count) % 2)
    return Dataset.from_arrays(part, part, part, classes=["even", "odd"]).train


def loader(count, batch_size, **options):
    return BatchLoader(numbered(count), batch_size, NO_CHANGE, torch.device("cpu"), **options)


def seen(source, epoch):
    return [(255 * images[:, 0, 0, 0]).round().int().tolist() for images, _ in source.epoch(epoch)]


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 80), st.integers(0, 9))
def test_an_epoch_is_a_permutation_without_its_short_end(count, batch_size, epoch):
    source = loader(count, batch_size)
    batches = seen(source, epoch)
    size = min(batch_size, count)
    assert [len(batch) for batch in batches] == [size] * len(source)
    assert len(source) == count // size
    flat = [i for batch in batches for i in batch]
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(range(count))


def test_order_depends_on_seed_and_epoch_alone():
    assert seen(loader(40, 8), 3) == seen(loader(40, 8), 3)
    assert seen(loader(40, 8), 3) != seen(loader(40, 8), 4)
    assert seen(loader(40, 8, seed=1), 3) != seen(loader(40, 8), 3)
    source = loader(40, 8)
    first = seen(source, 0)
    seen(source, 1)
    assert seen(source, 0) == first


def test_targets_go_with_their_images():
    for images, targets in loader(30, 7).epoch(0):
        number = (255 * images[:, 0, 0, 0]).round().long()
        assert torch.equal(targets.argmax(1), number % 2)


def test_augmentation_is_repeatable_and_differs_by_epoch(tiny):
    augmenter = BatchAugmenter(Augmentation(rotation=90), *tiny.mean_std())
    source = BatchLoader(tiny.train, 56, augmenter, torch.device("cpu"))
    (one, _), (again, _), (other, _) = (next(source.epoch(e)) for e in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one.sum((1, 2, 3)).sort()[0], other.sum((1, 2, 3)).sort()[0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_soft_targets_of_classes(tiny, smoothing):
    targets = soft_targets(tiny.train, smoothing)
    torch.testing.assert_close(targets.sum(1), torch.ones(56))
    assert torch.equal(targets.argmax(1), tiny.train.labels)
    assert targets.min() == pytest.approx(smoothing / 7)


def test_soft_targets_of_labels():
    split = synthetic("chestmnist", n_train=20, n_val=4, n_test=4).train
    assert torch.equal(soft_targets(split), split.labels)
    smoothed = soft_targets(split, 0.2)
    torch.testing.assert_close(smoothed, 0.1 + 0.8 * split.labels)
