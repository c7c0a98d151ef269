"""The batch loader: every epoch a new permutation, any epoch can be had again."""

from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.datasets import Dataset, synthetic
from medzoo.training import Augmentation, BatchAugmenter, BatchLoader
from medzoo.training.loss import soft_targets

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
@given(st.integers(2, 60), st.integers(1, 80), st.integers(0, 5))
def test_every_image_is_used_equally_often(count, batch_size, epochs):
    source = loader(count, batch_size)
    batches = [batch for epoch in range(epochs) for batch in seen(source, epoch)]
    size = min(batch_size, count)
    assert [len(batch) for batch in batches] == [size] * source.steps_before(epochs)
    assert len(batches) == epochs * count // size
    flat = [i for batch in batches for i in batch]
    for start in range(0, len(flat), count):  # one epoch after another, each a permutation
        order = flat[start : start + count]
        assert len(set(order)) == len(order)
    assert set(flat[:count]) <= set(range(count))


def test_the_end_of_an_epoch_begins_the_next_one():
    source = loader(10, 4)
    first, second = seen(source, 0), seen(source, 1)
    assert [len(first), len(second)] == [2, 3]
    missing = set(range(10)) - {i for batch in first for i in batch}
    assert set(second[0][:2]) == missing
    assert [source.images_in(epoch) for epoch in (0, 1, 2)] == [8, 12, 8]


def test_order_depends_on_seed_and_epoch_alone():
    assert seen(loader(40, 8), 3) == seen(loader(40, 8), 3)
    assert seen(loader(40, 8), 3) != seen(loader(40, 8), 4)
    assert seen(loader(40, 8, seed=1), 3) != seen(loader(40, 8), 3)
    source = loader(40, 8)
    first = seen(source, 0)
    seen(source, 1)
    assert seen(source, 0) == first


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 60), st.integers(1, 20), st.integers(1, 4), st.integers(0, 9))
def test_processes_divide_the_batches_of_a_single_one(count, each, processes, epoch):
    whole = loader(count, min(each * processes, count // processes * processes))
    sources = [
        loader(count, each * processes, rank=rank, processes=processes) for rank in range(processes)
    ]
    parts = [seen(source, epoch) for source in sources]
    together = [list(chain(*batch)) for batch in zip(*parts, strict=True)]
    assert together == seen(whole, epoch)
    assert len({len(batch) for part in parts for batch in part}) == 1


def test_processes_draw_their_own_augmentation():
    split = numbered(2)
    augmenter = BatchAugmenter(Augmentation(brightness=0.9), (0.0,), (1.0,))
    split.images.fill_(100)
    one, other = (
        next(BatchLoader(split, 2, augmenter, torch.device("cpu"), rank=r, processes=2).epoch(0))[0]
        for r in (0, 1)
    )
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("count", "batch_size", "match"),
    [
        (40, 16, r"batch_size=16 cannot be divided among 3 processes; .* e\.g\. 18"),
        (2, 3, "2 training images are too few for 3 processes"),
    ],
)
def test_what_cannot_be_divided_is_an_error(count, batch_size, match):
    with pytest.raises(ValueError, match=match):
        loader(count, batch_size, processes=3)


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


def test_soft_targets_of_grades_stay_among_neighbours():
    split = synthetic("retinamnist", n_train=20, n_val=5, n_test=5).train
    targets = soft_targets(split, 0.2)
    for label, target in zip(split.labels.tolist(), targets, strict=True):
        assert target[label] == pytest.approx(0.8)
        near = [grade for grade in (label - 1, label + 1) if 0 <= grade < 5]
        assert target[near].tolist() == pytest.approx([0.2 / len(near)] * len(near))
    assert torch.equal(soft_targets(split).argmax(1), split.labels)
