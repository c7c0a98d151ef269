"""What is found in folders besides images."""

import errno
import os

import pytest

from medzoo.images.discover import describe_left_out, find_images, kind_of_file
from tests.datasets.own_images import write_image


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.HEIC", b"heic", "HEIC images"),
        ("a.nii", b"nifti", "volumes"),
        ("a.nii.gz", b"nifti", "volumes"),
        ("a.npy", b"numpy", "NumPy files"),
        ("a.mp4", b"video", "videos"),
        ("a.svs", b"slide", "microscope slides"),
        ("a.zip", b"PK", "archives"),
        ("IM000001", b"\x08\0\x05\0CS", "DICOM files without a preamble"),
        ("notes.txt", b"text", "other files"),
        ("empty", b"", "other files"),
    ],
)
def test_the_kind_of_a_file_is_found_by_its_name_or_first_bytes(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    found = kind_of_file(tmp_path / name)
    assert found.name == kind
    assert kind == "other files" or found.advice


def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    images, left_out = find_images(tmp_path)
    assert images == []
    assert describe_left_out(left_out, tmp_path) == ("pipes, sockets or devices (1, e.g. pipe.png)")


def test_folders_and_files_that_cannot_be_opened_are_named(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", 0)
    write_image(tmp_path / "closed" / "b.png", 1)
    (tmp_path / "secret").write_text("who may read it?")
    scandir, open_file = os.scandir, type(tmp_path).open

    def refuse_scandir(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return scandir(path)

    def refuse_open(path, *args, **options):
        if path.name == "secret":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *args, **options)

    monkeypatch.setattr(os, "scandir", refuse_scandir)
    monkeypatch.setattr(type(tmp_path), "open", refuse_open)
    images, left_out = find_images(tmp_path)
    assert images == [tmp_path / "a.png"]
    text = describe_left_out(left_out, tmp_path)
    assert "folders that cannot be opened (1, e.g. closed): check their permissions" in text
    assert "files that cannot be opened (1, e.g. secret): check their permissions" in text


def test_what_is_excluded_or_belongs_to_the_system_is_not_mentioned(tmp_path):
    for name in ("a.png", "masks/b.png", "@eaDir/a.png", ".hidden/c.png"):
        write_image(tmp_path / name, 0)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "masks/notes.txt"):
        (tmp_path / name).write_bytes(b"no image")
    assert find_images(tmp_path, lambda path: path.name == "masks") == ([tmp_path / "a.png"], {})
