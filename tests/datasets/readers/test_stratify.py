from collections import defaultdict

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medzoo.datasets.readers.stratify import stratified_group_split

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


def counts(labels, splits):
    """Images of each class by split."""
    found = np.zeros((labels.max() + 1, len(SHARES)), int)
    np.add.at(found, (labels, [list(SHARES).index(split) for split in splits]), 1)
    return found


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(3, 60), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
@example([3, 3, 3, 3, 25], 0)
@example([7, 14, 55], 0)  # all is rounded up but the largest class in the largest split
def test_every_class_is_in_each_split_in_proportion(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = counts(labels, stratified_group_split(labels, range(len(labels)), SHARES, seed))
    assert found.min() >= 1
    wanted = np.outer(sizes, list(SHARES.values()))
    # Small classes take more than their share of a small split, hence others take less of it.
    excess = np.clip(1 - wanted, 0, None).sum(axis=0).max()
    assert np.abs(found - wanted).max() < 1.5 + excess + 1e-9


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80),
    st.integers(0, 2**32 - 1),
)
def test_a_group_is_never_in_two_splits(images, seed):
    labels, groups = (np.array(column) for column in zip(*images, strict=True))
    splits = stratified_group_split(labels, groups.tolist(), SHARES, seed)
    found = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        found[group].add(split)
    assert all(len(own) == 1 for own in found.values())
    assert len(splits) == len(images)
    assert len(set(splits)) == min(3, len(found))


def test_the_seed_alone_decides():
    labels = np.arange(90) % 3
    first = stratified_group_split(labels, range(90), SHARES, 0)
    assert stratified_group_split(labels, [f"patient {i}" for i in range(90)], SHARES, 0) == first
    assert stratified_group_split(labels, range(90), SHARES, 1) != first


def test_many_labels_an_image_or_none_are_divided_in_proportion_too():
    rng = np.random.default_rng(0)
    labels = (rng.random((1500, 4)) < [0.4, 0.1, 0.02, 0.0]).astype(int)
    splits = np.array(
        stratified_group_split(labels, rng.integers(0, 500, 1500).tolist(), SHARES, 0)
    )
    for split, share in SHARES.items():
        own = labels[splits == split]
        assert len(own) / 1500 == pytest.approx(share, abs=0.005)
        assert (own.sum(1) == 0).mean() == pytest.approx((labels.sum(1) == 0).mean(), abs=0.05)
        ratio = own.sum(0)[:3] / labels.sum(0)[:3]
        assert ratio == pytest.approx([share] * 3, abs=0.05)
