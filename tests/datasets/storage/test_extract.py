import hashlib
import os
import shutil
import tracemalloc
import zipfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medzoo.cache import cache_dir, locked
from medzoo.datasets import load_dataset
from medzoo.datasets.storage import archive, content
from medzoo.datasets.storage.archive import read_archive
from medzoo.errors import DatasetError
from tests.datasets.conftest import make_arrays
from tests.processes import forkserver


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


@pytest.fixture(params=["small", "large"])
def remembered(request, monkeypatch):
    """Facts about files of any size are cached, or those of none."""
    if request.param == "large":
        monkeypatch.setattr(content, "REMEMBER_FROM", 0)


def replace_unnoticed(path, new):
    """Change the content of a file, but neither its size nor its time."""
    stat = path.stat()
    assert len(new) == stat.st_size
    path.write_bytes(new)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("way", ["overwritten", "renamed"])
def test_a_file_replaced_with_same_size_and_time_is_noticed(write_npz, remembered, way):
    path = write_npz("new.npz", train_images=np.full((6, 8, 8), 7, np.uint8))
    new = pad(path)
    path = write_npz(train_images=np.full((6, 8, 8), 9, np.uint8), train_labels=np.arange(6) // 3)
    path.write_bytes(pad(path))
    old = load_dataset(path)
    if way == "overwritten":
        replace_unnoticed(path, new)
    else:
        other = path.with_name("other.npz")
        other.write_bytes(new)
        os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        other.replace(path)
    data = load_dataset(path)
    assert (data.train.images == 7).all()
    assert data.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert data.provenance.md5 == hashlib.md5(new).hexdigest() != old.provenance.md5


def pad(path):
    """The content of an archive with a comment that brings it to 9,999 bytes."""
    with zipfile.ZipFile(path, "a") as file:
        file.comment = bytes(9999 - path.stat().st_size)
    return path.read_bytes()


@pytest.mark.parametrize("place", ["cut", "header", "shape", "pixel", "gone", "folder"])
def test_damaged_arrays_are_extracted_again(write_npz, remembered, place):
    path = write_npz()
    expected = load_dataset(path).train.images.clone()
    (folder,) = folders(path.parent)
    array = path.parent / folder / "train_images.npy"
    damaged = bytearray(array.read_bytes())
    if place == "cut":
        array.write_bytes(b"cut")
    elif place == "gone":
        array.unlink()
    elif place == "folder":
        array.unlink()
        array.mkdir()
    elif place == "shape":
        replace_unnoticed(array, damaged.replace(b"(6, 8, 8)", b"(8, 6, 8)"))
    else:
        damaged[0 if place == "header" else 200] ^= 1
        replace_unnoticed(array, damaged)
    assert torch.equal(load_dataset(path).train.images, expected)
    assert np.array_equal(np.load(array)[:, None], expected)


def test_what_was_verified_is_not_read_again_until_it_changes(write_npz, monkeypatch):
    monkeypatch.setattr(content, "REMEMBER_FROM", 0)
    path = write_npz()
    expected = load_dataset(path).train.images.clone()
    with monkeypatch.context() as patch:
        patch.setattr("medzoo.datasets.storage.md5.hashlib.md5", None)
        patch.setattr("medzoo.datasets.storage.extract._crc32", None)
        assert torch.equal(load_dataset(path).train.images, expected)


def test_only_what_killed_processes_left_is_removed(write_npz):
    path = write_npz()
    load_dataset(path)
    (current,) = folders(path.parent)
    stale, busy = "own.arrays-0123456789ab", "own.arrays-fedcba987654"
    leftovers = [f"{current}.0123abcd.partial", stale, f"{stale}.0123abcd.partial"]
    others = [
        *(
            "own.arrays",
            "own.arrays-backup",
            "other.arrays-0123456789ab",
            "own.zip.arrays-0123456789ab",
        ),
        *(f"{current}.old", f"{current}.partial", f"{stale}.0123abcd.partial.old", f"x{stale}"),
        *(busy, f"{busy}.0123abcd.partial"),
    ]
    for name in leftovers + others:
        (path.parent / name).mkdir()
        (path.parent / name / "train_images.npy").touch()
    shutil.rmtree(path.parent / current)
    with locked(path.parent / busy):
        load_dataset(path)
    assert folders(path.parent) == sorted([current, *others])


def test_space_is_checked_before_anything_is_extracted(write_npz, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=500))
    path = write_npz()
    with pytest.raises(DatasetError, match=r"extracting .*own\.npz into .* only 0.0 GB are free"):
        load_dataset(path)
    assert folders(path.parent) == []


def test_a_process_that_extracts_for_too_long_is_named(write_npz, monkeypatch):
    path = write_npz()
    load_dataset(path)
    (folder,) = folders(path.parent)
    shutil.rmtree(path.parent / folder)
    monkeypatch.setattr("medzoo.datasets.storage.extract.locked", partial(locked, wait=0))
    with (
        locked(path.parent / folder),
        pytest.raises(DatasetError, match=rf"own\.npz cannot be read: gave up .* {os.getpid()} on"),
    ):
        load_dataset(path)


def test_a_root_that_cannot_be_written_uses_the_cache_folder(write_npz, monkeypatch):
    path = write_npz(train_images=np.full((6, 8, 8), 9, np.uint8))
    monkeypatch.setattr("medzoo.datasets.storage.extract.os.access", lambda *_: False)
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
    monkeypatch.setattr("medzoo.datasets.storage.extract.shutil.copyfileobj", full)
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


def put_total(path, both_are_ready, answers):
    archive.MMAP_ABOVE = 0
    both_are_ready.wait()
    answers.put(load_dataset(path).train.images.sum().item())


def test_two_processes_at_once(write_npz):
    path = write_npz(shape=(64, 64), classes=2)
    context = forkserver()
    both_are_ready, answers = context.Barrier(2, timeout=60), context.Queue()
    running = [
        context.Process(target=put_total, args=(path, both_are_ready, answers)) for _ in range(2)
    ]
    for process in running:
        process.start()
    assert {answers.get(timeout=60) for _ in running} == {np.load(path)["train_images"].sum()}
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0, 0]
    assert len(folders(path.parent)) == 1
