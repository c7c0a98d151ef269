import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from medzoo.cache import cache_dir
from medzoo.datasets import load_dataset
from medzoo.datasets.storage import archive
from medzoo.datasets.storage.archive import read_archive
from medzoo.datasets.storage.mmap import _release_pages, iter_chunks, open_map, take_rows
from medzoo.errors import DatasetError
from tests.datasets.conftest import make_arrays


@pytest.fixture(autouse=True)
def map_everything(monkeypatch):
    monkeypatch.setattr(archive, "MMAP_ABOVE", 0)


def folders(path):
    return sorted(p.name for p in path.iterdir() if p.is_dir())


def test_large_sets_are_extracted_once_and_mapped(write_npz, monkeypatch):
    path = write_npz(shape=(8, 8, 3))
    with np.load(path) as plain:
        expected = plain["train_images"]
    data = load_dataset(path)
    assert torch.equal(data.train.images.permute(0, 2, 3, 1), torch.from_numpy(expected))
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)
    (folder,) = folders(path.parent)
    assert folder.startswith("own.arrays-")
    assert sorted(p.name for p in (path.parent / folder).iterdir()) == [
        f"{split}_images.npy" for split in ("test", "train", "val")
    ]
    stamp = (path.parent / folder).stat().st_mtime_ns
    arrays, _ = read_archive(path)
    assert isinstance(arrays["train_images"], np.memmap)
    assert arrays["train_images"].mode == "c"
    assert (path.parent / folder).stat().st_mtime_ns == stamp


def test_writing_into_images_does_not_reach_the_disk(write_npz):
    path = write_npz()
    load_dataset(path).train.images.zero_()
    assert load_dataset(path).train.images.any()


def test_a_changed_file_is_extracted_again_and_old_arrays_are_removed(write_npz):
    path = write_npz()
    old, before = load_dataset(path), folders(path.parent)
    kept = old.train.images.clone()
    write_npz(train_images=np.full((6, 8, 8), 7, np.uint8))
    assert (load_dataset(path).train.images == 7).all()
    after = folders(path.parent)
    assert len(after) == 1
    assert after != before
    assert torch.equal(old.train.images, kept)  # an open map stays what it was


def test_damaged_arrays_are_extracted_again(write_npz):
    path = write_npz()
    expected = load_dataset(path).train.images.clone()
    (folder,) = folders(path.parent)
    (path.parent / folder / "train_images.npy").write_bytes(b"cut")
    assert torch.equal(load_dataset(path).train.images, expected)


def test_a_root_that_cannot_be_written_uses_the_cache_folder(write_npz, monkeypatch):
    path = write_npz(train_images=np.full((6, 8, 8), 9, np.uint8))
    monkeypatch.setattr("medzoo.datasets.storage.mmap.os.access", lambda *_: False)
    assert (load_dataset(path).train.images == 9).all()
    assert folders(path.parent) == []
    assert len(list((cache_dir() / "arrays").glob("own.arrays-*"))) == 1


def test_an_archive_damaged_inside_leaves_nothing(write_npz):
    path = write_npz(shape=(64, 64))
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 255
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="damaged"):
        load_dataset(path)
    assert folders(path.parent) == []


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(write_npz, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = write_npz()
    monkeypatch.setattr("medzoo.datasets.storage.mmap.shutil.copyfileobj", full)
    with pytest.raises(DatasetError, match=r"No space left.*make room"):
        load_dataset(path)
    assert folders(path.parent) == []


def test_fortran_order_is_refused_rather_than_copied(write_npz):
    path = write_npz(train_images=np.asfortranarray(make_arrays()["train_images"]))
    with pytest.raises(DatasetError, match="Fortran order"):
        load_dataset(path)


def test_opening_a_large_set_takes_little_memory(tmp_path):
    path = tmp_path / "large.npz"
    rows = np.zeros((1, 224, 224, 3), np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for split in ("train", "val", "test"):
            count = 400
            with file.open(f"{split}_images.npy", "w", force_zip64=True) as stream:
                header = {"descr": "|u1", "fortran_order": False, "shape": (count, *rows.shape[1:])}
                np.lib.format.write_array_header_1_0(stream, header)
                for _ in range(count):
                    stream.write(rows.tobytes())
            with file.open(f"{split}_labels.npy", "w") as stream:
                np.lib.format.write_array(stream, np.arange(count)[:, None] % 2)
    tracemalloc.start()
    data = load_dataset(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    total = sum(split.images.numel() for split in data.splits.values())
    assert total == 3 * 400 * rows.size  # 180 MB
    assert peak < 32 << 20


def test_two_processes_at_once(write_npz):
    path = write_npz(shape=(64, 64), classes=2)
    code = (
        "from medzoo.datasets import load_dataset; from medzoo.datasets.storage import archive;"
        "archive.MMAP_ABOVE = 0;"
        f"print(load_dataset({str(path)!r}).train.images.sum().item())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert answers == {f"{np.load(path)['train_images'].sum()}\n"}
    assert len(folders(path.parent)) == 1


def _resident(path: Path) -> int:
    """Bytes of a mapped file that are in this process's memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return next(int(rest.split()[1]) << 10 for rest in lines if rest.startswith("Rss:"))
    raise AssertionError(f"{path} is not mapped")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/smaps")
def test_memory_of_maps_is_given_back_and_their_content_stays(tmp_path, monkeypatch):
    path = tmp_path / "images.npy"
    expected = np.arange(1 << 20, dtype=np.uint32)
    np.save(path, expected)
    monkeypatch.setattr("medzoo.datasets.storage.mmap._RELEASE_AFTER", expected.nbytes)
    monkeypatch.setattr("medzoo.datasets.storage.mmap._unreleased", 0)
    array = open_map(path)
    assert np.array_equal(array, expected)
    assert _resident(path) >= expected.nbytes
    _release_pages(expected.nbytes - 1)
    assert _resident(path) >= expected.nbytes
    _release_pages(1)
    assert _resident(path) < expected.nbytes / 4
    assert np.array_equal(array, expected)


COUNT = 256


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """A mapped file of 256 images of 64 KiB, and its content; released after every 4 images."""
    path = tmp_path / "images.npy"
    expected = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 256, 256), np.uint8)
    np.save(path, expected)
    monkeypatch.setattr("medzoo.datasets.storage.mmap._RELEASE_AFTER", 4 << 16)
    monkeypatch.setattr("medzoo.datasets.storage.mmap._unreleased", 0)
    return path, torch.from_numpy(open_map(path)), torch.from_numpy(expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/smaps")
def test_memory_stays_flat_while_chunks_are_read(mapped):
    path, images, expected = mapped
    resident = []
    for chunk, same in zip(iter_chunks(images, 4), expected.split(4), strict=True):
        assert torch.equal(chunk, same)
        resident.append(_resident(path))
    # The system maps whole blocks of its file cache, so more than the 4 images that were read.
    assert 0 < max(resident) < images.nbytes / 2
    assert _resident(path) < images.nbytes / 10
    for chunk in images.split(4):  # without releasing, all of them stay
        chunk.sum()
    assert _resident(path) >= images.nbytes


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/smaps")
def test_memory_stays_flat_while_rows_are_taken(mapped):
    path, images, expected = mapped
    out = torch.empty(4, 1, 256, 256, dtype=torch.uint8)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    for number, rows in enumerate(order.split(4)):
        taken = take_rows(images, rows, out if number % 2 else None)
        assert torch.equal(taken, expected[rows])
        assert _resident(path) < images.nbytes / 10
