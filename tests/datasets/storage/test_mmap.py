import copy
import pickle
import sys

import numpy as np
import pytest
import torch

from medzoo.datasets import load_dataset
from medzoo.datasets.storage import archive, pages
from medzoo.datasets.storage.archive import read_archive
from medzoo.datasets.storage.mmap import find_map, iter_chunks, open_map, take_rows
from medzoo.errors import DatasetError
from tests.datasets.storage.resident import resident

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")


@on_linux
def test_memory_of_maps_is_given_back_and_their_content_stays(tmp_path, monkeypatch):
    path = tmp_path / "images.npy"
    expected = np.arange(1 << 20, dtype=np.uint32)
    np.save(path, expected)
    monkeypatch.setattr(pages, "_RELEASE_AFTER", expected.nbytes)
    monkeypatch.setattr(pages, "_unreleased", 0)
    array = open_map(path)
    images = torch.from_numpy(array.view(np.uint8))[:, None]
    assert np.array_equal(array, expected)
    assert resident(path) >= expected.nbytes
    pages.count_read(images[:-1])
    assert resident(path) >= expected.nbytes
    pages.count_read(images[-1:])
    assert resident(path) < expected.nbytes / 4
    assert np.array_equal(array, expected)


COUNT = 256


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """A mapped file of 256 images of 64 KiB, and its content; released after every 4 images."""
    path = tmp_path / "images.npy"
    expected = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 256, 256), np.uint8)
    np.save(path, expected)
    monkeypatch.setattr(pages, "_RELEASE_AFTER", 4 << 16)
    monkeypatch.setattr(pages, "_unreleased", 0)
    return path, torch.from_numpy(open_map(path)), torch.from_numpy(expected)


@on_linux
def test_memory_stays_flat_while_chunks_are_read(mapped):
    path, images, expected = mapped
    sizes = []
    for chunk, same in zip(iter_chunks(images, 4), expected.split(4), strict=True):
        assert torch.equal(chunk, same)
        sizes.append(resident(path))
    # The system maps whole blocks of its file cache, so more than the 4 images that were read.
    assert 0 < max(sizes) < images.nbytes / 2
    assert resident(path) < images.nbytes / 10
    for chunk in images.split(4):  # without releasing, all of them stay
        chunk.sum()
    assert resident(path) >= images.nbytes


@on_linux
def test_memory_stays_flat_while_rows_are_taken(mapped):
    path, images, expected = mapped
    out = torch.empty(4, 1, 256, 256, dtype=torch.uint8)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    for number, rows in enumerate(order.split(4)):
        taken = take_rows(images, rows, out if number % 2 else None)
        assert torch.equal(taken, expected[rows])
        assert resident(path) < images.nbytes / 10


@on_linux
def test_small_rows_count_as_the_blocks_that_they_are_in(tmp_path, monkeypatch):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((4096, 1, 64, 64), np.uint8))  # 16 MB, 512 rows in a block of 2 MB
    images = torch.from_numpy(open_map(path))
    released = []
    monkeypatch.setattr(pages, "_RELEASE_AFTER", 8 << 20)
    monkeypatch.setattr(pages, "_unreleased", 0)
    monkeypatch.setattr(pages, "_release_read", lambda: released.append(True))
    for row in range(0, 4096, 1024):
        assert not released
        take_rows(images, torch.tensor([row]))
    assert released


@on_linux
def test_many_calls_for_single_images_are_not_remembered_for_long(tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", np.zeros((64, 1, 64, 64), np.uint8))
    mapped = open_map(tmp_path / "images.npy")
    monkeypatch.setattr(pages, "_read", [])
    image = torch.zeros(1, 3, 28, 28, dtype=torch.uint8)  # in memory, as in a service
    for _ in range(10_000):
        pages.count_read(image)
    assert len(pages._read) < 10_000
    assert len(mapped) == 64


def read_everything(images):
    for chunk in iter_chunks(images, 4):
        chunk.sum()
    for rows in torch.randperm(COUNT).split(4):
        take_rows(images, rows)


def through_numpy(images):
    images.numpy()[200, 0, 0, 0] ^= 255


def by_swapping(images):
    images[[3, 5]] = images[[5, 3]]


@pytest.mark.parametrize(
    "edit",
    [
        lambda images: images.zero_(),
        lambda images: images[7].fill_(255),
        lambda images: [chunk.add_(1) for chunk in iter_chunks(images, 4)],
        lambda images: torch.bitwise_not(images[100:], out=images[100:]),
        through_numpy,
        by_swapping,
    ],
)
def test_edits_stay_and_never_reach_the_file(mapped, edit):
    path, images, expected = mapped
    before = path.read_bytes()
    edit(images)
    changed = images.clone()
    assert not torch.equal(changed, expected)
    for _ in range(2):
        read_everything(images)
        assert torch.equal(images, changed)
    assert torch.equal(take_rows(images, torch.arange(COUNT)), changed)
    assert path.read_bytes() == before


@on_linux
def test_memory_without_edits_is_still_given_back(mapped):
    path, images, _ = mapped
    images[7, 0, 0, 0] = 1
    read_everything(images)
    assert resident(path) < images.nbytes / 2
    assert images[7, 0, 0, 0] == 1


@pytest.mark.parametrize("knows_pages", [True, False])
def test_copies_have_the_edits(write_npz, monkeypatch, knows_pages):
    monkeypatch.setattr(archive, "MMAP_ABOVE", 0)
    if not knows_pages:
        monkeypatch.setattr(pages, "_PAGEMAP", "/nowhere")
    split = load_dataset(write_npz(shape=(64, 64))).train
    assert find_map(split.images) is not None
    split.images[2].zero_()
    assert find_map(split.images) is None
    for again in (pickle.loads(pickle.dumps(split)), copy.deepcopy(split), split.head(4)):
        assert torch.equal(again.images, split.images[: len(again)])


def test_what_the_system_does_not_tell_is_never_dropped(mapped, monkeypatch):
    _, images, _ = mapped
    monkeypatch.setattr(pages, "_PAGEMAP", "/nowhere")
    monkeypatch.setattr(pages, "_CAN_RELEASE", pages._can_release())
    images.zero_()
    read_everything(images)
    assert not images.any()


def test_large_sets_are_mapped_for_writing_in_memory(write_npz, monkeypatch):
    monkeypatch.setattr(archive, "MMAP_ABOVE", 0)
    path = write_npz()
    load_dataset(path).train.images.zero_()
    assert load_dataset(path).train.images.any()
    assert read_archive(path)[0]["train_images"].mode == "c"


def test_what_cannot_be_mapped_is_named(tmp_path):
    for name, content in (("empty.npy", b""), ("text.npy", b"text"), ("zip.npy", b"PK\3\4" * 9)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=rf"{name} cannot be memory-mapped .*; delete the"):
            open_map(tmp_path / name)
    with pytest.raises(DatasetError, match=r"gone\.npy cannot be memory-mapped"):
        open_map(tmp_path / "gone.npy")
