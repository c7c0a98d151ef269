"""Damaged data files: archives, their arrays, tables, splits; each must be read or refused."""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import medzoo
from medzoo.datasets import resplit
from medzoo.datasets.storage import archive
from tests.datasets.own_images import write_image
from tests.fuzz.readers import Case

_METHODS = (
    *(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED),
    *(zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA),
)
_TEXTS = (
    *(
        b",",
        b";",
        b"\t",
        b'"',
        b"'",
        b"\n",
        b"\r",
        b"\0",
        b"|",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xe9",
    ),
    *(
        b"",
        b"nan",
        b"-1",
        b"2",
        b"train",
        b"label",
        b"path",
        b"..",
        b"/dev/zero",
        b"\xf0\x9f\xa9\xba",
    ),
    *(b"9" * 30, b"1e999", "\u2028".encode(), b"x" * 200_000, b'"' * 7, b"group", b"index"),
)
_DTYPES = (
    *("?", "i1", "u1", "<i2", ">i4", "<i8", "<u8", "<f2", "<f4", ">f8", "<c8", "<M8[s]", "<m8[D]"),
    *("S3", "<U4", "V2", "<U0", [("a", "u1")], "<f16"),
)
_SHAPES = (
    (6,),
    (6, 1),
    (6, 2),
    (6, 3),
    (),
    (0,),
    (1,),
    (5,),
    (7,),
    (2, 3),
    (6, 1, 1),
    (6, 0),
    (3, 6),
)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return some bytes after a few changes: flipped, cut, removed, repeated or moved."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        start, stop = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        short = slice(start, min(stop, start + 12))
        way = rng.integers(6)
        if way < 3:
            data[short] = rng.bytes(short.stop - short.start)
        elif way == 3:
            del data[short]
        elif way == 4:
            data[start:start] = data[short]
        else:
            del data[stop:]
    return bytes(data)


def _npz(arrays: dict[str, np.ndarray], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for key, values in arrays.items():
            content = io.BytesIO()
            np.save(content, values)
            file.writestr(f"{key}.npy", content.getvalue())
    return buffer.getvalue()


def _arrays() -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.arange(384, dtype=np.uint8).reshape(6, 8, 8)
        arrays[f"{split}_labels"] = np.arange(6)[:, None] % 2
    return arrays


def damaged_archive(number: int) -> bytes:
    """Return an archive with damage anywhere; the same number always gives the same one."""
    rng = np.random.default_rng([3, number])
    return damaged(_npz(_arrays(), int(rng.choice(_METHODS))), rng)


def odd_arrays(number: int) -> bytes:
    """Return an archive in which one array has an odd type, shape or values."""
    rng = np.random.default_rng([4, number])
    arrays = _arrays()
    shape = _SHAPES[rng.integers(len(_SHAPES))]
    dtype: Any = np.dtype(_DTYPES[rng.integers(len(_DTYPES))])
    raw = rng.bytes(int(np.prod(shape)) * dtype.itemsize)
    small = rng.integers(*((-1, 3) if rng.random() < 0.3 else (0, 2)), shape)
    plain = rng.random() < 0.5 and dtype.kind in "biufSU"
    values = small.astype(dtype) if plain else np.frombuffer(raw, np.uint8)
    if not plain and dtype.itemsize and raw:
        values = values.view(dtype).reshape(shape)
    key = str(rng.choice(["train_labels", "test_labels", "val_images"]))
    arrays[key] = np.asfortranarray(values) if rng.random() < 0.3 else values
    if rng.random() < 0.3:
        del arrays[str(rng.choice(list(arrays)))]
    return _npz(arrays)


def damaged_text(number: int, text: bytes) -> bytes:
    """Return a table with damage anywhere, or in another encoding."""
    rng = np.random.default_rng([5, number])
    encoding = str(rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"]))
    data = bytearray(text.decode().encode(encoding))
    for _ in range(rng.integers(4)):
        place, stop = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        data[place : min(stop, place + int(rng.integers(12)))] = _TEXTS[rng.integers(len(_TEXTS))]
    return damaged(bytes(data), rng) if rng.random() < 0.3 else bytes(data)


def cases() -> dict[str, Case]:
    """Return all kinds of files by name."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names = [write_image(folder / f"{number}.png", number).name for number in range(12)]
    rows = [f"{name},{'ab'[k % 2]},{k % 2},p{k // 2}" for k, name in enumerate(names)]
    table = "\n".join(["path,label,mass,patient_id", *rows]).encode()
    data = medzoo.synthetic("breastmnist", n_train=6, n_val=4, n_test=4)
    places = [(name, k) for name, split in data.splits.items() for k in range(len(split))]
    split = "\n".join(["split,index,new_split", *(f"{s},{k},{s}" for s, k in places)]).encode()

    def read_mapped(path: Path) -> object:
        for old in path.parent.glob("*.arrays-*"):
            shutil.rmtree(old)
        with patch.object(archive, "MMAP_ABOVE", 0):
            return medzoo.load_dataset(path)

    def read_table(path: Path) -> object:
        return medzoo.Dataset.from_table(path, root=folder)

    refusal = (medzoo.DatasetError,)
    return {
        "archive": Case(damaged_archive, medzoo.load_dataset, refusal, ".npz"),
        "mapped archive": Case(damaged_archive, read_mapped, refusal, ".npz"),
        "arrays": Case(odd_arrays, medzoo.load_dataset, refusal, ".npz"),
        "table": Case(lambda n: damaged_text(n, table), read_table, refusal, ".csv"),
        "split": Case(
            lambda n: damaged_text(n, split), lambda path: resplit(data, path), refusal, ".csv"
        ),
    }
