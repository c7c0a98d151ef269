import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from medzoo.cache import cache_dir
from medzoo.datasets import hold_out_validation, load_dataset, resplit
from medzoo.datasets.storage import archive, gather
from medzoo.datasets.storage.mmap import find_map
from medzoo.errors import DatasetError


@pytest.fixture
def data(write_npz, monkeypatch, tmp_path):
    """A memory-mapped data set of 13 colour images."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(archive, "MMAP_ABOVE", 0)
    monkeypatch.setattr(gather, "_STEP", 400)  # two images
    return load_dataset(write_npz(shape=(8, 8, 3)))


def files():
    return sorted((cache_dir() / "copies").iterdir())


SPLIT = {"train": [12, 0, 7, 3, 4], "val": [1, 10], "test": [11, 2, 5]}


def test_copies_of_mapped_images_are_mapped_for_as_long_as_they_are_used(data):
    images = torch.cat([split.images for split in data.splits.values()])
    labels = torch.cat([split.labels for split in data.splits.values()])
    new = resplit(data, SPLIT)
    for name, positions in SPLIT.items():
        split = new.splits[name]
        assert find_map(split.images) is not None
        assert split.images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(split.images, images[positions])
        assert torch.equal(split.labels, labels[positions])
    assert len(files()) == 3
    train = new.train
    again = pickle.loads(pickle.dumps(train))
    del new, split
    assert len(files()) == 1
    train.images[0].zero_()
    assert again.images[0].any()
    assert not copy.deepcopy(train).images[0].any()
    del train
    assert files() == []
    assert again.images[0].any()  # an open map remains valid


def test_so_are_subsets_and_what_is_held_out(data):
    object.__delattr__(data, "val")
    new = hold_out_validation(data, torch.tensor([4, 1]))
    assert torch.equal(new.train.images, data.train.images[[0, 2, 3, 5]])
    assert torch.equal(new.val.images, data.train.images[[1, 4]])
    assert all(find_map(split.images) for split in new.splits.values())


def test_images_in_memory_stay_there(data, monkeypatch):
    monkeypatch.setattr(archive, "MMAP_ABOVE", 5 * 192)
    assert find_map(resplit(data, SPLIT).train.images) is None
    monkeypatch.setattr(archive, "MMAP_ABOVE", 0)
    in_memory = replace(data.train, images=data.train.images.clone())
    assert find_map(in_memory.subset([0, 1]).images) is None
    assert find_map(data.train.subset([0, 1]).images) is not None


def test_what_a_killed_process_left_is_removed_by_the_next(data):
    kept = resplit(data, SPLIT)
    code = (
        "import os, sys; from pathlib import Path; from medzoo.cache import locked\n"
        "with locked(Path(sys.argv[1])): Path(sys.argv[1]).touch(); os.kill(os.getpid(), 9)"
    )
    left = cache_dir() / "copies" / "left"
    subprocess.run([sys.executable, "-c", code, str(left)], check=False)
    assert len(files()) == 4
    other = data.train.subset([0, 1])
    assert len(files()) == 4
    assert not left.exists()
    assert kept.train.images.any()
    assert other.images.any()


def test_a_full_disk_is_one_error_and_leaves_nothing(data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=500))
        with pytest.raises(
            DatasetError, match=r"copying images .* only 0\.0 GB are free.*make room"
        ):
            resplit(data, SPLIT)
    monkeypatch.setattr(gather, "_copy", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(DatasetError, match=r"copying images .* full"):
        resplit(data, SPLIT)
    assert files() == []
