"""Sources of images: official splits, and splits that share no group."""

import pytest

from benchmarks.reproduction.source import Source
from medzoo.datasets import disjoint_split, read_groups


@pytest.mark.parametrize("size", [28, 64])
def test_a_source_with_groups_has_no_lesion_in_two_splits(size, data_root):
    lesions = data_root / "dermamnist_lesions.csv"
    official = Source(str(data_root)).load("dermamnist", size)
    apart = Source(str(data_root), str(lesions)).load("dermamnist", size)
    assert len(apart.train) < len(official.train)
    assert apart.test.images.equal(official.test.images)
    groups = read_groups(lesions, official, "lesion_id")
    kept = disjoint_split(official, groups)
    train, val, test = ({groups[position] for position in kept[name]} for name in kept)
    assert train.isdisjoint(val | test)
    assert val.isdisjoint(test)
    first = {"train": 0, "val": len(official.train)}
    for name in ("train", "val"):
        positions = [position - first[name] for position in kept[name]]
        assert apart.splits[name].images.equal(official.splits[name].images[positions])
