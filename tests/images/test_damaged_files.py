"""Damaged files of every format: each is read or refused, and nothing else happens.

``python -m tests.fuzz --kind images`` does the same with many more, and limits time and memory.
"""

import time
from collections import Counter

import numpy as np
import pytest

from medzoo.errors import DatasetError
from medzoo.images.file import read_image
from tests.fuzz.corrupt import HEIGHT, WIDTH, damaged, whole_files

COUNT = 400
SECONDS = 10  # of the processor

# What decoders say of damage to people is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def files():
    return whole_files()


def test_whole_files_of_every_format_are_read(files, tmp_path):
    missing = {"JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "DICOM"} - set(
        files
    )
    assert not missing
    for name in sorted(set(files) - {"ICO"}):  # icons are made smaller when they are saved
        for content in files[name]:
            (tmp_path / "image").write_bytes(content)
            found = read_image(tmp_path / "image")
            assert sorted(found.shape[:2]) == [HEIGHT, WIDTH], name
            assert found.std() > 10, name


def test_damaged_files_are_read_or_refused(files, tmp_path):
    path = tmp_path / "image"
    became = Counter()
    for index in range(COUNT):
        name, way, content = damaged(index, files)
        path.write_bytes(content)
        began = time.process_time()
        try:
            found = read_image(path)
        except DatasetError:
            became["refused"] += 1
        else:
            assert found.dtype == np.uint8, (name, way, index)
            assert found.shape[2:] in ((), (3,)), (name, way, index)
            became["read"] += 1
        assert time.process_time() - began < SECONDS, (name, way, index)
    assert became["read"] > COUNT / 20
    assert became["refused"] > COUNT / 4


def test_the_same_number_gives_the_same_damage(files):
    assert [damaged(i, files) for i in range(40)] == [damaged(i, files) for i in range(40)]
