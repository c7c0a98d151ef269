"""Names that mean the same, or that a value is missing."""

from decimal import Decimal

import pytest

from medzoo.datasets.names.spelling import fold, is_missing, number_of


def test_what_people_do_not_see_is_folded():
    same = ["Me\u0301lanome ", "m\u00e9lanome", "\u00a0M\u00c9LANOME", "ME\u0301LANOME"]
    assert {fold(name) for name in same} == {"m\u00e9lanome"}
    assert fold("ne vus") != fold("nevus")


@pytest.mark.parametrize(
    ("name", "number"),
    [("10", 10), ("-1", -1), ("+0.50", Decimal("0.5")), (" 7 ", 7), ("007.0", 7), (".5", 0.5)],
)
def test_numbers_have_an_exact_value(name, number):
    assert number_of(name) == number
    assert number_of("12345678901234567890") != number_of("12345678901234567891")


@pytest.mark.parametrize("name", ["", "a1", "1e3", "1,5", "nan", "inf", "1 2", "-", "."])
def test_other_names_are_not_numbers(name):
    assert number_of(name) is None


@pytest.mark.parametrize("name", ["", " ", "NaN", "n/a", "<NA>", "NULL", "NaT"])
def test_missing_values(name):
    assert is_missing(name)


@pytest.mark.parametrize("name", ["None", "none", "0", "-1", "normal", "nano", "unknown"])
def test_names_that_can_be_classes(name):
    assert not is_missing(name)
