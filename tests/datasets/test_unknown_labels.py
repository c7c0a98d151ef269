"""Labels that nobody knows: accepted in multi-label sets, refused where an image has one class."""

import numpy as np
import pytest
import torch

from medzoo import Dataset, DatasetError
from medzoo.datasets.readers.stratify import stratified_group_split
from medzoo.datasets.resplit import resplit
from tests.datasets.own_images import write_image

MULTI_LABEL = "multi-label, binary-class"
LABELS = np.array([[0, 1, 1], [1, 0, -1], [0, -1, 0], [1, 1, 0]])


def build(train, rest=None, **options):
    rest = train if rest is None else rest
    pairs = [(np.zeros((len(one), 8, 8), np.uint8), one) for one in (train, rest, rest)]
    return Dataset.from_arrays(*pairs, **options)


@pytest.mark.parametrize("dtype", ["int8", "int64", "float16", "float64"])
def test_minus_one_is_unknown(dtype):
    labels = build(LABELS.astype(dtype)).train.labels
    assert labels.dtype == torch.float32
    assert np.array_equal(labels.isnan().numpy(), LABELS == -1)
    assert labels.nan_to_num(-1).tolist() == LABELS.tolist()


def test_nan_is_unknown():
    labels = np.where(LABELS == -1, np.nan, LABELS)
    assert build(torch.from_numpy(labels)).val.labels.nan_to_num(-1).tolist() == LABELS.tolist()


def test_one_split_may_know_less_than_another():
    data = build(LABELS.clip(0), LABELS)
    assert data.info.task == MULTI_LABEL
    assert not data.train.labels.isnan().any()
    assert data.test.labels.isnan().any()


def test_a_single_column_may_be_unknown_if_it_is_said_to_be_a_label():
    labels = np.array([0, 1, -1, 1])
    assert build(labels, task=MULTI_LABEL, classes=["mass"]).train.labels.isnan().sum() == 1


@pytest.mark.parametrize("task", [None, "multi-class", "ordinal-regression", "binary-class"])
@pytest.mark.parametrize("mark", [-1, np.nan])
def test_an_unknown_class_is_one_error_that_names_the_first(task, mark):
    labels = np.array([0, mark, 1, 0, mark, 1, mark, mark])
    known = np.array([0, 1])
    message = r"train labels: the class of 4 of 8 .*positions 1, 4, 6, \.\.\.\); drop these"
    with pytest.raises(DatasetError, match=message):
        build(labels, known, task=task)
    with pytest.raises(DatasetError, match=r"val labels: the class of 1 of 2 .*positions 0\);"):
        build(known, np.array([mark, 1]), task=task)


def test_all_classes_unknown_is_the_same_error():
    with pytest.raises(DatasetError, match="the class of 2 of 2 images is unknown"):
        build(np.array([-1, -1]))


def test_one_hot_classes_cannot_be_unknown():
    one_hot = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]])
    with pytest.raises(DatasetError, match=r"the class of 1 of 4 .*positions 3\)"):
        build(one_hot, task="multi-class")
    with pytest.raises(DatasetError, match=r"3 images have only unknown .*give task='multi"):
        build(one_hot)
    assert build(one_hot, task=MULTI_LABEL).train.labels.isnan().sum() == 3


def test_without_a_zero_the_meaning_of_minus_one_is_open():
    with pytest.raises(DatasetError, match="none is 0; write 0 for a label"):
        build(np.array([[-1, 1], [1, -1]]), task=MULTI_LABEL)


@pytest.mark.parametrize("value", [-2, 2, np.inf])
def test_other_values_are_still_refused(value):
    with pytest.raises(DatasetError, match=r"whole numbers|values go from"):
        build(np.array([[0, -1], [1, value]], dtype=float))


def test_splits_of_unequal_width_are_still_refused():
    with pytest.raises(DatasetError, match="2 columns, expected one for each of the 3"):
        build(LABELS, LABELS[:, :2])


def write_table(folder, rows, header="path,mass,effusion"):
    for number in range(len(rows)):
        write_image(folder / f"{number}.png", number)
    lines = [f"{number}.png,{row}" for number, row in enumerate(rows)]
    (folder / "table.csv").write_text("\n".join([header, *lines]))
    return folder / "table.csv"


ROWS = ["0,1", "1,", "-1,1", "1,1", "0,-1.0", "1,1", "0,1", "0,0", "1,1", ",0", "1,0", "0,1"] * 2


def test_in_a_table_an_empty_cell_or_minus_one_is_unknown(tmp_path):
    data = Dataset.from_table(write_table(tmp_path, ROWS), size=8)
    unknown = sum(int(split.labels.isnan().sum()) for split in data.splits.values())
    assert data.info.task == MULTI_LABEL
    assert unknown == 8
    positive = sum((split.labels == 1).sum(0) for split in data.splits.values())
    assert positive.tolist() == [10, 14]


def test_a_column_of_a_table_without_a_known_label_is_refused(tmp_path):
    table = write_table(tmp_path, [f"{row}," for row in ROWS], "path,mass,effusion,notes")
    with pytest.raises(DatasetError, match="notes has neither 0 nor 1; remove the column"):
        Dataset.from_table(table, size=8)


def test_random_splits_do_not_count_unknown_labels_as_findings():
    labels = np.array([[1, 0]] * 10 + [[0, 1]] * 10 + [[-1, 0]] * 10)
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    chosen = stratified_group_split(labels, range(30), shares, 0)
    known = stratified_group_split(labels.clip(0), range(30), shares, 0)
    assert chosen == known


def test_a_label_that_only_others_know_cannot_be_learned():
    data = build(LABELS)
    with pytest.raises(ValueError, match="class '2' has no images in train"):
        resplit(data, {"train": [1, 2, 3], "val": [0, 4, 5, 6, 7], "test": [8, 9, 10, 11]})
