"""The examples of docstrings give what they show."""

import doctest
import importlib
import pkgutil
import warnings

import pytest

import medzoo

pytestmark = pytest.mark.slow
SHOWN = {
    found.name
    for found in pkgutil.walk_packages(medzoo.__path__, "medzoo.")
    if (spec := found.module_finder.find_spec(found.name, None))
    and ">>> " in spec.loader.get_source(found.name)
}


def test_there_are_examples():
    assert len(SHOWN) > 30


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_examples_of_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = doctest.testmod(importlib.import_module(name), report=False)
    assert found.failed == 0
