"""The files of the cases about many and about large files."""

from pathlib import Path

import pytest
from PIL import Image

import medzoo
from benchmarks.speed_cases.end_to_end.breastmnist import write_folders
from benchmarks.speed_cases.measurement import Setting
from benchmarks.speed_cases.scale import large_jpegs, many_files
from benchmarks.timing.process import peak_gb, run_python


@pytest.fixture
def setting(monkeypatch):
    data = medzoo.synthetic("dermamnist", n_train=7, n_val=7, n_test=7)
    setting = Setting(Path())
    monkeypatch.setitem(vars(setting), "data", data)
    return setting


def test_many_files_share_a_few_contents(setting, tmp_path):
    many_files.write_files(setting, tmp_path / "many", 1_010)
    files = sorted((tmp_path / "many").rglob("*.png"))
    assert len(files) == 1_010
    assert {file.parent.name for file in files} == {"000", "001"}
    assert len({file.stat().st_ino for file in files}) == 7


def test_large_jpegs_are_as_detailed_as_photographs(setting, tmp_path):
    large_jpegs.write_jpegs(setting, tmp_path, 1)
    (path,) = tmp_path.iterdir()
    assert Image.open(path).size == (1000, 1000)
    assert path.stat().st_size > 150_000


def test_folders_have_a_folder_per_split_and_class(tmp_path):
    data = medzoo.synthetic("breastmnist", n_train=4, n_val=4, n_test=4)
    write_folders(data, tmp_path)
    counts = {
        str(one.relative_to(tmp_path)): len(list(one.iterdir())) for one in tmp_path.glob("*/*")
    }
    assert counts == {
        f"{split}/{label}": 2 for split in ("train", "valid", "test") for label in "01"
    }


def test_peak_memory_is_that_of_the_process_alone():
    own = bytearray(b"1" * 300_000_000)
    assert peak_gb() > 0.28
    code = "from benchmarks.timing.process import peak_gb; print(peak_gb())"
    assert float(run_python("-c", code)) < 0.1
    assert len(own) == 300_000_000
