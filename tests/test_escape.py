"""Names of unknown origin in terminals, spreadsheets and Markdown."""

import csv
import io
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.escape import as_markdown_code, for_display, for_markdown, for_spreadsheet

HOSTILE = {
    "\x1b[2J\x1b]0;title\x07": r"\x1b[2J\x1b]0;title\x07",
    "\x9b31m": r"\x9b31m",  # the same in one character
    "a\rb\nc\td\x00": r"a\rb\nc\td\x00",
    "gpj.\u202egnp": r"gpj.\u202egnp",  # reads as "gpj.png" from right to left
    "a\u200bb\ufeff\u2028": r"a\u200bb\ufeff\u2028",
    "caf\udce9": r"caf\xe9",
    "\ud800": r"\ud800",
}


@pytest.mark.parametrize(("name", "shown"), HOSTILE.items())
def test_control_characters_are_shown_not_obeyed(name, shown):
    assert for_display(name) == shown


@pytest.mark.parametrize("name", ["nevi", "naïve \xa0 név", "黑色素瘤", "می\u200cشود", "C:\\a"])
def test_words_of_any_script_are_left_as_they_are(name):
    assert for_display(name) == name


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_what_is_displayed_is_one_line_that_any_terminal_may_get(name):
    shown = for_display(name)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert for_display(shown) == shown
    shown.encode()


@pytest.mark.parametrize("name", ["=1+1", "+cmd|'/c calc'!A0", "-a", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_become_text(name):
    assert for_spreadsheet(name) == f"'{name}"


@pytest.mark.parametrize("name", ["-1", "+1.5", "-.5e-3", "1", "a=b", "", "nevi", "'"])
def test_numbers_and_other_text_are_left_as_they_are(name):
    assert for_spreadsheet(name) == name


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), min_size=1))
def test_cells_are_read_back(names):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerow(map(for_spreadsheet, names))
    text.seek(0)
    (row,) = csv.reader(text)
    for cell, name in zip(row, names, strict=True):
        assert cell in (name, f"'{name}")
        assert not re.match(r"[=@\t\r]|[+-]\D", cell)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert(1)\>"),
        ("[a](javascript:b)", r"\[a\](javascript:b)"),
        ("![a](b)", r"!\[a\](b)"),
        ("a|b", r"a\|b"),
        ("`code` **bold** _it_ ~~x~~", r"\`code\` \*\*bold\*\* \_it\_ \~\~x\~\~"),
        ("a\n\n# b\n---", "a # b ---"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("&lt; $x$ \\", r"\&lt; \$x\$ " + "\\\\"),
        ("basal-cell carcinoma (rebuilt), 1.5 mm", "basal-cell carcinoma (rebuilt), 1.5 mm"),
        ("advanced_cnn", "advanced_cnn"),
    ],
)
def test_markdown_shows_names_literally(name, written):
    assert for_markdown(name) == written


@pytest.mark.parametrize(
    ("name", "written"),
    [("a.npz", "`a.npz`"), ("a`b", "``a`b``"), ("`a``", "``` `a`` ```"), ("a\nb", "`a b`")],
)
def test_code_contains_any_name(name, written):
    assert as_markdown_code(name) == written
