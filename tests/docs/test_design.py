"""The page on the architecture describes the packages and files that there are."""

import re
from pathlib import Path

import medzoo

PACKAGE = Path(medzoo.__file__).parent
PAGE = PACKAGE.parent / "docs" / "design.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_file_that_the_page_names_exists():
    section = TEXT.split("## Where to change what")[1].split("\n## ")[0]
    paths = [path for path in re.findall(r"`([\w/.<>]+)`", section) if "<" not in path]
    assert len(paths) > 20
    assert [path for path in paths if not (PACKAGE / path).exists()] == []


def test_every_function_that_a_reason_names_exists():
    names = re.findall(r"`((?:images|datasets|weights|models|inference|training)\.[\w.]+)`", TEXT)
    assert len(names) >= 6
    for name in names:
        module, _, attribute = f"medzoo.{name}".rpartition(".")
        # `create_model` and others hide modules of their names, so the file is looked for.
        path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
        assert path.is_file(), f"{name}: there is no {path}"
        assert f"def {attribute}(" in path.read_text(encoding="utf-8"), name
