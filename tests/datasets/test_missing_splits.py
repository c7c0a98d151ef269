"""Data sets that lack a split, as files of test images alone do."""

import copy
import pickle
from itertools import combinations

import numpy as np
import pytest
import torch

from medzoo import create_model, create_transform, evaluate
from medzoo.datasets import (
    Dataset,
    Split,
    disjoint_split,
    find_leakage,
    hold_out_validation,
    load_dataset,
    resplit,
    synthetic,
)
from medzoo.errors import DatasetError
from tests.datasets.conftest import make_arrays

SPLITS = ("train", "val", "test")


def only(*splits, **options):
    """Arrays of a MedMNIST file that has only some of the splits."""
    arrays = make_arrays(**options)
    return {key: arrays.get(key) if key.split("_")[0] in splits else None for key in arrays}


def part(*splits, **options):
    """A synthetic data set that has only some of the splits."""
    data = synthetic("dermamnist", **options)
    pairs = {name: (data.splits[name].images, data.splits[name].labels) for name in splits}
    return Dataset.from_arrays(**pairs, classes=data.info.classes)


@pytest.mark.parametrize("splits", [s for n in (1, 2, 3) for s in combinations(SPLITS, n)])
def test_a_file_may_lack_splits(write_npz, splits):
    path = write_npz(**only(*splits))
    data = load_dataset(path)
    assert tuple(data.splits) == splits
    assert data.size == 8
    assert data.info.n_samples == {name: len(data.splits[name]) for name in splits}
    assert "/".join(splits) in repr(data)
    with np.load(path) as arrays:
        for name in splits:
            assert np.array_equal(getattr(data, name).images[:, 0], arrays[f"{name}_images"])
    for name in set(SPLITS) - set(splits):
        with pytest.raises(
            DatasetError, match=rf"own data\) has no {name} split, only {splits[0]}"
        ):
            getattr(data, name)
    with pytest.raises(AttributeError, match="no attribute 'tset'"):
        data.tset  # noqa: B018
    for again in (pickle.loads(pickle.dumps(data)), copy.deepcopy(data)):
        assert tuple(again.splits) == splits


def test_a_large_file_may_lack_splits(write_npz, monkeypatch):
    monkeypatch.setattr("medzoo.datasets.storage.archive.MMAP_ABOVE", 0)
    assert tuple(load_dataset(write_npz(**only("test"))).splits) == ("test",)


def test_the_error_says_what_to_do_without_a_split():
    with pytest.raises(DatasetError, match=r"hold_out_validation\(data\)"):
        part("train", "test").val  # noqa: B018
    with pytest.raises(DatasetError, match="it can be evaluated, but not trained on"):
        part("test").mean_std()
    with pytest.raises(DatasetError, match="evaluate on another split"):
        part("train", "val").test  # noqa: B018
    with pytest.raises(ValueError, match="at least one of train, val and test"):
        Dataset.from_arrays()


@pytest.mark.parametrize("key", ["test_images", "test_labels"])
def test_half_a_split_is_an_error(write_npz, key):
    with pytest.raises(DatasetError, match=f"array {key} is missing"):
        load_dataset(write_npz(**{key: None}))


def test_a_file_without_any_split_is_an_error(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.zeros(2, int))
    with pytest.raises(DatasetError, match=r"train_images is missing.* found images, labels"):
        load_dataset(tmp_path / "own.npz")


def test_an_official_name_without_all_splits_is_marked(write_npz, tmp_path):
    path = write_npz("breastmnist.npz", **only("test", shape=(28, 28)))
    with pytest.warns(UserWarning, match="not the official medmnist file"):
        data = load_dataset("breastmnist", root=tmp_path)
    assert data.test.title == "BreastMNIST (partial: without train and val)"
    assert data.info.classes == ("malignant", "normal, benign")
    with pytest.warns(UserWarning, match="not the official medmnist file"):
        assert isinstance(load_dataset(path, split="test"), Split)


def test_a_model_is_evaluated_on_a_set_of_test_images_alone():
    whole = synthetic("dermamnist", n_train=40)
    model = create_model("simple_cnn", dataset=whole, widths=(4, 4, 4)).eval()
    data = part("test", n_train=40)
    assert evaluate(model, data.test, resamples=0).n == len(data.test)
    assert (
        evaluate(model, data.test, resamples=0).acc == evaluate(model, whole.test, resamples=0).acc
    )
    assert create_transform(data.test)(whole.test[0][0]).shape == (3, 28, 28)


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_is_loaded_by_name(write_npz, name):
    path = write_npz()
    split = load_dataset(path, split=name)
    assert isinstance(split, Split)
    assert torch.equal(split.images, load_dataset(path).splits[name].images)
    assert split.name == name


def test_a_missing_split_cannot_be_loaded_by_name(write_npz):
    with pytest.raises(DatasetError, match="has no val split, only test"):
        load_dataset(write_npz(**only("test")), split="val")
    with pytest.raises(ValueError, match="unknown split 'valid'; did you mean 'val'"):
        load_dataset(write_npz(), split="valid")


def test_images_without_splits_are_split_by_positions():
    data = part("train", n_train=42)
    own = resplit(data, {"train": range(14, 42), "val": range(7), "test": range(7, 14)})
    assert torch.equal(own.test.images, data.train.images[7:14])
    pair = part("train", "test", n_train=42, n_test=21)
    own = resplit(pair, {"train": range(28), "val": range(28, 42), "test": range(42, 63)})
    assert torch.equal(own.test.images, pair.test.images)
    kept = disjoint_split(pair, [f"patient {i % 50}" for i in range(63)])
    assert kept == {"train": list(range(13, 42)), "test": list(range(42, 63))}


def test_leakage_is_searched_for_between_the_splits_that_there_are():
    data = part("train", "test", n_train=42, n_test=21)
    images = data.test.images.clone()
    images[3] = data.train.images[5]
    leaking = Dataset.from_arrays(
        train=(data.train.images, data.train.labels),
        test=(images, data.test.labels),
        classes=data.info.classes,
    )
    report = find_leakage(leaking)
    assert [pair[:4] for pair in report.pairs] == [("train", 5, "test", 3)]
    assert report.affected_test_share == 1 / 21
    assert "1 of 21 test images" in str(report)
    assert find_leakage(part("train", "val", n_train=42)).to_dict()["affected_test_share"] == 0
    with pytest.raises(ValueError, match="has only a test split"):
        find_leakage(part("test"))


def test_validation_images_are_taken_from_train_by_class():
    data = part("train", "test", n_train=140, n_test=7)
    divided = hold_out_validation(data)
    assert set(divided.val.labels.bincount().tolist()) <= {3, 4}  # of 20 each
    assert len(divided.train) + len(divided.val) == 140
    everything = {image.numpy().tobytes() for image in data.train.images}
    parts = [{x.numpy().tobytes() for x in s.images} for s in (divided.train, divided.val)]
    assert parts[0] | parts[1] == everything
    assert not parts[0] & parts[1]
    assert divided.test.images is data.test.images
    counts = {name: len(split) for name, split in divided.splits.items()}
    assert divided.info.n_samples == counts
    assert divided.title.endswith("own data; val split from train with seed 0)")
    assert [s.name for s in divided.splits.values()] == list(SPLITS)
    again = hold_out_validation(data)
    assert torch.equal(again.val.images, divided.val.images)
    alone = hold_out_validation(part("train", n_train=140))
    assert torch.equal(alone.val.images, divided.val.images)
    assert tuple(alone.splits) == ("train", "val")


def test_copies_stay_on_one_side():
    data = part("train", n_train=70)
    twice = Dataset.from_arrays(
        train=(torch.cat([data.train.images] * 2), torch.cat([data.train.labels] * 2)),
        classes=data.info.classes,
    )
    divided = hold_out_validation(twice)
    known = {image.numpy().tobytes() for image in divided.train.images}
    assert not known & {image.numpy().tobytes() for image in divided.val.images}


def test_several_labels_are_divided_in_proportion():
    data = synthetic(task="multi-label, binary-class", num_classes=3, n_train=200)
    only_train = Dataset.from_arrays(train=(data.train.images, data.train.labels))
    divided = hold_out_validation(only_train)
    share = divided.val.labels.mean(0)
    assert torch.allclose(share, data.train.labels.mean(0), atol=0.04)


def test_positions_of_validation_images_can_be_given():
    data = part("train", n_train=14)
    divided = hold_out_validation(data, torch.tensor([0, -1]))
    assert torch.equal(divided.val.images, data.train.images[[0, 13]])
    assert torch.equal(divided.train.images, data.train.images[1:13])
    assert "val split from train by position" in divided.title


@pytest.mark.parametrize(
    ("splits", "rows", "error", "message"),
    [
        (("train", "val"), None, ValueError, "has a validation split"),
        (("test",), None, DatasetError, "has no train split, only test"),
        (("train",), range(14), ValueError, "all 14 training images"),
        (("train",), [14], IndexError, "position 14 is out of range"),
        (("train",), [], ValueError, "empty"),
    ],
)
def test_what_cannot_be_divided_is_refused(splits, rows, error, message):
    with pytest.raises(error, match=message):
        hold_out_validation(part(*splits, n_train=14), rows)


def test_a_class_with_one_image_cannot_be_divided():
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 6), np.uint8)
    data = Dataset.from_arrays(train=(images, np.array([0] * 8 + [1])), classes=["a", "rare"])
    with pytest.raises(DatasetError, match="class 'rare' has only one image in train"):
        hold_out_validation(data)
    with pytest.raises(TypeError, match=r"not a medzoo\.Dataset"):
        hold_out_validation("dermamnist")
