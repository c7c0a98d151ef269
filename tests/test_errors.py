"""The wording of "unknown name" errors, and where warnings point."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import medzoo
from medzoo.errors import unknown_name, warn_caller


def test_close_matches_come_first():
    error = unknown_name("model", "advancedcnn", ["simple_cnn", "advanced_cnn", "efficientnet"])
    assert isinstance(error, ValueError)
    assert str(error) == "unknown model 'advancedcnn'; did you mean 'advanced_cnn'?"


def test_case_does_not_hide_a_match():
    assert "did you mean 'dermamnist'" in str(unknown_name("dataset", "DERMAMNIST", ["dermamnist"]))


def test_without_a_match_all_are_listed():
    assert str(unknown_name("model", "x", ["b", "a"])) == "unknown model 'x'; known: a, b."
    assert str(unknown_name("model", "x", [])) == "unknown model 'x'; known: none."


@given(st.text() | st.integers() | st.none(), st.lists(st.text(min_size=1), max_size=5))
def test_any_name_can_be_reported(name, known):
    assert repr(name) in str(unknown_name("thing", name, known))


@pytest.mark.parametrize("name", ["DatasetError", "WeightsError", "TrainingError"])
def test_errors_are_the_librarys_own(name):
    error = getattr(medzoo, name)
    assert error.__mro__[1] is Exception


def test_warnings_point_outside_of_the_library_at_any_depth():
    inside: dict[str, object] = {"__name__": "medzoo.inside", "warn_caller": warn_caller}
    exec("def once(): warn_caller('careful')\ndef twice(): once()", inside)
    for function in (warn_caller, inside["once"], inside["twice"]):
        with pytest.warns(UserWarning, match="careful") as caught:
            function("careful") if function is warn_caller else function()
        assert caught[0].filename == __file__
