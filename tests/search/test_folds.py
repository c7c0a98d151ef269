"""Folds: every image validates once, groups stay together, classes are in each."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedGroupKFold

import medzoo
from medzoo.errors import DatasetError
from medzoo.search.folds import validation_parts


@pytest.fixture(scope="module")
def five():
    return medzoo.synthetic(task="multi-class", num_classes=5, n_train=120, n_val=30, n_test=9)


def keys(split):
    return [image.numpy().tobytes() for image in split.images]


def test_without_folds_the_splits_are_as_they_were(five):
    (part,) = validation_parts(five, 1)
    assert part.train is five.train
    assert part.val is five.val
    assert list(part.splits) == ["train", "val"]


def test_each_image_validates_once_and_never_trains_at_the_same_time(five):
    parts = validation_parts(five, 3)
    everything = Counter(keys(five.train) + keys(five.val))
    assert Counter(key for part in parts for key in keys(part.val)) == everything
    for part in parts:
        assert Counter(keys(part.train) + keys(part.val)) == everything
        assert not set(keys(part.train)) & set(keys(part.val))
        assert list(part.splits) == ["train", "val"]


def test_classes_are_as_even_as_scikit_learn_makes_them(five):
    labels = torch.cat([five.train.labels, five.val.labels]).numpy()
    splitter = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    theirs = [
        Counter(labels[rows].tolist()).most_common()
        for _, rows in splitter.split(labels, labels, range(len(labels)))
    ]
    ours = [Counter(part.val.labels.tolist()).most_common() for part in validation_parts(five, 3)]

    def unevenness(folds):
        by_class = [dict(fold) for fold in folds]
        return max(
            max(fold[c] for fold in by_class) - min(fold[c] for fold in by_class) for c in range(5)
        )

    assert unevenness(ours) <= max(1, unevenness(theirs))


def test_groups_stay_together(five):
    groups = [number // 5 for number in range(150)]
    group_of = dict(zip(keys(five.train) + keys(five.val), groups, strict=True))
    for part in validation_parts(five, 3, groups):
        inside = {group_of[key] for key in keys(part.train)}
        assert not inside & {group_of[key] for key in keys(part.val)}


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
def test_groups_may_be_a_tensor_or_an_array(five, kind):
    groups = [number // 5 for number in range(150)]
    given = [part.train.labels for part in validation_parts(five, 3, kind(groups))]
    expected = [part.train.labels for part in validation_parts(five, 3, groups)]
    assert all(map(torch.equal, given, expected))


def test_an_image_without_a_group_is_refused(five):
    with pytest.raises(ValueError, match="the group of val image 29 is None"):
        validation_parts(five, 3, [*range(149), None])


def test_a_data_set_without_validation_images_is_divided_as_well(five):
    alone = medzoo.Dataset.from_arrays((five.train.images, five.train.labels))
    assert sum(len(part.val) for part in validation_parts(alone, 2)) == 120


@pytest.mark.parametrize(
    ("folds", "groups", "kind", "message"),
    [
        (1, [0] * 150, ValueError, "groups= is for folds="),
        (3, [0] * 149, ValueError, "149 groups for 150 images"),
        (3, [0] * 150, DatasetError, "too few images or groups for folds=3"),
        (2.0, None, TypeError, "folds=2.0 must be a whole number"),
    ],
)
def test_what_cannot_be_divided_is_refused(five, folds, groups, kind, message):
    with pytest.raises(kind, match=message):
        validation_parts(five, folds, groups)


def test_a_class_with_one_image_is_refused(five):
    labels = five.train.labels.clone()
    labels[labels == 4] = 3
    labels[0] = 4
    data = medzoo.Dataset.from_arrays((five.train.images, labels))
    with pytest.raises(DatasetError, match="class '4' has too few images"):
        validation_parts(data, 3)


def test_a_fold_of_one_class_is_refused(five):
    labels = torch.zeros_like(five.train.labels)
    labels[:2] = 1
    data = medzoo.Dataset.from_arrays((five.train.images, labels))
    with pytest.raises(DatasetError, match="those of one fold would be of one class"):
        validation_parts(data, 3)


def test_a_split_by_patients_needs_the_patients(tmp_path):
    from tests.docs.reader_files import write_files

    write_files(tmp_path)
    for group in (None, "lesion_id"):  # found by its name, or given
        table = medzoo.load_dataset(tmp_path / "lesions.csv", group=group)
        with pytest.raises(DatasetError, match=r"grouped by lesion_id.*give groups="):
            validation_parts(table, 3)
    count = len(table.train) + len(table.val)
    assert len(validation_parts(table, 3, range(count))) == 3
