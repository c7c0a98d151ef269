"""Arguments that are not what they should be: one error that names them, nothing guessed."""

import os
from pathlib import Path

import numpy as np
import pytest

from medzoo import Dataset, DatasetError, load_dataset
from medzoo.datasets import resplit
from medzoo.datasets.resplit import read_groups
from tests.datasets.own_images import write_folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("arguments") / "moles", {"no": 9, "yes": 9})
    rows = [f"{file.relative_to(root)},{file.parent.name}" for file in root.rglob("*.png")]
    (root / "labels.csv").write_text("\n".join(["path,label", *rows]))
    return root


def from_table(folder, **options):
    return Dataset.from_table(folder / "labels.csv", **options)


def test_an_empty_name_is_not_the_current_folder(root, monkeypatch):
    monkeypatch.chdir(root)
    for load in (load_dataset, Dataset.from_folder, Dataset.from_table):
        with pytest.raises(ValueError, match=r"is empty, expected a path .*folder is '\.'"):
            load("")
    with pytest.raises(ValueError, match="root is empty"):
        load_dataset("breastmnist", root="")
    with pytest.raises(ValueError, match="root is empty"):
        from_table(root, root="")
    assert len(load_dataset(".").train) > 0
    assert len(load_dataset(Path()).train) > 0


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~nosuchuser/x", r"'~nosuchuser' is not known; write the complete path"),
        ("a" * 5000, r"aaa: File name too long; check the path"),
    ],
)
def test_a_path_that_cannot_be_looked_up_is_named(root, path, message, monkeypatch):
    for name, load in (
        ("name", load_dataset),
        ("path", Dataset.from_folder),
        ("table", Dataset.from_table),
        ("root", lambda path: load_dataset("breastmnist", root=path)),
        ("split", lambda path: resplit(load_dataset(root), path)),
        ("path", lambda path: read_groups(path, {"train": 1, "val": 1, "test": 1}, "lesion_id")),
    ):
        with pytest.raises(DatasetError, match=rf"^{name}=.*{message}$"):
            load(path)
    monkeypatch.setenv("MEDZOO_DATA", path)
    with pytest.raises(DatasetError, match=rf"^MEDZOO_DATA=.*{message}$"):
        load_dataset("breastmnist")


@pytest.mark.parametrize(
    "load",
    [
        lambda root: load_dataset(3),
        lambda root: load_dataset(b"moles"),
        lambda root: load_dataset("breastmnist", root=3),
        lambda root: Dataset.from_folder(None),
        lambda root: Dataset.from_folder(root, seed="a"),
        lambda root: Dataset.from_folder(root, seed=1.5),
        lambda root: Dataset.from_folder(root, fractions=None),
        lambda root: Dataset.from_folder(root, fractions="abc"),
        lambda root: Dataset.from_folder(root, classes=3),
        lambda root: from_table(root, classes="no"),
        lambda root: from_table(root, root=3),
        lambda root: from_table(root, root=[3]),
        lambda root: from_table(root, image=3),
        lambda root: from_table(root, label=3),
        lambda root: from_table(root, split=3),
        lambda root: from_table(root, group=3),
    ],
)
def test_a_wrong_type_is_named(root, load):
    with pytest.raises(TypeError, match=r"expected|must be|is a|give"):
        load(root)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda root: Dataset.from_folder(root, seed=-1), "seed=-1 must not be negative"),
        (lambda root: Dataset.from_folder(root, fractions=(0.5, 0.5, np.nan)), "fractions="),
        (lambda root: from_table(root, label=[]), r"label=\[\] must name at least one column"),
    ],
)
def test_a_wrong_value_is_named(root, load, message):
    with pytest.raises(ValueError, match=message):
        load(root)


def test_misspelled_options_are_named_with_close_matches(root):
    pytest.importorskip("datasets")
    for load, options, close in (
        (Dataset.from_folder, {"sise": 32}, "unknown option 'sise'; did you mean 'size'"),
        (from_table, {"lable": "label"}, "unknown option 'lable'; did you mean .*'label'"),
        (Dataset.from_huggingface, {"grop": "id"}, "unknown option 'grop'; did you mean 'group'"),
    ):
        with pytest.raises(TypeError, match=close):
            load(root, **options)


def test_paths_that_cannot_be_looked_up_are_one_error(tmp_path):
    for name in ("x" * 5000, str(tmp_path / ("x" * 300)) + ".npz"):
        with pytest.raises(DatasetError, match=r"name=.*File name too long; check the path"):
            load_dataset(name)
    with pytest.raises(DatasetError, match=r"root=.*File name too long"):
        load_dataset("breastmnist", root="x" * 300, download=False)


def test_images_that_cannot_fit_into_memory_are_refused_before_they_are_read(root):
    with pytest.raises(DatasetError, match=r"18 images of 1000000 x 1000000 pixels take 18,000"):
        Dataset.from_folder(root, size=10**6)


def test_sparse_files_of_any_size_are_not_read(root, tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "sparse", {"no": 9, "yes": 9})
    file = folder / "no" / "000.png"
    os.truncate(file, 1 << 20)
    monkeypatch.setattr("medzoo.datasets.readers.read._MAX_BYTES", 1 << 16)
    monkeypatch.setattr("medzoo.datasets.readers.read._CHUNK", 1 << 12)
    from medzoo.datasets.readers.read import _digest

    assert _digest(file) == str(file)
    assert len(_digest(folder / "no" / "001.png")) == 32


def test_tables_of_any_size_are_refused(root, monkeypatch):
    monkeypatch.setattr("medzoo.datasets.readers.text_table.MAX_SIZE", 100)
    with pytest.raises(DatasetError, match=r"labels\.csv .* more than 100 bytes"):
        from_table(root)
