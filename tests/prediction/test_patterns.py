"""Paths with the characters of patterns, where files and folders have them in their names."""

import re
from glob import escape

import pytest

from medzoo.prediction import predict
from medzoo.prediction.patterns import match_files
from medzoo.prediction.sources import find_sources


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Change to an empty folder, and return what writes files in it."""
    monkeypatch.chdir(tmp_path)

    def write(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return write


@pytest.mark.parametrize(
    ("names", "path", "expected"),
    [
        (["s[1]/a.png", "s1/b.png"], "s[1]/*.png", ["s[1]/a.png"]),
        (["s[1]/a.png", "s1/b.png"], "./s[1]/?.png", ["./s[1]/a.png"]),
        (["s1/b.png", "s2/b.png"], "s[1]/*.png", ["s1/b.png"]),
        (["s[1]/a.png"], "s[[]1]/*.png", ["s[1]/a.png"]),
        (["a[1]x.png"], "a[1]*.png", ["a[1]x.png"]),
        (["a1x.png"], "a[1]*.png", ["a1x.png"]),
        (["s[1]/a[2]/c.png"], "s[1]/a[2]*/c.png", ["s[1]/a[2]/c.png"]),
        (["a*.png", "ab.png"], "a[*].png", ["a*.png"]),
        (["a.png"], "b*.png", []),
        (["s*/a.png"], "s*/*.png", ["s*/a.png"]),
        # The path of one file:
        (["a.png"], "a.png", None),
        (["a[1].png", "a1.png"], "a[1].png", None),
        (["a1.png"], "a[1].png", None),
        (["q[3].png", "q3.png"], escape("q[3].png"), ["q[3].png"]),
        (["s[1]/a.png", "s1/a.png"], "s[1]/a.png", None),
        (["s1/a.png"], "s[1]/a.png", None),
        (["a*.png", "b.png"], "a*.png", None),
        (["s*/a.png", "t/a.png"], "s*/a.png", None),
        ([], "a\0*.png", None),
    ],
)
def test_brackets_are_names_first(names, path, expected, write):
    write(*names)
    assert match_files(path) == expected


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (["a[1]x.png", "a1y.png"], "a[1]*.png"),
        (["a*.png", "ab.png"], "a*.png"),
        (["s*/a.png", "s1/a.png"], "s*/a.png"),
        (["s*/a.png", "s1/b.png"], "s*/*.png"),
        (["s*/a.png", "s1.png"], "s*"),
    ],
)
def test_files_that_fit_in_two_ways_are_one_error(names, path, write):
    write(*names)
    with pytest.raises(ValueError, match=rf"^{re.escape(repr(path))} has two readings: .*glob"):
        find_sources(path, 1)


def test_brackets_alone_name_the_file_that_is_missing(write, model):
    write("scan1.png")
    with pytest.raises(FileNotFoundError, match=r"'scan\[1\]\.png' does not exist.*with \* or \?"):
        predict(model, "scan[1].png")
