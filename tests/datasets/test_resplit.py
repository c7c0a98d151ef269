import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import medzoo
from medzoo.datasets import Dataset, disjoint_split, load_dataset, read_groups, resplit
from medzoo.errors import DatasetError

SIZES = {"train": 6, "val": 3, "test": 4}
TOTAL = sum(SIZES.values())


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Thirteen images; each pixel of an image is its number, its class whether that is odd."""

    def part(first, count):
        numbers = np.arange(first, first + count)
        return np.repeat(numbers, 192).reshape(-1, 8, 8, 3).astype(np.uint8), numbers % 2

    return Dataset.from_arrays(part(0, 6), part(6, 3), part(9, 4), classes=["even", "odd"])


def numbers(split):
    values = split.images[:, 0, 0, 0].tolist()
    assert (split.images == split.images[:, :1, :1, :1]).all()
    assert [value % 2 for value in values] == split.labels.tolist()
    return values


@given(st.permutations(range(TOTAL)), st.integers(2, 5), st.integers(1, 4), st.integers(1, 4))
def test_images_and_labels_go_where_the_mapping_says(data, order, a, b, c):
    assume(len({position % 2 for position in order[:a]}) == 2)
    mapping = {"train": order[:a], "val": order[a : a + b], "test": order[a + b : a + b + c]}
    own = resplit(data, mapping)
    assert {name: numbers(split) for name, split in own.splits.items()} == mapping
    assert [split.name for split in own.splits.values()] == ["train", "val", "test"]
    assert own.info.n_samples == {"train": a, "val": b, "test": c}
    assert own.train.images.is_contiguous(memory_format=torch.channels_last)


def test_arrays_and_tensors_of_positions(data):
    own = resplit(data, {"train": np.arange(2, 5), "val": torch.tensor([12]), "test": range(2)})
    assert numbers(own.train) == [2, 3, 4]
    assert numbers(own.val) == [12]
    assert numbers(own.test) == [0, 1]


def test_positions_from_a_generator(data):
    own = resplit(data, {"train": (i for i in (0, 5)), "val": iter([1]), "test": map(int, "23")})
    assert [numbers(split) for split in own.splits.values()] == [[0, 5], [1], [2, 3]]


def test_labels_that_no_training_image_has_are_refused():
    images, labels = np.zeros((4, 8, 8), np.uint8), np.array([[1, 0], [0, 1], [0, 0], [1, 1]])
    data = Dataset.from_arrays((images, labels), (images, labels), (images, labels))
    with pytest.raises(ValueError, match="class '1' has no images in train"):
        resplit(data, {"train": [0, 2], "val": [1], "test": [3]})
    assert len(resplit(data, {"train": [0, 1], "val": [2], "test": [3]}).train) == 2


def test_one_split_instead_of_a_data_set(data):
    with pytest.raises(TypeError, match=r"data=Split\(.* is not a medzoo\.Dataset"):
        resplit(data.train, {"train": [0, 1], "val": [2], "test": [3]})
    with pytest.raises(TypeError, match="data is a Split; give a whole data set"):
        disjoint_split(data.train, range(6))


def test_own_splits_are_marked_everywhere(data, tmp_path):
    own = resplit(data, {"train": [0, 3], "val": [1], "test": [2]})
    assert not own.official
    assert own.title == own.test.title == "own (own data; own split)"
    path = tmp_path / "mine.csv"
    path.write_text("split,index,new_split\ntrain,0,train\ntrain,1,train\nval,2,val\ntest,2,test\n")
    assert resplit(data, path).title == "own (own data; own split mine.csv)"
    assert data.title == "own (own data)"


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": [0], "val": [1], "tset": [2]}, "did you mean 'test'"),
        ({"train": [0], "val": [1]}, "the test split has no images"),
        ({"train": [0], "val": [], "test": [2]}, "the val split has no images"),
        ({"train": [0], "val": [1], "test": [13]}, "test: position 13 is out of range.*0 to 12"),
        ({"train": [-1], "val": [1], "test": [2]}, "position -1 is out of range"),
        ({"train": [0, 0], "val": [1], "test": [2]}, "position 0 is used twice"),
        ({"train": [0], "val": [1], "test": [0]}, "position 0 is used in train and test"),
        ({"train": [0, 2], "val": [1], "test": [3]}, "class 'odd' has no images in train"),
    ],
)
def test_mappings_that_do_not_fit(data, split, message):
    with pytest.raises(ValueError, match=message):
        resplit(data, split)


@pytest.mark.parametrize("positions", [[0.5], [True], 7, {0: 1, 3: 4}, b"\x00\x03"])
def test_positions_that_are_not_whole_numbers_are_a_type_error(data, positions):
    with pytest.raises(TypeError, match="train: positions must be a sequence of whole numbers"):
        resplit(data, {"train": positions, "val": [1], "test": [2]})
    with pytest.raises(TypeError, match="split is list"):
        resplit(data, [0, 1, 2])


def test_csv_with_rows_left_out_and_other_columns(data, tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "note,split,index,new_split\n"
        "x,test,3,train\ny,train,5,train\nz,val,0,val\n,train,0,test\n,train,1,\n"
    )
    own = resplit(data, str(path))
    assert numbers(own.train) == [12, 5]
    assert numbers(own.val) == [6]
    assert numbers(own.test) == [0]


def test_files_with_other_delimiters_case_and_a_byte_order_mark(data, tmp_path):
    path = tmp_path / "own.csv"
    rows = "Split;Index;New_Split\ntrain;5;train\ntrain;4;train\nval;0;val\ntest;0;test\n"
    path.write_text(rows, encoding="utf-8-sig")
    assert numbers(resplit(data, path).train) == [5, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split,index\ntrain,0\n", "unknown column 'new_split'; did you mean 'split'"),
        ("", "it has no rows"),
        ("split,index,new_split\ntrian,0,val\n", "line 2: .*did you mean 'train'"),
        ("split,index,new_split\ntrain,0,tests\n", "line 2: .*did you mean 'test'"),
        (
            "split,index,new_split\nval,3,val\n",
            "line 2: index '3' is not a position in val.*0 to 2",
        ),
        ("split,index,new_split\nval,-1,val\n", "index '-1' is not a position"),
        ("split,index,new_split\nval,,val\n", "index '' is not a position"),
        ("split,index,new_split\nval\n", "line 2: 1 values, expected 3"),
        (
            'note,split,index,new_split\n"two\nlines",val,0,val\n"two\nlines",val,9,val\n',
            "line 4: index '9'",
        ),
        ("split,index,new_split\nval,0,val\0\n", "line 2: it contains a NUL byte"),
        ("split,index,new_split\nval,0,val\nval,1,test\n", "the train split has no images"),
        (
            "split,index,new_split\nval,0,train\nval,0,train\n",
            "line 3: val 0 is already listed.*line 2",
        ),
        (
            "split,index,new_split\nval,0,\nval,1,val\nval,0,test\n",
            "line 4: val 0 is already listed",
        ),
        (
            "split,index,new_split\ntrain,0,train\ntrain,1,val\ntrain,2,test\n",
            "class 'odd' has no images in train",
        ),
        (b"\xff\xfe\x00", "is not a valid split of"),
    ],
)
def test_files_that_do_not_fit(data, tmp_path, text, message):
    path = tmp_path / "own.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match=message) as caught:
        resplit(data, path)
    assert str(path) in str(caught.value)


def test_a_missing_file(data, tmp_path):
    with pytest.raises(DatasetError, match=r"gone\.csv"):
        resplit(data, tmp_path / "gone.csv")


def test_load_dataset_takes_a_split(write_npz):
    path = write_npz(shape=(8, 8, 3))
    whole = load_dataset(path)
    own = medzoo.load_dataset(path, split={"train": range(4, 10), "val": [0, 1], "test": [12, 11]})
    assert torch.equal(own.train.images[:2], whole.train.images[4:])
    assert torch.equal(own.train.images[2:5], whole.val.images)
    assert torch.equal(own.test.images, whole.test.images[[3, 2]])
    assert own.title == "own (own data; own split)"


@given(st.lists(st.integers(0, 8), min_size=TOTAL, max_size=TOTAL))
def test_disjoint_split_keeps_the_test_split_and_shares_no_group(groups):
    test = set(groups[9:])
    expected_val = [i for i in range(6, 9) if groups[i] not in test]
    seen = test | {groups[i] for i in expected_val}
    expected_train = [i for i in range(6) if groups[i] not in seen]
    if not expected_val or not expected_train:
        with pytest.raises(ValueError, match="split would be empty"):
            disjoint_split(SIZES, groups)
        return
    assert disjoint_split(SIZES, groups) == {
        "train": expected_train,
        "val": expected_val,
        "test": [9, 10, 11, 12],
    }


def test_disjoint_split_fits_resplit(data):
    groups = np.array(list("aabbccadeaxyz"))
    own = resplit(data, disjoint_split(data, groups))
    assert numbers(own.train) == [2, 3, 4, 5]
    assert numbers(own.val) == [7, 8]
    assert numbers(own.test) == [9, 10, 11, 12]


def test_groups_and_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="3 groups for 13 images"):
        disjoint_split(SIZES, ["a", "b", "c"])
    with pytest.raises(ValueError, match="did you mean 'test'"):
        disjoint_split({**SIZES, "tests": 1}, [0] * 13)
    with pytest.raises(ValueError, match="number of images of test is missing"):
        disjoint_split({"train": 1, "val": 1}, [0, 0])


@pytest.mark.parametrize("missing", [None, math.nan, np.datetime64("NaT"), "", ["a"]])
def test_a_missing_group_is_refused_and_its_image_named(missing):
    groups = [*range(7), missing, *range(8, TOTAL)]
    with pytest.raises(ValueError, match=r"the group of val image 1 is .*expected a name"):
        disjoint_split(SIZES, groups)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros((TOTAL, 1), int), r"the group of train image 0 is \[0\]"),
        (torch.full((TOTAL,), math.nan), "the group of train image 0 is nan"),
    ],
)
def test_groups_that_are_not_names(groups, message):
    with pytest.raises(ValueError, match=message):
        disjoint_split(SIZES, groups)


@pytest.mark.parametrize(
    "groups", [dict.fromkeys(range(TOTAL)), set(range(TOTAL)), "abcdefghijklm", None]
)
def test_groups_that_are_not_a_sequence(groups):
    message = f"groups is {type(groups).__name__}, expected a sequence"
    with pytest.raises(TypeError, match=message):
        disjoint_split(SIZES, groups)


def write_groups(path, *, change=lambda lines: lines):
    rows = [f"{name},{i},{name[0]}{i // 2}" for name, size in SIZES.items() for i in range(size)]
    path.write_text("\n".join(["split,index,patient", *change(rows)]) + "\n")
    return path


def test_groups_are_read_in_any_order(data, tmp_path):
    path = write_groups(tmp_path / "g.csv", change=lambda rows: rows[::-1])
    expected = ["t0", "t0", "t1", "t1", "t2", "t2", "v0", "v0", "v1", "t0", "t0", "t1", "t1"]
    assert read_groups(path, data, "patient") == expected
    assert read_groups(str(path), SIZES, "patient") == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1:], "1 images have no row"),
        (lambda rows: [*rows, rows[0]], "line 15: train 0 is already listed in line 2"),
        (lambda rows: ["train,0,", *rows[1:]], "line 2: patient is empty"),
        (lambda rows: [*rows, "train,6,x"], "index '6' is not a position in train"),
    ],
)
def test_group_files_that_do_not_fit(tmp_path, change, message):
    path = write_groups(tmp_path / "g.csv", change=change)
    with pytest.raises(DatasetError, match=message):
        read_groups(path, SIZES, "patient")
    with pytest.raises(DatasetError, match="unknown column 'lesion'"):
        read_groups(path, SIZES, "lesion")


def test_lesions_of_dermamnist(data_root, derma_lesions):
    whole, lesions = derma_lesions
    mapping = disjoint_split(whole, lesions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = load_dataset("dermamnist", root=data_root, download=False, split=mapping)
    assert torch.equal(own.test.images, whole.test.images)
    assert torch.equal(own.test.labels, whole.test.labels)
    groups = [{lesions[i] for i in positions} for positions in mapping.values()]
    assert not groups[0] & groups[1]
    assert not groups[2] & (groups[0] | groups[1])
    assert len(own.train) < len(whole.train)
    assert own.title.endswith("own split)")
