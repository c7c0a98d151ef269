"""Labels that are names, lists or pandas objects, and names of classes in every form."""

import numpy as np
import pandas as pd
import pytest
import torch
from medmnist import INFO

from medzoo.datasets import Dataset, DatasetInfo, load_dataset
from medzoo.datasets.info import class_names
from medzoo.errors import DatasetError
from tests.datasets.conftest import make_arrays
from tests.datasets.own_images import write_folder


def images(count):
    return np.random.default_rng(count).integers(0, 256, (count, 6, 6), np.uint8)


def data_with(labels, **options):
    """A data set whose train and test splits have the same labels."""
    pair = images(len(labels)), labels
    return Dataset.from_arrays(pair, test=pair, **options)


NAMES = ["cyst", "acne", "cyst", "mole"]


@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        tuple(NAMES),
        np.array(NAMES),
        np.array(NAMES, object),
        np.array(NAMES)[:, None],
        np.array(NAMES, np.dtypes.StringDType()),
        pd.Series(NAMES, index=[7, 5, 3, 1]),
        pd.Series(NAMES, dtype="category"),
        pd.DataFrame({"dx": NAMES}),
    ],
)
def test_names_become_classes_sorted_or_in_the_given_order(labels):
    data = data_with(labels)
    assert data.info.classes == ("acne", "cyst", "mole")
    assert data.train.labels.tolist() == data.test.labels.tolist() == [1, 0, 1, 2]
    ordered = data_with(labels, classes=["mole", "cyst", "acne", "wart"])
    assert ordered.train.labels.tolist() == [1, 2, 1, 0]
    assert ordered.info.num_classes == 4
    with pytest.raises(ValueError, match="unknown class 'acne'"):
        data_with(labels, classes=["mole", "cyst", "wart"])


def test_names_of_all_splits_count():
    data = Dataset.from_arrays((images(2), ["b", "c"]), test=(images(1), ["a"]))
    assert data.info.classes == ("a", "b", "c")
    assert data.test.labels.tolist() == [0]


def test_names_in_a_file_are_classes(tmp_path):
    arrays = make_arrays()
    for split in ("train", "val", "test"):
        arrays[f"{split}_labels"] = np.array(["no", "yes"])[arrays[f"{split}_labels"]]
    np.savez(tmp_path / "own.npz", **arrays)
    data = load_dataset(tmp_path / "own.npz")
    assert data.info.classes == ("no", "yes")
    assert data.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    turned = load_dataset(tmp_path / "own.npz", classes=["yes", "no"])
    assert turned.train.labels.tolist() == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2, 1],
        [0.0, 1.0, 2.0, 1.0],
        np.array([0, 1, 2, 1.0], np.float16),
        pd.Series([0, 1, 2, 1]),
        pd.Series([0, 1, 2, 1], dtype="Int64"),
        pd.DataFrame({"dx": [0, 1, 2, 1]}),
    ],
)
def test_whole_numbers_are_labels_whatever_holds_them(labels):
    assert data_with(labels).train.labels.tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0.5], "train labels: values are not whole numbers"),
        (pd.Series(["a", None]), "train labels: that of image 1 is nan|is None.*others are names"),
        (np.array(["a", 1, "b"], object), "that of image 1 is 1, others are names"),
        (["a", "A"], "differ only in case"),
        ([b"a", b"b"], "encode class names as indices"),
        (np.array([["a", "b"], ["b", "a"]]), "encode class names as indices"),
        (pd.Series([1, None], dtype="Int64"), "train labels: the class of 1 of 2 images is unk"),
    ],
)
def test_labels_with_two_readings_are_one_error(labels, message):
    with pytest.raises(DatasetError, match=message):
        data_with(labels)


@pytest.mark.parametrize(
    "labels",
    [
        np.ma.masked_equal([0, 1, 9, 1], 9),
        np.ma.masked_invalid([0, 1, np.nan, 1]),
        np.ma.array(["a", "b", "?", "b"], mask=[0, 0, 1, 0]),
        np.ma.array([[0, 1], [1, 0], [1, 1], [0, 0]], mask=[[0, 0], [0, 0], [1, 0], [0, 0]]),
    ],
)
def test_masked_labels_are_refused(labels):
    message = "train labels: 1 of . values are masked, .*fill it with -1 or NaN, or drop"
    with pytest.raises(DatasetError, match=message):
        data_with(labels)


def test_arrays_that_mask_nothing_are_read():
    assert data_with(np.ma.array([0, 1, 1])).train.labels.tolist() == [0, 1, 1]
    assert data_with(np.ma.array(["a", "b", "b"])).train.labels.tolist() == [0, 1, 1]
    pixels = np.ma.array(images(3))
    assert len(Dataset.from_arrays((pixels, [0, 1, 1])).train) == 3
    pixels[0, 0, 0] = np.ma.masked
    with pytest.raises(DatasetError, match="train images: 1 of 108 values are masked"):
        Dataset.from_arrays((pixels, [0, 1, 1]))


@pytest.mark.parametrize("value", [2**63, 2**64 - 1])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_large_unsigned_labels_do_not_become_negative(value, convert):
    labels = np.array([0, 1, value], np.uint64)
    with pytest.raises(DatasetError, match=f"train labels: values go up to {value:,}, expected"):
        data_with(convert(labels))
    assert data_with(np.array([0, 1, 1], np.uint64)).train.labels.tolist() == [0, 1, 1]


def test_lists_of_different_lengths_are_a_type_error():
    with pytest.raises(TypeError, match="train labels: got list"):
        data_with([[0], [0, 1]])


def test_names_and_numbers_do_not_mix():
    with pytest.raises(DatasetError, match="test labels are names, train labels are not"):
        Dataset.from_arrays((images(2), [0, 1]), test=(images(2), ["a", "b"]))


FRAME = pd.DataFrame({"mass": [0, 1, 1, 0], "edema": [0, 0, 1, 0]})


def test_columns_of_a_table_are_labels_with_their_names():
    data = data_with(FRAME)
    assert data.info.task == "multi-label, binary-class"
    assert data.info.classes == ("mass", "edema")
    assert data.train.labels[:, 1].tolist() == [0, 0, 1, 0]
    ordered = data_with(FRAME, classes=["edema", "mass"])
    assert ordered.train.labels[:, 0].tolist() == [0, 0, 1, 0]
    assert ordered.info.classes == ("edema", "mass")
    turned = Dataset.from_arrays((images(4), FRAME), test=(images(4), FRAME[["edema", "mass"]]))
    assert turned.train.labels.equal(turned.test.labels)


def test_other_columns_are_refused():
    with pytest.raises(ValueError, match="are not the columns of the labels"):
        data_with(FRAME, classes=["edema", "nodule"])
    other = FRAME.rename(columns={"edema": "nodule"})
    with pytest.raises(DatasetError, match="columns of labels differ between the splits"):
        Dataset.from_arrays((images(4), FRAME), test=(images(4), other))
    with pytest.raises(DatasetError, match="columns of labels differ between the splits"):
        Dataset.from_arrays((images(4), FRAME), test=(images(4), FRAME.to_numpy()))


def test_a_table_of_pixels_is_one_clear_error():
    with pytest.raises(TypeError, match="train images: got DataFrame, expected a NumPy array"):
        Dataset.from_arrays((pd.DataFrame(images(4).reshape(4, -1)), [0, 1, 0, 1]))


@pytest.mark.parametrize(
    "classes",
    [
        {0: "a", 1: "b"},
        {1: "b", 0: "a"},
        {"1": "b", "0": "a"},
        {np.int64(1): "b", np.int64(0): "a"},
        ("a", "b"),
        np.array(["a", "b"]),
        pd.Series(["a", "b"], index=[3, 1]),
        {"x": "a", "y": "b"}.values(),
    ],
)
def test_names_of_classes_come_in_many_forms(classes, tmp_path):
    assert class_names(classes) == ("a", "b")
    assert all(type(name) is str for name in class_names(classes))
    assert data_with([0, 1], classes=classes).info.classes == ("a", "b")
    np.savez(tmp_path / "own.npz", **make_arrays())
    assert load_dataset(tmp_path / "own.npz", classes=classes).info.classes == ("a", "b")


def test_mednists_own_mapping_of_classes_is_accepted():
    names = class_names(INFO["dermamnist"]["label"])
    assert names[4:6] == ("melanoma", "melanocytic nevi")


def test_numbers_are_names_if_they_are_those_of_the_labels(tmp_path):
    assert data_with([0, 1], classes=[0, 1]).info.classes == ("0", "1")
    assert data_with(["3", "7"], classes=[7, 3]).train.labels.tolist() == [1, 0]
    folder = write_folder(tmp_path / "own", {"3": 12, "7": 12})
    assert load_dataset(folder, classes=[7, 3]).info.classes == ("7", "3")
    assert load_dataset(folder, classes={0: "7", 1: "3"}).info.classes == ("7", "3")
    for classes in ([1, 0], [3, 7]):
        with pytest.raises(ValueError, match="numbers in another order than the labels"):
            data_with([0, 1], classes=classes)


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ("ab", TypeError, "is a single string; give a list"),
        ({"a", "b"}, TypeError, "is a set"),
        (2, TypeError, "is a int"),
        (["a", None], TypeError, "None is not a name"),
        (["a", float("nan")], TypeError, "nan is not a name"),
        ([True, False], TypeError, "True is not a name"),
        ({0: "a", 2: "b"}, ValueError, "each of the numbers 0 to 1"),
        ({"a": 0, "b": 1}, ValueError, "each of the numbers 0 to 1"),
        ({0: "a", "0": "b"}, ValueError, "each of the numbers 0 to 1"),
        (["a", "a"], ValueError, "a name twice"),
        (["a", "b\0c"], ValueError, "NUL"),
    ],
)
def test_names_that_make_no_sense_are_refused(classes, error, message):
    with pytest.raises(error, match=message):
        data_with([0, 1], classes=classes)


def test_a_null_character_in_a_path_is_one_error():
    for name in ("a\0b.npz", "a\0b.csv"):
        with pytest.raises(DatasetError, match="null"):
            load_dataset(name)
    with pytest.raises(ValueError, match="unknown dataset"):
        load_dataset("a\0b")
    with pytest.raises(ValueError, match="NUL"):
        data_with([0, 1], name="a\0b")


@pytest.mark.parametrize(
    "change",
    [
        {"name": 5},
        {"title": None},
        {"licence": ["MIT"]},
        {"classes": (None, 2)},
        {"classes": "ab"},
        {"channels": "3"},
        {"channels": 0},
        {"task": ["multi-class"]},
        {"sizes": (28, "64")},
        {"n_samples": "many"},
        {"mean": 0.5},
        {"mean": (0.5, 0.5)},
        {"mean": ("a", 0.5, 0.5)},
        {"std": (0.5, 0.5, 10**400)},
        {"std": (0.5, 0.5, 0.0)},
    ],
)
def test_a_description_has_checked_types(change):
    values = {
        "name": "x",
        "title": "X",
        "task": "multi-class",
        "classes": ("a", "b"),
        "channels": 3,
        "licence": "",
    }
    assert DatasetInfo(**values).num_classes == 2
    with pytest.raises((TypeError, ValueError), match=next(iter(change))):
        DatasetInfo(**values | change)
