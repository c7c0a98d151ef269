import copy
import pickle
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split
from torchvision.transforms import ToTensor

from medzoo import create_transform
from medzoo.datasets import Dataset, load_dataset, to_torch
from medzoo.datasets.storage import archive
from medzoo.datasets.storage.mmap import find_map
from medzoo.errors import DatasetError
from tests.datasets.conftest import make_arrays
from tests.processes import forkserver

MULTI_LABEL = "multi-label, binary-class"


def split(count, channels=3):
    """A split of random images, all different."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 6, 6, channels), np.uint8)
    pair = images, np.arange(count) % 2
    return Dataset.from_arrays(pair, pair, pair, classes=["a", "b"]).train


@given(st.integers(1, 30), st.integers(1, 40))
def test_chunks_are_consecutive_views_of_all_images(count, size):
    images = split(count)
    chunks = list(images.chunks(size))
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert torch.equal(torch.cat(chunks), images.images)
    assert chunks[0].data_ptr() == images.images.data_ptr()


@pytest.mark.parametrize("size", [0, -1])
def test_chunks_below_one_image_are_refused_at_once(size):
    with pytest.raises(ValueError, match=f"size={size} must be a whole number of at least 1"):
        split(3).chunks(size)


@given(st.lists(st.integers(0, 9), max_size=20), st.sampled_from([1, 3]))
def test_take_copies_the_rows(rows, channels):
    images, rows = split(10, channels), torch.tensor(rows, dtype=torch.int64)
    taken = images.take(rows)
    assert torch.equal(taken, images.images[rows])
    assert taken.is_contiguous(memory_format=torch.channels_last)
    out = torch.empty_like(taken)
    assert images.take(rows, out=out) is out
    assert torch.equal(out, taken)
    if len(rows):
        taken.zero_()
        assert images.images[rows].any()


@pytest.mark.parametrize("row", [-1, 10])
def test_take_refuses_rows_out_of_range(row):
    with pytest.raises((IndexError, RuntimeError), match="out of range"):
        split(10).take(torch.tensor([0, row]))


def labelled(labels, **options):
    """A split with given labels, whose images are all different."""
    rng = np.random.default_rng(0)
    pair = rng.integers(0, 256, (len(labels), 6, 6, 3), np.uint8), np.array(labels)
    return Dataset.from_arrays(pair, pair, pair, **options).train


def test_an_image_comes_with_its_label_in_memory_of_its_own():
    images = split(5)
    image, label = images[3]
    assert torch.equal(image, images.images[3])
    assert (image.dtype, tuple(image.shape), image.is_contiguous()) == (
        torch.uint8,
        (3, 6, 6),
        True,
    )
    assert (label, type(label)) == (1, int)
    assert image.untyped_storage().nbytes() == 3 * 6 * 6
    image.zero_()
    assert images.images[3].any()
    assert torch.equal(images[-1][0], images.images[4])
    assert torch.equal(images[np.int64(2)][0], images[torch.tensor(2)][0])
    assert [label for _, label in images] == images.labels.tolist()


def test_labels_are_what_losses_take():
    several = labelled([[1, 0, 1], [0, 0, 0], [1, 1, 1]])
    label = several[0][1]
    assert torch.equal(label, torch.tensor([1.0, 0.0, 1.0]))
    label.zero_()
    assert several.labels[0].any()
    logits = torch.zeros(3, 3)
    _, labels = next(iter(DataLoader(several, batch_size=3)))
    assert torch.nn.functional.binary_cross_entropy_with_logits(logits, labels) > 0
    _, labels = next(iter(DataLoader(labelled([2, 0, 1]), batch_size=3)))
    assert torch.nn.functional.cross_entropy(logits, labels) > 0


def test_images_are_counted_by_the_name_of_their_class():
    images, labels = np.zeros((3, 6, 6), np.uint8), np.array([2, 0, 2])
    pair = images, labels
    counted = Dataset.from_arrays(pair, pair, classes=["a", "b", "c"]).train
    assert counted.class_counts == {"a": 1, "b": 0, "c": 2}

    pair = images, np.array([[1, 0], [1, np.nan], [np.nan, 1]])
    labelled = Dataset.from_arrays(pair, pair, classes=["a", "b"], task=MULTI_LABEL).train
    assert labelled.class_counts == {"a": 2, "b": 1}  # unknown ones do not count


@pytest.mark.parametrize("index", [slice(2), [0, 1], "0", 1.0, None, torch.tensor([0, 1])])
def test_a_split_is_indexed_by_one_position(index):
    with pytest.raises(TypeError, match=r"one position.*split\.subset"):
        split(5)[index]


@pytest.mark.parametrize("index", [5, -6])
def test_positions_out_of_range_are_index_errors(index):
    with pytest.raises(IndexError, match=f"position {index} is out of range for 5 images"):
        split(5)[index]


def test_pytorch_combines_and_divides_splits():
    images = split(6)
    assert isinstance(images, torch.utils.data.Dataset)
    assert torch.equal(Subset(images, [4, 1])[0][0], images.images[4])
    parts = random_split(images, [4, 2], generator=torch.Generator().manual_seed(0))
    assert sorted(i for part in parts for i in part.indices) == list(range(6))
    joined = ConcatDataset([images, split(3)])
    assert len(joined) == len(images + split(3)) == 9
    assert torch.equal(joined[7][0], split(3).images[1])
    batches = list(DataLoader(images, batch_size=4, shuffle=True))
    assert [tuple(x.shape) for x, _ in batches] == [(4, 3, 6, 6), (2, 3, 6, 6)]
    assert batches[0][1].dtype == torch.int64


def test_workers_open_memory_mapped_images_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MMAP_ABOVE", 0)
    np.savez(tmp_path / "own.npz", **make_arrays(shape=(64, 64, 3)))
    images = load_dataset(tmp_path / "own.npz").train
    loader = DataLoader(
        Subset(images, range(6)), 3, num_workers=2, multiprocessing_context=forkserver()
    )
    batches = list(loader)
    assert torch.equal(torch.cat([x for x, _ in batches]), images.images)
    assert torch.equal(torch.cat([y for _, y in batches]), images.labels)


@pytest.mark.parametrize("part", [slice(None), slice(2, 5), slice(1, 6, 2)])
def test_a_pickled_memory_mapped_split_holds_no_images(tmp_path, monkeypatch, part):
    monkeypatch.setattr(archive, "MMAP_ABOVE", 0)
    np.savez(tmp_path / "own.npz", **make_arrays(shape=(64, 64, 3)))
    images = load_dataset(tmp_path / "own.npz").train
    images = replace(images, images=images.images[part], labels=images.labels[part])
    content = bytes(ForkingPickler.dumps(images))  # as worker processes receive it
    assert len(content) < 8000 < images.images.nbytes
    again = pickle.loads(content)
    assert torch.equal(again.images, images.images)
    assert again.images.stride() == images.images.stride()
    assert find_map(again.images) == find_map(images.images)
    content = pickle.dumps(again)
    assert torch.equal(pickle.loads(content).images, images.images)
    assert torch.equal(copy.deepcopy(images).images, images.images)
    for file in tmp_path.rglob("train_images.npy"):
        file.unlink()
    with pytest.raises(DatasetError, match=r"cannot be opened .*load the data set again"):
        pickle.loads(content)


def test_images_in_memory_are_pickled_with_the_split():
    images = split(4)
    again = pickle.loads(pickle.dumps(images))
    assert torch.equal(again.images, images.images)
    assert repr(again) == repr(images)


def test_a_part_is_chosen_by_positions_a_mask_or_a_slice():
    images = split(5)
    for chosen in (
        [3, -1],
        np.array([3, 4], np.uint8),  # which PyTorch would take for a mask
        torch.tensor([3, 4]),
        range(3, 5),
        slice(3, None),
        [False, False, False, True, True],
        torch.arange(5) >= 3,
        np.arange(5) >= 3,
    ):
        part = images.subset(chosen)
        assert torch.equal(part.images, images.images[3:])
        assert part.labels.tolist() == images.labels[3:].tolist()
        assert part.images.is_contiguous(memory_format=torch.channels_last)
        assert part.provenance.note.endswith("2 of 5 train images")


def test_a_slice_with_a_step_takes_some_of_the_images():
    images = split(5)
    part = images.subset(slice(1, None, 2))
    assert torch.equal(part.images, images.images[1::2])
    assert part.labels.tolist() == images.labels[1::2].tolist()
    assert len(images.subset(slice(5, 5))) == len(images.subset(slice(5, 5, 2))) == 0


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([], ValueError, "empty"),
        (np.zeros(5, bool), ValueError, "False for all images"),
        (np.ones(4, bool), ValueError, "a mask of 4 values for 5 images"),
        ([True, False], ValueError, "a mask of 2 values for 5 images"),
        ([[0], [1]], ValueError, "one dimension"),
        (3, TypeError, "a list with one position"),
        (torch.tensor(3), ValueError, "one dimension"),
        (None, TypeError, "NoneType"),
        ("train", TypeError, "is a str"),
        ([0.0, 1.0], TypeError, "indices are float64"),
        (["a"], TypeError, "whole numbers"),
        ([0, 5], IndexError, "position 5 is out of range for 5 images"),
        ([0, -6], IndexError, "position -6 is out of range for 5 images"),
    ],
)
def test_parts_that_make_no_sense_are_refused(indices, error, message):
    with pytest.raises(error, match=message):
        split(5).subset(indices)


@pytest.mark.parametrize(
    "indices",
    [
        [0, 1, 0, 1, 1],
        (0, 0, 0, 0, 1),
        np.array([1, 0, 0, 1, 1]),
        np.zeros(5, np.uint8),
        torch.tensor([0, 0, 1, 1, 1], dtype=torch.uint8),
        torch.tensor([1, 1, 1, 1, 1]),
    ],
)
def test_a_mask_of_numbers_has_two_readings(indices):
    message = r"indices are 5 whole numbers, only 0 and 1,.*a boolean mask.*positions"
    with pytest.raises(ValueError, match=message):
        split(5).subset(indices)
    assert len(split(6).subset(indices)) == 5  # only a mask has one value for each image
    assert len(split(2).subset([1, 0])) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_transforms_get_pil_images_as_in_torchvision(channels):
    images = split(4, channels)
    pair = to_torch(images, ToTensor())[2]
    assert torch.equal(pair[0], images.images[2] / 255)
    assert pair[1] == 0
    expected = create_transform(images.info)
    batch, labels = next(iter(DataLoader(to_torch(images, expected), batch_size=4)))
    assert torch.equal(batch, torch.stack([expected(image) for image, _ in images]))
    assert torch.equal(labels, images.labels)
    assert to_torch(images, lambda image: image.mode)[0][0] == {1: "L", 3: "RGB"}[channels]
    assert "ToTensor" in repr(to_torch(images, ToTensor()))


def test_what_cannot_be_transformed_is_a_type_error():
    with pytest.raises(TypeError, match=r"give one split, e\.g\. data\.train"):
        to_torch([split(3)], ToTensor())
    with pytest.raises(TypeError, match="expected a function of a PIL image"):
        to_torch(split(3), None)
