"""Which columns are taken for those of patients and lesions."""

import math

import datasets
import numpy as np
import pandas as pd
import pytest

from medzoo import Dataset, DatasetError
from medzoo.datasets import disjoint_split, read_groups
from medzoo.datasets.readers.group import is_group_name

from .conftest import FILES
from .test_huggingface import part

LABELS = ["mole", "melanoma"] * 6
TWICE = [
    ("P0", "p0"),
    ("007", "7"),
    ("7.0", "7"),
    ("P\u00e9", "Pe\u0301"),
    ("P0", "P0\u200a "),
]


@pytest.mark.parametrize(
    "name", ["Patient ID", "subjects", "lesion_id", "StudyInstanceUID", "PID", "mrn", "Case No."]
)
def test_names_of_groups(name):
    assert is_group_name(name)


@pytest.mark.parametrize("name", ["age", "ImageID", "SOPInstanceUID", "id", "patient age", "rapid"])
def test_other_names(name):
    assert not is_group_name(name)


def patients(*first):
    return [*first, *(f"p{number}" for number in range(10, 10 + FILES - len(first)))]


@pytest.mark.parametrize(("first", "second"), TWICE)
def test_one_patient_in_two_spellings_is_refused(write, first, second):
    message = r"patient_id: .* and .* (differ only|are the same number).*one spelling.*group=False"
    text = datasets.Value("string")
    table = part(FILES, patient_id=(text, patients(first, second)))
    with pytest.raises(ValueError, match=message):
        Dataset.from_huggingface(table)
    assert len(Dataset.from_huggingface(table, group=False).splits) == 3
    with pytest.raises(ValueError, match=r"differ only|are the same number"):
        disjoint_split({"train": 1, "val": 0, "test": 1}, [first, second])
    if second.strip() != first:  # tables have no blanks around cells
        table = write(label=LABELS, patient_id=patients(first, second))
        with pytest.raises(DatasetError, match=message):
            Dataset.from_table(table)
        splits = ["train", "test", "val"] * 4
        with pytest.raises(DatasetError, match=message):
            Dataset.from_table(
                write(label=LABELS, patient_id=patients(first, second), split=splits)
            )
        assert len(Dataset.from_table(table, group=False).splits) == 3


def test_other_patients_are_different(write):
    for first, second in [("p1", "p01"), ("1.1", "1.10"), ("1.2.3", "1.2.30"), ("7", "70")]:
        Dataset.from_table(write(label=LABELS, patient_id=patients(first, second)))


def test_names_and_numbers_of_one_patient_are_refused():
    with pytest.raises(ValueError, match="7 and '7' are the same number"):
        disjoint_split({"train": 1, "val": 0, "test": 1}, [7, "7"])
    sizes = {"train": 1, "val": 1, "test": 1}
    assert disjoint_split(sizes, [7, 8.0, 9]) == {"train": [0], "val": [1], "test": [2]}
    assert disjoint_split(sizes, np.array([1.5, 2.5, 3.5])) == disjoint_split(sizes, [7, 8, 9])


@pytest.mark.parametrize("missing", ["NaN", "n/a", "<NA>"])
def test_a_missing_patient_is_not_a_patient(write, tmp_path, missing):
    with pytest.raises(DatasetError, match=f"line 2: patient_id is {missing!r}, .*group=False"):
        Dataset.from_table(write(label=LABELS, patient_id=patients(missing)))
    table = tmp_path / "groups.csv"
    table.write_text(f"split,index,patient\ntrain,0,{missing}\nval,0,a\ntest,0,b\n")
    with pytest.raises(DatasetError, match=f"line 2: patient is {missing!r}"):
        read_groups(table, {"train": 1, "val": 1, "test": 1}, "patient")


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("float64", math.nan), ("float64", None), ("string", "nan"), ("string", " "), ("int64", None)],
)
def test_a_missing_patient_of_the_hub_is_not_a_patient(kind, missing):
    values = [str(row // 2 + 1) if kind == "string" else row // 2 + 1 for row in range(FILES)]
    table = part(FILES, patient_id=(datasets.Value(kind), [*values[:-1], missing]))
    with pytest.raises(ValueError, match=r"train row 11: patient_id is .*fill in the group"):
        Dataset.from_huggingface(table)


def test_missing_patients_of_a_frame_are_empty(folder):
    paths = [str(folder / f"{number}.png") for number in range(FILES)]
    frame = pd.DataFrame({"path": paths, "label": LABELS, "patient": [None, *range(1, FILES)]})
    with pytest.raises(DatasetError, match="row 0: patient is empty"):
        Dataset.from_table(frame)
