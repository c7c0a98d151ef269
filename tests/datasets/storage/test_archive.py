"""What is not a readable archive is one `DatasetError`, and never waits forever."""

import math
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from medzoo.datasets import load_dataset
from medzoo.datasets.storage import archive as storage
from medzoo.datasets.storage import read_archive
from medzoo.errors import DatasetError
from tests.datasets.conftest import make_arrays
from tests.fuzz.headers import HEADER, archive, npy_header


@pytest.mark.parametrize(
    "text",
    [
        HEADER[:-3],
        HEADER.replace("(6", "((((6"),
        HEADER.replace("'|u1'", "('|u1',)"),
        HEADER.replace("'|u1'", "['|u1']"),
        HEADER.replace("'|u1'", "'|u1"),
        HEADER.replace("6", "-6"),
        HEADER.replace("6", "9" * 30),
        HEADER.replace("(6, 8, 8)", "5"),
        "(" * 3000,
        "-" * 3000 + "1",
        "'''",
        "",
        "lambda: 0",
        HEADER.replace("|u1", "|V0"),
        HEADER.replace("'|u1'", "[('images', '|u1')]"),
    ],
)
@pytest.mark.parametrize("key", ["train_images", "test_labels"])
def test_headers_that_numpy_stumbles_over_are_refused(tmp_path, text, key):
    path = tmp_path / "own.npz"
    for version in ((1, 0), (2, 0)):
        path.write_bytes(archive(npy_header(text, version), key))
        with pytest.raises(DatasetError, match=key.replace("_", "[_ ]")) as caught:
            load_dataset(path)
        assert str(path) in str(caught.value) or path.name in str(caught.value)


def test_only_compressions_of_bounded_memory_are_read(tmp_path):
    path = tmp_path / "own.npz"
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write_members(path, make_arrays(shape=(32, 32)), method)
        assert load_dataset(path).size == 32
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        write_members(path, make_arrays(shape=(32, 32)), method)
        with pytest.raises(DatasetError, match=r"own\.npz.*train_images.*np\.savez_compressed"):
            load_dataset(path)


def write_members(path, arrays, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for key, values in arrays.items():
            with file.open(f"{key}.npy", "w") as stream:
                np.save(stream, values)


class Zeros:
    """An array of zeros that is written without being made."""

    def __init__(self, shape, descr="|u1"):
        self.nbytes = math.prod(shape) * np.dtype(descr).itemsize
        self.header = npy_header(str({"descr": descr, "fortran_order": False, "shape": shape}))


def write_bomb(path, arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for key, values in arrays.items():
            with file.open(f"{key}.npy", "w") as stream:
                stream.write(values.header + bytes(values.nbytes))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (Zeros((6, 8, 8)), Zeros((1 << 22,)), "4,194,304 labels for 6 images"),
        (Zeros((6, 8, 8)), Zeros((6, 1 << 15)), "labels would take 1,572,864 bytes .* at most"),
        (Zeros((6, 8, 8)), Zeros((6,), "<U50000"), "labels would take 1,200,000 bytes .* at most"),
        (Zeros((1 << 14, 32, 32)), Zeros((1 << 14,)), "16,793,600 bytes, more than 250 times"),
    ],
)
def test_what_takes_too_much_is_refused_before_it_is_read(
    tmp_path, monkeypatch, images, labels, message
):
    monkeypatch.setattr(storage, "MAX_LABELS", 1 << 20)
    monkeypatch.setattr(storage, "_SMALL", 1 << 20)
    write_bomb(tmp_path / "own.npz", {"train_images": images, "train_labels": labels})
    monkeypatch.setattr(zipfile.ZipExtFile, "read", limited(zipfile.ZipExtFile.read))
    for mapped_above in (0, 1 << 30):
        monkeypatch.setattr(storage, "MMAP_ABOVE", mapped_above)
        with pytest.raises(DatasetError, match=message):
            load_dataset(tmp_path / "own.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["own.npz"]


def limited(read):
    """Return a method that reads, unless it is asked for more than a header."""

    def read_little(self, n=-1):
        if not 0 <= n <= 1 << 16:
            pytest.fail(f"{n} bytes are read")  # not an Exception, which could be caught
        return read(self, n)

    return read_little


def test_a_header_of_gigabytes_is_not_read(tmp_path, monkeypatch):
    header = b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little") + bytes(1 << 20)
    (tmp_path / "own.npz").write_bytes(archive(header))
    monkeypatch.setattr(zipfile.ZipExtFile, "read", limited(zipfile.ZipExtFile.read))
    with pytest.raises(DatasetError, match="train_images has a header that NumPy cannot read"):
        load_dataset(tmp_path / "own.npz")


def test_a_table_of_contents_is_not_read_before_its_size_is_checked(tmp_path):
    path = tmp_path / "d.npz"
    size = 64 << 20
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, size, 0, 0))
    tracemalloc.start()
    with pytest.raises(DatasetError, match=r"its table of contents has 67,108,864 bytes"):
        read_archive(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_small_sets_may_be_uniform(tmp_path):
    path = tmp_path / "own.npz"
    write_bomb(path, {"train_images": Zeros((3000, 64, 64)), "train_labels": Zeros((3000, 2))})
    assert 600 * path.stat().st_size < 3000 * 64 * 64
    assert len(load_dataset(path).train) == 3000


def test_a_file_that_changes_while_it_is_read_is_refused(write_npz, monkeypatch):
    path = write_npz()
    read = zipfile.ZipFile.open

    def overwrite(self, name, *args):
        if "test_labels" in str(name):
            os.utime(path, ns=(1, 1))
        return read(self, name, *args)

    monkeypatch.setattr(zipfile.ZipFile, "open", overwrite)
    with pytest.raises(DatasetError, match="changed while it was read"):
        load_dataset(path)


@pytest.mark.skipif(os.name != "posix", reason="needs devices and pipes")
@pytest.mark.parametrize("kind", ["zero", "pipe", "folder", "gone"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "own.npz"
    if kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    message = {"folder": "is a folder", "gone": "does not exist"}.get(kind, "device or a pipe")
    with pytest.raises(DatasetError, match=message):
        load_dataset(path)
    if kind in ("zero", "pipe"):
        other = tmp_path / "own.csv"
        path.rename(other)
        with pytest.raises(DatasetError, match="device or a pipe"):
            load_dataset(other)
        with pytest.raises(DatasetError, match="device or a pipe"):
            load_dataset(write_whole(tmp_path), split=other)


def write_whole(folder):
    np.savez(folder / "whole.npz", **make_arrays())
    return folder / "whole.npz"


@pytest.mark.parametrize(
    ("key", "split"),
    [
        ("valid_images", "val"),
        ("Test_images", "test"),
        ("training_labels", "train"),
        ("dev_Labels", "val"),
        ("test_set_images", "test"),
    ],
)
def test_splits_of_other_names_are_not_ignored(write_npz, key, split):
    arrays = make_arrays()
    message = f"the array {key} seems to be of the split {split}.*rename it to {split}_.*or remove"
    path = write_npz(
        **{key: arrays["train_images"], f"{split}_images": None, f"{split}_labels": None}
    )
    with pytest.raises(DatasetError, match=message):
        load_dataset(path)
    assert len(load_dataset(write_npz(**{key: arrays["train_images"]})).train) == 6


def test_other_arrays_are_ignored(write_npz):
    path = write_npz(extra_images=np.zeros(3), train_ids=np.arange(6), val_mask=np.ones(2))
    assert len(load_dataset(path).train) == 6
