"""Numbers that callers give: whole ones, of any library, within their limits."""

import math

import numpy as np
import pytest
import torch

from medzoo.spec.checks import as_number, as_whole


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
