"""Class names become class indices: their order, their spelling, and names that mean none."""

import unicodedata

import datasets
import numpy as np
import pandas as pd
import pytest
import torch

from medzoo import Dataset, DatasetError, load_dataset
from medzoo.datasets.readers.labelled import class_indices
from tests.datasets.own_images import write_folder

from .conftest import FILES
from .test_huggingface import part

ORDINAL = "ordinal-regression"
GRADES = ["normal", "mild", "moderate", "severe"]
NFC, NFD = (unicodedata.normalize(form, "Fibroadénome") for form in ("NFC", "NFD"))


def arrays(labels, **options):
    rng = np.random.default_rng(len(labels))
    pixels = rng.integers(0, 256, (len(labels), 6, 6), np.uint8)
    return Dataset.from_arrays((pixels, labels), **options)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "9", "0"], ("0", "9", "10")),
        ([f"{value}.0" for value in range(11)], tuple(f"{value}.0" for value in range(11))),
        (["1", "-1", "-2", "10"], ("-2", "-1", "1", "10")),
        (["1", "0.5", "1.5"], ("0.5", "1", "1.5")),
        (["b", "10", "9"], ("10", "9", "b")),
    ],
)
def test_numbers_are_sorted_by_value(names, expected):
    assert class_indices(names, None)[1] == expected
    numbers = "b" not in names
    assert not numbers or class_indices(names, None, ORDINAL)[1] == expected


def test_grades_have_no_order_unless_it_is_given(tmp_path, write, folder):
    labels = GRADES * 3
    message = r"order of .*'mild', 'moderate', 'normal', 'severe'.* give classes=\[\.\.\.\] in the "
    message += "order of the grades"
    images = write_folder(tmp_path / "own", dict.fromkeys(GRADES, 3))
    archive = tmp_path / "own.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (FILES, 6, 6), np.uint8)
    np.savez(archive, train_images=pixels, train_labels=np.array(labels))
    for read in (
        lambda **options: arrays(labels, **options),
        lambda **options: Dataset.from_folder(images, **options),
        lambda **options: Dataset.from_table(write(label=labels), **options),
        lambda **options: load_dataset(archive, **options),
    ):
        with pytest.raises(ValueError, match=message):
            read(task=ORDINAL)
        assert read(task=ORDINAL, classes=GRADES).info.classes == tuple(GRADES)
        assert read().info.classes == tuple(sorted(GRADES))


def test_grades_that_are_numbers_have_an_order(tmp_path, write):
    images = write_folder(tmp_path / "own", dict.fromkeys(["10", "9", "0"], 3))
    assert Dataset.from_folder(images, task=ORDINAL).info.classes == ("0", "9", "10")
    table = write(label=["10.0", "9.0", "-1.0", "2.0"] * 3)
    assert Dataset.from_table(table, task=ORDINAL).info.classes == ("-1.0", "2.0", "9.0", "10.0")


def ordered(values, categories=GRADES):
    return pd.Categorical(values, categories, ordered=True)


@pytest.mark.parametrize("task", [ORDINAL, None])
@pytest.mark.parametrize("convert", [lambda x: x, pd.Series, lambda x: pd.DataFrame({"grade": x})])
def test_an_ordered_categorical_gives_the_order(task, convert):
    labels = convert(ordered(["severe", "normal", "mild", "moderate"]))
    data = arrays(labels, task=task)
    assert data.info.classes == tuple(GRADES)
    assert data.train.labels.tolist() == [3, 0, 1, 2]
    turned = arrays(labels, task=task, classes=GRADES[::-1])
    assert turned.info.classes == tuple(GRADES[::-1])


def test_an_ordered_column_of_a_table_gives_the_order(folder):
    paths = [str(folder / f"{number}.png") for number in range(FILES)]
    frame = pd.DataFrame({"path": paths, "label": ordered(GRADES * 3)})
    assert Dataset.from_table(frame, task=ORDINAL).info.classes == tuple(GRADES)
    frame["label"] = ordered([3, 1, 2] * 4, [3, 2, 1])
    assert Dataset.from_table(frame, task=ORDINAL).info.classes == ("3", "2", "1")
    frame["label"] = ordered(GRADES[:3] * 4)
    with pytest.raises(DatasetError, match=r"category 'severe' has no images; .*classes="):
        Dataset.from_table(frame, task=ORDINAL)
    frame["label"] = pd.Categorical(GRADES * 3, GRADES)
    with pytest.raises(ValueError, match="order of the grades"):
        Dataset.from_table(frame, task=ORDINAL)


def test_categories_with_two_orders_are_refused():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 6), np.uint8)
    first = pixels[:4], ordered(GRADES)
    with pytest.raises(DatasetError, match="train and test have ordered categories that differ"):
        Dataset.from_arrays(first, test=(pixels[4:], ordered(GRADES, GRADES[::-1])), task=ORDINAL)
    both = Dataset.from_arrays(first, test=(pixels[4:6], ["mild", "severe"]), task=ORDINAL)
    assert both.test.labels.tolist() == [1, 3]
    with pytest.raises(DatasetError, match=r"category 'severe' has no images"):
        arrays(ordered(GRADES[:3]), task=ORDINAL)
    with pytest.raises(DatasetError, match=r"categories are ordered as \[2, 1, 0\], but numbers"):
        arrays(ordered([0, 1, 2], [2, 1, 0]), task=ORDINAL)
    assert arrays(ordered([2, 1, 0], [0, 1, 2])).train.labels.tolist() == [2, 1, 0]


def test_class_encode_column_sorts_grades_by_their_letters():
    text = part(FILES, label=datasets.Value("string"), labels=GRADES * 3)
    encoded = text.class_encode_column("dx")
    with pytest.raises(ValueError, match=r"alphabetical.* give classes=\[\.\.\.\] in the order of"):
        Dataset.from_huggingface(encoded, task=ORDINAL)
    data = Dataset.from_huggingface(encoded, GRADES, task=ORDINAL, size=8)
    assert data.info.classes == tuple(GRADES)
    found = torch.cat([split.labels for split in data.splits.values()])
    assert found.bincount().tolist() == [3, 3, 3, 3]
    declared = part(FILES, label=datasets.ClassLabel(names=GRADES), labels=[0, 1, 2, 3] * 3)
    assert Dataset.from_huggingface(declared, task=ORDINAL, size=8).info.classes == tuple(GRADES)
    numbers = part(FILES, label=datasets.ClassLabel(names=["0", "1"]), labels=[0, 1] * 6)
    assert Dataset.from_huggingface(numbers, task=ORDINAL, size=8).info.num_classes == 2


TWICE = [
    (["mole", "Mole"], "'Mole' and 'mole' differ only in case"),
    ([NFC, NFD], r"'Fibroad.*nome' differ only in case, blanks or Unicode form"),
    (["a", "a "], "'a' and 'a ' differ only in case, blanks or Unicode form"),
    (["a", "\u00a0A"], "differ only in case, blanks or Unicode form"),
    (["1", "1.0"], "'1' and '1.0' are the same number"),
    (["01", "1", "2"], "'01' and '1' are the same number"),
]


@pytest.mark.parametrize(("names", "message"), TWICE)
def test_one_class_in_two_spellings_is_refused(names, message):
    with pytest.raises(ValueError, match=f"{message}; use one spelling"):
        class_indices(names * 2, None)
    with pytest.raises(DatasetError, match=message):
        arrays(names * 2)


def test_names_that_look_the_same_are_told_apart():
    message = r"'Fibroade\\u0301nome' and 'Fibroad\\xe9nome' differ only in"
    with pytest.raises(ValueError, match=message):
        class_indices([NFC, NFD], None)
    with pytest.raises(ValueError, match=message):
        class_indices([NFD, "b"], [NFC, "b"])


def test_numbers_written_in_two_ways_can_be_listed_as_two_classes():
    assert class_indices(["1.1", "1.10"], ["1.1", "1.10"])[0].tolist() == [0, 1]


@pytest.mark.parametrize("name", ["", " ", "nan", "NaN", "N/A", "n/a", "<NA>", "#N/A", "null"])
def test_names_that_mean_a_missing_value_are_no_classes(name):
    message = f"the class of some images is {name!r}, .*missing.*drop these images.*classes="
    with pytest.raises(ValueError, match=message):
        class_indices(["a", name, "b"], None)
    assert class_indices(["a", name, "b"], ["a", name, "b"])[0].tolist() == [0, 1, 2]
    with pytest.raises(DatasetError, match=message):
        arrays(["a", name, "b"])


@pytest.mark.parametrize("names", [["-1", "0", "1"], ["0.0", "1.0", "-1.0", "2.0"]])
def test_minus_one_is_an_unknown_label_beside_numbers_from_zero(names):
    with pytest.raises(ValueError, match=r"the class of some images is '-1(.0)?', .*unknown"):
        class_indices(names, None)
    assert class_indices(names, names)[1] == tuple(names)


@pytest.mark.parametrize("names", [["-1", "1"], ["-2", "-1", "0"], ["-1", "a"]])
def test_minus_one_is_a_name_beside_others(names):
    assert class_indices(names, None)[1] == tuple(names)


def test_files_with_missing_names_are_refused(tmp_path, write):
    with pytest.raises(DatasetError, match="images is 'NaN'"):
        Dataset.from_table(write(label=["a", "b", "NaN"] * 4))
    with pytest.raises(DatasetError, match="images is '-1'"):
        Dataset.from_table(write(label=["0", "1", "-1"] * 4))
    with pytest.raises(DatasetError, match="images is 'nan'"):
        Dataset.from_table(write(label=["a|b", "b", "nan"] * 4))
    folder = write_folder(tmp_path / "own", dict.fromkeys(["a", "b", "nan"], 3))
    with pytest.raises(DatasetError, match="images is 'nan'"):
        Dataset.from_folder(folder)
    kind = datasets.ClassLabel(names=["a", "b", "nan"])
    with pytest.raises(ValueError, match="images is 'nan'"):
        Dataset.from_huggingface(part(12, label=kind, labels=[0, 1, 2] * 4))
