"""Fixtures for tables: a folder of images, and a function that writes a table beside them."""

import csv

import pytest

from tests.datasets.own_images import write_image

FILES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of the images 0.png to 11.png, 6 x 6 pixels each."""
    path = tmp_path_factory.mktemp("images")
    for number in range(FILES):
        write_image(path / f"{number}.png", number, size=(6, 6))
    return path


@pytest.fixture
def write(folder, tmp_path):
    """A function that writes a table beside the images; columns are lists of 12 values."""

    def table(name="moles.csv", encoding="utf-8", delimiter=",", **columns):
        if not {"path", "Path", "image_id"} & columns.keys():
            columns = {"path": [folder / f"{number}.png" for number in range(FILES)]} | columns
        path = tmp_path / name
        with path.open("w", newline="", encoding=encoding) as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return table
