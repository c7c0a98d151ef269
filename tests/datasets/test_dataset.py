import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.datasets import Dataset
from medzoo.datasets.validation import check_dataset
from medzoo.errors import DatasetError

from .conftest import make_arrays


def pairs(**options):
    arrays = make_arrays(**options)
    return {s: (arrays[f"{s}_images"], arrays[f"{s}_labels"]) for s in ("train", "val", "test")}


@pytest.mark.parametrize("channels", [1, 3])
def test_every_layout_gives_the_same_images(channels):
    nhwc = pairs(shape=(8, 8, channels))
    nchw = {
        s: (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), y) for s, (x, y) in nhwc.items()
    }
    for given_arrays in (nhwc, nchw):
        data = Dataset.from_arrays(**given_arrays)
        images = data.train.images
        assert images.shape == (6, channels, 8, 8)
        assert images.dtype == torch.uint8
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert np.array_equal(images.permute(0, 2, 3, 1), nhwc["train"][0])
    assert data.size == 8
    assert data.info.channels == channels


def test_memory_is_shared_and_read_only_arrays_do_not_warn(recwarn):
    arrays = pairs()
    images = arrays["train"][0]
    images.flags.writeable = False
    data = Dataset.from_arrays(**arrays)
    assert data.train.images.data_ptr() == images.ctypes.data
    assert not recwarn.list


def test_task_and_classes_are_inferred_from_the_labels():
    binary = Dataset.from_arrays(**pairs(classes=2))
    assert (binary.info.task, binary.info.classes) == ("binary-class", ("0", "1"))
    several = Dataset.from_arrays(**pairs(classes=3), classes=["a", "b", "c"], name="mine")
    assert (several.info.task, several.info.classes) == ("multi-class", ("a", "b", "c"))
    assert several.train.labels.dtype == torch.int64
    assert several.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    graded = Dataset.from_arrays(**pairs(classes=3), task="ordinal-regression")
    assert graded.info.task == "ordinal-regression"
    many = {s: (x, np.tri(len(x), 5)) for s, (x, _) in pairs().items()}
    multi = Dataset.from_arrays(**many)
    assert multi.info.task == "multi-label, binary-class"
    assert multi.info.num_classes == 5
    assert multi.train.labels.dtype == torch.float32
    assert multi.train.labels.shape == (6, 5)


def one_hot(count, **changes):
    """Pairs whose labels are one-hot encoded; a change replaces the labels of a split."""
    eye = np.eye(count, dtype=np.float32)
    encoded = {s: (x, eye[y[:, 0]]) for s, (x, y) in pairs(classes=count).items()}
    return encoded | {s: (encoded[s][0], labels) for s, labels in changes.items()}


@pytest.mark.parametrize(("count", "task"), [(2, "binary-class"), (3, "multi-class")])
def test_one_hot_labels_are_classes_and_a_warning_says_so(count, task):
    plain = Dataset.from_arrays(**pairs(classes=count))
    with pytest.warns(UserWarning, match=f"exactly one of {count} labels.*task='{task}'") as caught:
        data = Dataset.from_arrays(**one_hot(count))
    assert caught[0].filename == __file__
    assert (data.info.task, data.info.num_classes) == (task, count)
    for name, split in data.splits.items():
        assert torch.equal(split.labels, plain.splits[name].labels)


def test_a_task_decides_about_one_hot_labels_without_a_warning(recwarn):
    graded = Dataset.from_arrays(**one_hot(3), task="ordinal-regression", classes=["a", "b", "c"])
    assert graded.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    labels = Dataset.from_arrays(**one_hot(3), task="multi-label, binary-class")
    assert labels.train.labels.shape == (6, 3)
    assert not recwarn.list


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 0, 1]])
def test_one_row_of_another_kind_makes_labels_of_all(row):
    data = Dataset.from_arrays(**one_hot(3, test=np.array([[1, 0, 0]] * 3 + [row])))
    assert data.info.task == "multi-label, binary-class"


def test_a_one_hot_column_without_images_is_a_class_only_if_it_has_a_name():
    wide = {s: (x, np.eye(4)[y[:, 0]]) for s, (x, y) in pairs(classes=3).items()}
    named = Dataset.from_arrays(**wide, task="multi-class", classes=list("abcd"))
    assert named.info.classes == ("a", "b", "c", "d")
    with pytest.raises(DatasetError, match="no image has a 1 in column 3"):
        Dataset.from_arrays(**wide, task="multi-class")


def test_only_classes_with_names_may_be_without_images():
    arrays = {split: (images, labels * 2 + 1) for split, (images, labels) in pairs().items()}
    found = sorted({int(label) for _, labels in arrays.values() for label in labels.flat})
    assert found == [1, 3]
    with pytest.raises(DatasetError, match=r"labels: no image has the label 0, but some have 3"):
        Dataset.from_arrays(**arrays)
    assert Dataset.from_arrays(**arrays, classes=list("abcd")).info.num_classes == 4


def test_own_data_is_marked():
    data = Dataset.from_arrays(**pairs(), name="scans")
    assert data.title == data.test.title == "scans (own data)"
    assert not data.official
    assert data.provenance.to_dict() == {
        "file": None,
        "md5": None,
        "official": False,
        "note": "own data",
    }
    assert "scans (own data)" in repr(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train_images": np.zeros((6, 8, 8), np.float32)},
            "train images: dtype is float32, expected uint8",
        ),
        ({"train_images": np.zeros((6, 8, 9), np.uint8)}, "8 x 9 pixels, expected square"),
        ({"train_images": np.zeros((6, 8, 8, 4), np.uint8)}, "1 or 3 channels"),
        ({"train_images": np.zeros((6, 3, 3, 3), np.uint8)}, "1 or 3 channels"),
        ({"train_images": np.zeros(6, np.uint8)}, "train images: shape is"),
        ({"val_images": np.zeros((3, 9, 9), np.uint8)}, "splits differ"),
        ({"val_images": np.zeros((3, 8, 8, 3), np.uint8)}, "splits differ"),
        (
            {"val_images": np.zeros((0, 8, 8), np.uint8), "val_labels": np.zeros(0, int)},
            "at least one",
        ),
        ({"test_labels": np.zeros(5, int)}, "test labels: 5 labels for 4 images"),
        ({"test_labels": np.array([0, 1, 0, -1])}, "class of 1 of 4 images is unknown"),
        ({"test_labels": np.array([0, 1, 0, -2])}, "values go from -2 to 1"),
        ({"test_labels": np.array([0, 1, 0, 10**9])}, "more than there are images"),
        ({"test_labels": np.array([0, 1, 0.5, 1])}, "not whole numbers"),
        ({"test_labels": np.array([0, 1, np.nan, 1])}, "class of 1 of 4 images is unknown"),
        ({"test_labels": np.array([0, 1, np.inf, 1])}, "not whole numbers"),
        (
            {"test_labels": np.array(["a", "b", "a", "b"])},
            "test labels are names, train labels are not; give names in all splits",
        ),
        ({"test_labels": np.zeros((4, 2, 2), int)}, "test labels: shape is"),
    ],
)
def test_arrays_that_do_not_fit_give_one_clear_error(change, message):
    with pytest.raises(DatasetError, match=message):
        Dataset.from_arrays(**pairs(**change))


def test_arguments_that_do_not_fit_are_value_errors():
    with pytest.raises(ValueError, match="exactly 2"):
        Dataset.from_arrays(**pairs(classes=3), task="binary-class")
    with pytest.raises(ValueError, match="did you mean 'multi-class'"):
        Dataset.from_arrays(**pairs(), task="multiclass")
    with pytest.raises(ValueError, match=r"train= must be a pair \(images, labels\), got 3 items"):
        Dataset.from_arrays(**pairs() | {"train": (1, 2, 3)})
    with pytest.raises(DatasetError, match="expected 0 to 1"):
        Dataset.from_arrays(**pairs(classes=3), task="multi-class", classes=["a", "b"])


def test_arguments_of_other_types_are_type_errors():
    with pytest.raises(TypeError, match="single string"):
        Dataset.from_arrays(**pairs(), classes="ab")
    with pytest.raises(TypeError, match=r"train= must be a pair \(images, labels\), got ndarray"):
        Dataset.from_arrays(**pairs() | {"train": np.zeros((6, 8, 8), np.uint8)})
    with pytest.raises(TypeError, match="train images: got list, expected a NumPy array"):
        Dataset.from_arrays(**pairs(train_images=[np.zeros((8, 8)), np.zeros((9, 9))]))


def test_the_name_of_a_data_set_is_not_a_data_set(tiny):
    check_dataset("data", tiny)
    for value in ("breastmnist", tiny.train, None):
        with pytest.raises(TypeError, match=r"data=.* is not a medzoo\.Dataset; load one first"):
            check_dataset("data", value)


@settings(deadline=None, max_examples=20)
@given(
    count=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    high=st.integers(1, 256),
    seed=st.integers(0, 99),
)
def test_mean_and_std_are_exact(count, channels, high, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, high, (count, 5, 5, channels), np.uint8)
    pair = images, np.arange(count) % 2
    other = np.zeros((2, 5, 5, channels), np.uint8), np.arange(2)
    data = Dataset.from_arrays(train=pair, val=other, test=other)
    mean, std = data.mean_std()
    scaled = images.astype(np.float64) / 255
    assert mean == pytest.approx(scaled.mean((0, 1, 2)), rel=1e-12, abs=1e-12)
    assert std == pytest.approx(scaled.std((0, 1, 2)), rel=1e-9, abs=1e-9)


def test_mean_and_std_are_taken_chunk_by_chunk_and_once(monkeypatch):
    data = Dataset.from_arrays(**pairs())
    whole = data.mean_std()
    monkeypatch.setattr("medzoo.datasets.dataset._STATISTICS_CHUNK", 100)
    assert Dataset.from_arrays(**pairs()).mean_std() == whole
    assert data.mean_std() is whole


def test_part_of_a_split_says_so():
    split = Dataset.from_arrays(**pairs(), name="scans").test
    part = split.head(2)
    assert len(part) == 2
    assert part.title == "scans (own data; 2 of 4 test images)"
    assert torch.equal(part.images, split.images[:2])
    chosen = split.subset([3, 1])
    assert torch.equal(chosen.images, split.images[[3, 1]])
    assert torch.equal(chosen.labels, split.labels[[3, 1]])
    assert chosen.images.is_contiguous(memory_format=torch.channels_last)
    assert split.subset(split.labels == 1).labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x.to_sparse(), y), "images: it is a sparse_coo tensor, expected a dense"),
        (lambda x, y: (x, y.to_sparse()), "labels: it is a sparse_coo tensor, expected a dense"),
        (lambda x, y: (x.to("meta"), y), "images: it is a meta tensor"),
        (
            lambda x, y: (x, y.to(torch.float8_e4m3fn)),
            "labels: dtype is float8_e4m3fn, which",
        ),
        (lambda x, y: (x.to(torch.float8_e5m2), y), "images: dtype is float8_e5m2, expected uint8"),
    ],
)
def test_tensors_of_other_kinds_are_refused(change, message):
    images, labels = torch.zeros(4, 1, 9, 9, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])
    with pytest.raises(DatasetError, match=message):
        Dataset.from_arrays(train=change(images, labels))
