"""What is not a readable archive is one `DatasetError`, and never waits forever."""

import os
import zipfile

import numpy as np
import pytest

from medzoo.datasets import load_dataset
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


def test_compression_that_cannot_be_undone_is_one_error(tmp_path):
    path = tmp_path / "own.npz"
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as file:
            for key, values in make_arrays(shape=(32, 32)).items():
                with file.open(f"{key}.npy", "w") as stream:
                    np.save(stream, values)
        assert load_dataset(path).size == 32
        content = bytearray(path.read_bytes())
        content[300:340] = bytes(40)
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"own\.npz"):
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
