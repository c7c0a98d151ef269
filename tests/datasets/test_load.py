import hashlib
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medzoo.datasets import Dataset, load_dataset
from medzoo.datasets import load as store
from medzoo.datasets.info import medmnist_info
from medzoo.datasets.source import Source, data_root
from medzoo.datasets.storage import md5 as checksum
from medzoo.errors import DatasetError

from .conftest import COUNTS, make_arrays
from .own_images import write_image


@pytest.fixture
def small_breast(monkeypatch, write_npz, server):
    """A synthetic "official" BreastMNIST of 28 px, served by a web server; its root is empty."""
    path = write_npz("served.npz", shape=(28, 28))
    body = path.read_bytes()
    path.unlink()
    server.pages["/b.npz"] = (200, None, body)
    source = Source(28, "breastmnist.npz", f"{server.url}/b.npz", hashlib.md5(body).hexdigest())
    monkeypatch.setattr(store, "medmnist_source", lambda name, size: source)
    return body


def test_root_is_the_argument_else_the_environment_else_medmnists(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "env"))
    assert data_root(tmp_path / "given") == tmp_path / "given"
    assert data_root() == tmp_path / "env"
    monkeypatch.delenv("MEDZOO_DATA")
    assert data_root() == Path.home() / ".medmnist"
    monkeypatch.setattr(medmnist_info(), "DEFAULT_ROOT", None)
    with pytest.raises(DatasetError, match="MEDZOO_DATA"):
        data_root()


def test_a_missing_file_is_downloaded_once(small_breast, server, tmp_path):
    root = tmp_path / "root"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = load_dataset("breastmnist", root=root)
        load_dataset("breastmnist", root=root)
    assert server.requests == ["/b.npz"]
    assert first.official
    assert first.title == "BreastMNIST"
    assert first.provenance.note == ""
    assert first.info.classes == ("malignant", "normal, benign")
    assert [p.name for p in root.iterdir()] == ["breastmnist.npz"]


def test_without_download_a_missing_file_is_an_error(small_breast, server, tmp_path):
    with pytest.raises(DatasetError, match="does not exist; use download=True") as caught:
        load_dataset("breastmnist", root=tmp_path, download=False)
    assert f"{server.url}/b.npz" in str(caught.value)
    assert server.requests == []


def test_an_unofficial_file_is_used_with_one_warning_and_marked(write_npz, tmp_path):
    path = write_npz("breastmnist.npz", shape=(28, 28))
    with pytest.warns(UserWarning, match="not the official medmnist file") as caught:
        data = load_dataset("breastmnist", root=tmp_path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not data.official
    assert data.title == data.test.title == "BreastMNIST (partial: 4 of 156 test images)"
    assert data.provenance.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert data.provenance.file == "breastmnist.npz"
    with pytest.warns(UserWarning, match="not the official medmnist file"):
        again = load_dataset(path)  # by path, the name tells which set it is
    assert again.title == data.title
    assert again.info == data.info


def test_notes_of_known_and_unknown_files(monkeypatch, write_npz, tmp_path):
    path = write_npz("breastmnist.npz", shape=(28, 28))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(store, "known_files", lambda: {md5: "rebuilt"})
    with pytest.warns(UserWarning, match="rebuilt"):
        assert load_dataset("breastmnist", root=tmp_path).title == "BreastMNIST (rebuilt)"
    counts = {"train": 546, "val": 78, "test": 156}
    assert store._describe(counts, counts) == "unofficial file"
    fewer = {**counts, "train": 5}
    assert store._describe(fewer, counts) == "partial: 5 of 546 train images"


def test_own_file_by_path(write_npz):
    data = load_dataset(write_npz("my_images.npz", shape=(8, 8, 3), classes=3))
    assert data.title == "my_images (own data)"
    assert data.info.task == "multi-class"
    assert data.info.n_samples == {"train": 6, "val": 3, "test": 4}
    graded = load_dataset(
        str(write_npz(classes=3)), task="ordinal-regression", classes=["low", "mid", "high"]
    )
    assert graded.info.classes == ("low", "mid", "high")
    named = load_dataset(write_npz("dermamnist.npz"), classes=["no", "yes"])
    assert named.info.classes == ("no", "yes")  # own classes: not taken for medmnist's set
    with pytest.raises(DatasetError, match="8 x 8 pixels, expected 28 x 28"):
        load_dataset(write_npz(), size=28)


def test_bad_arguments():
    with pytest.raises(ValueError, match="did you mean 'dermamnist'"):
        load_dataset("dermanist")
    with pytest.raises(ValueError, match="size=32 is not available for DermaMNIST"):
        load_dataset("dermamnist", size=32)
    with pytest.raises(ValueError, match="only for your own files"):
        load_dataset("dermamnist", classes=["a", "b"])


def test_other_files_are_refused_without_advice_to_delete_them(tmp_path, monkeypatch):
    Image.new("L", (9, 9)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", tmp_path / "photo.png"):
        with pytest.raises(DatasetError, match=r"photo\.png is not a data set; give a folder"):
            load_dataset(name)


def spoil(path: Path, kind: str) -> None:
    """Damage a good file in one way."""
    whole = path.read_bytes()
    if kind == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped":
        middle = len(whole) // 4
        path.write_bytes(
            whole[:middle]
            + bytes(b ^ 255 for b in whole[middle : middle + 40])
            + whole[middle + 40 :]
        )
    elif kind == "text":
        path.write_text("<html>Too many requests</html>")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"train_images": 1}))
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "gone":
        path.unlink()
    elif kind == "short member":
        members = {}
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["val_images.npy"] = members["val_images.npy"][:-5]
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut", "damaged, truncated or not an .npz"),
        ("flipped", "damaged, truncated or not an .npz"),
        ("text", "damaged, truncated or not an .npz"),
        ("empty", "damaged, truncated or not an .npz"),
        ("pickle", "damaged, truncated or not an .npz"),
        ("folder", "is a folder"),
        ("gone", "does not exist"),
        ("short member", "val_images is truncated"),
    ],
)
def test_damaged_files_give_one_clear_error_and_nothing_new(write_npz, tmp_path, kind, message):
    path = write_npz(shape=(28, 28))
    spoil(path, kind)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(path)
    assert str(path) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"val_labels": None},
            "array val_labels is missing; expected train_images.* found test_images",
        ),
        ({"train_images": np.zeros((6, 8, 8))}, "train_images has dtype float64, expected uint8"),
        ({"train_labels": np.array([{}] * 6)}, "pickled Python objects"),
        ({"train_images": np.array([np.zeros(2), np.zeros(3)], object)}, "pickled|dtype object"),
        ({"train_labels": np.zeros(5, int)}, "own.npz: train labels: 5 labels for 6 images"),
        ({"train_images": np.zeros((6, 8, 9), np.uint8)}, "own.npz: train images: .*square"),
        ({"test_labels": np.array(list("abab"))}, "own.npz: test labels"),
    ],
)
def test_invalid_files_give_one_clear_error(write_npz, change, message):
    with pytest.raises(DatasetError, match=message):
        load_dataset(write_npz(**change))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (28, 28, 3)}, "3 channels, expected 1 for BreastMNIST"),
        ({"shape": (8, 8)}, "8 x 8 pixels, expected 28 x 28"),
        ({"shape": (28, 28), "classes": 3}, "values go from 0 to 2, expected 0 to 1"),
        ({"shape": (28, 28), "val_labels": np.zeros((3, 5), int)}, "one class index per image"),
    ],
)
def test_a_named_file_must_hold_that_set(write_npz, tmp_path, options, message):
    write_npz("breastmnist.npz", **options)
    with pytest.raises(DatasetError, match=message):
        load_dataset("breastmnist", root=tmp_path)


def test_a_fortran_ordered_file_reads_the_same(write_npz):
    arrays = make_arrays(shape=(8, 8, 3))
    plain = load_dataset(write_npz(**arrays))
    turned = load_dataset(
        write_npz("f.npz", **{k: np.asfortranarray(v) for k, v in arrays.items()})
    )
    assert torch.equal(plain.train.images, turned.train.images)


@pytest.mark.parametrize(
    ("name", "size", "title", "counts"),
    [
        ("breastmnist", 28, "BreastMNIST", [546, 78, 156]),
        ("retinamnist", 28, "RetinaMNIST", [1080, 120, 400]),
        ("pneumoniamnist", 28, "PneumoniaMNIST (official images, re-ordered)", [4708, 524, 624]),
        ("dermamnist", 28, "DermaMNIST (rebuilt)", [7007, 1003, 2005]),
        ("partial/chestmnist", 28, "ChestMNIST (2,043 of 112,120 images)", [1461, 171, 411]),
        ("partial/chestmnist", 64, "ChestMNIST, 64 px (2,043 of 112,120 images)", [1461, 171, 411]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not the official medmnist")
def test_real_files(data_root, name, size, title, counts):
    folder, _, name = name.rpartition("/")
    data = load_dataset(name, size, root=data_root / folder, download=False)
    assert data.title == title
    assert data.official == (title in ("BreastMNIST", "RetinaMNIST"))
    assert [len(split) for split in data.splits.values()] == counts
    assert data.size == size
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path, small_breast):
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checksum, "REMEMBER_FROM", 0)
    assert load_dataset("breastmnist", root=tmp_path / "root").official


@pytest.fixture
def patients(tmp_path):
    """A table of 24 images of 8 patients, who each have 3 images."""
    rows = [
        (write_image(tmp_path / f"{row}.png", row), "ab"[row // 3 % 2], f"p{row // 3}", f"s{row}")
        for row in range(24)
    ]
    path = tmp_path / "moles.csv"
    lines = [("path", "label", "patient_id", "study"), *rows]
    path.write_text("\n".join(",".join(map(str, line)) for line in lines))
    return path


def test_a_group_of_a_table_is_chosen_or_switched_off(patients):
    with pytest.raises(DatasetError, match="patient_id, study could each be the group"):
        load_dataset(patients)
    data = load_dataset(patients, group="Patient_ID")
    assert all(len(split) % 3 == 0 for split in data.splits.values())
    assert data.provenance.md5 == Dataset.from_table(patients, group="patient_id").provenance.md5
    for nothing in (False, ""):
        free = load_dataset(patients, group=nothing)
        assert free.provenance.md5 == Dataset.from_table(patients, group=False).provenance.md5


def test_a_group_of_what_is_not_a_table_is_an_error(write_npz, tmp_path, data_root):
    for name in (write_npz(), str(tmp_path), "breastmnist", tmp_path / "breastmnist.npz"):
        for group in ("patient_id", False):
            with pytest.raises(ValueError, match=r"group=.* is only for tables of images"):
                load_dataset(name, group=group)


def test_warnings_point_to_the_line_that_loads(write_npz, patients):
    one_hot = {
        f"{split}_labels": np.eye(2, dtype=np.uint8)[np.arange(count) % 2]
        for split, count in COUNTS.items()
    }
    table = patients.parent / "one_hot.csv"
    rows = [f"{row}.png,{row % 2},{1 - row % 2}" for row in range(24)]
    table.write_text("\n".join(["path,mel,nv", *rows]))
    for path in (write_npz(**one_hot), table):
        with pytest.warns(UserWarning, match="exactly one of 2 labels") as caught:
            load_dataset(path)
        assert [warning.filename for warning in caught] == [__file__]


def test_a_misspelled_split_and_what_is_no_path_are_named(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, test_images=np.zeros((2, 28, 28), np.uint8), test_labels=np.arange(2))
    with pytest.raises(ValueError, match=r"unknown split 'tset'; did you mean 'test'"):
        load_dataset(path, split="tset")
    with pytest.raises(TypeError, match=r"name is a dict, expected .*from_table"):
        load_dataset({})
