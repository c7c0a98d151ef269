"""Copies of files, and files that are empty or cannot be decoded."""

import shutil

import pytest

from medzoo import Dataset, DatasetError
from medzoo.images.decoding import pool
from tests.datasets.own_images import class_counts, write_folder

WHOLE = {"no": 20, "yes": 10}


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path / "moles", WHOLE)


def test_one_file_in_two_classes_is_an_error_or_left_out_with_a_warning(root):
    shutil.copy(root / "no" / "003.png", root / "yes" / "other.png")
    shutil.copy(root / "no" / "004.png", root / "no" / "more.png")
    named = (
        r"moles: 2 of 32 images have copies with other labels.*: "
        r"\S+no/003\.png \(no\) = \S+yes/other\.png \(yes\)"
    )
    with pytest.raises(DatasetError, match=f"{named}.*Keep each image in one class"):
        Dataset.from_folder(root)
    with pytest.warns(UserWarning, match=named) as told:
        data = Dataset.from_folder(root, on_error="skip")
    assert [one.filename for one in told] == [__file__]
    assert sum(map(sum, class_counts(data).values())) == 30
    assert "2 of 32 images have copies with other labels" in data.title


def test_so_is_an_image_with_other_labels_in_two_rows_of_a_table(root, tmp_path):
    files = sorted(root.rglob("*.png"))
    shutil.copy(files[0], root / "copy.png")
    rows = [f"{file},{row % 2},{row % 3 // 2}" for row, file in enumerate([*files, files[0]])]
    rows[-1] = f"{root / 'copy.png'},1,0"
    table = tmp_path / "moles.csv"
    table.write_text("\n".join(["path,mass,effusion", *rows]))
    with pytest.raises(DatasetError, match=r"000\.png \(no label\) = \S+copy\.png \(mass\)"):
        Dataset.from_table(table)


def test_empty_files_are_unreadable_and_not_copies_of_each_other(tmp_path):
    splits = ("train", "val", "test")
    root = write_folder(tmp_path / "moles", {f"{split}/{c}": 3 for split in splits for c in "ab"})
    for name in ("train/a/000.png", "test/b/001.png"):
        (root / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cannot read .*train/a/000\.png"):
        Dataset.from_folder(root)
    with pytest.warns(UserWarning, match="2 of 18 images cannot be read"):
        data = Dataset.from_folder(root, on_error="skip")
    assert class_counts(data) == {"train": [2, 3], "val": [3, 3], "test": [3, 2]}


def test_dicom_files_without_the_package_are_an_error_that_names_it(root, tmp_path, monkeypatch):
    without = tmp_path / "without"
    without.mkdir()
    (without / "pydicom.py").write_text("raise ImportError('not installed')")
    monkeypatch.syspath_prepend(without)  # a worker that starts now has the same path
    monkeypatch.setattr(pool, "_pool", pool.WorkerPool())
    (root / "no" / "scan.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(DatasetError, match=r"scan\.dcm.*pip install 'medzoo\[dicom\]'"):
        Dataset.from_folder(root)
    with pytest.warns(UserWarning, match=r"1 of 31 images .*pip install 'medzoo\[dicom\]'"):
        Dataset.from_folder(root, on_error="skip")
    pool.worker_pool().end()
