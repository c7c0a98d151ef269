"""The wording of "unknown name" errors, where warnings point, and checks of numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import medzoo
from medzoo.errors import as_number, as_whole, unknown_name, warn_caller


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


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers_of_any_library(value):
    found = as_whole("count", value, 1, 3)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", ["3", None, 3.0, True, np.bool_(1), [3], np.array([3]), 10.5])
def test_what_is_not_a_whole_number_is_named(value):
    with pytest.raises(TypeError, match=r"^count=.* must be a whole number of at least 1$"):
        as_whole("count", value, 1)


def test_whole_numbers_have_limits():
    for value in (0, np.int64(-3)):
        with pytest.raises(ValueError, match=r"^count=.* at least 1 and at most 2,000$"):
            as_whole("count", value, 1, 2000)
    with pytest.raises(ValueError, match="at most 2,000"):
        as_whole("count", 2001, 1, 2000)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5)])
def test_numbers_of_any_library(value):
    found = as_number("share", value, "a number")
    assert (found, type(found)) == (0.5, float)


@pytest.mark.parametrize("value", ["0.5", None, True, [0.5], np.array([0.1, 0.2]), 1j])
def test_what_is_not_a_number_is_named(value):
    with pytest.raises(TypeError, match=r"^share=.* must be a number from 0 to 1$"):
        as_number("share", value, "a number from 0 to 1")


def test_an_integer_that_no_float_holds_is_infinite():
    assert as_number("share", 10**400, "a number") == math.inf
    assert as_number("share", -(10**400), "a number") == -math.inf
