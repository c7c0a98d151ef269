"""HTML tables for the documentation."""

import pytest

from benchmarks.reporting.html import html_table


def test_text_is_escaped_everywhere():
    hostile = """<b> & "quote" | 'bar'"""
    table = html_table([hostile], [([hostile], [(hostile, hostile)])], [hostile])
    assert "<b>" not in table
    shown = "&lt;b&gt; &amp; &quot;quote&quot; | &#x27;bar&#x27;"
    assert f"<th>{shown}</th>" in table
    assert f"<td>{shown}<br><small>{shown}</small></td>" in table
    assert f'data-filter="{shown.replace("|", "/")}"' in table  # bars separate values


def test_code_breaks_only_at_dots():
    table = html_table(["Name"], [([], ["`simple_cnn.breastmnist`"])], [])
    assert "<code>simple_cnn.<wbr>breastmnist</code>" in table


@pytest.mark.parametrize("row", [([], ["one"]), (["x"], ["one"]), (["x"], ["one", "two", "three"])])
def test_rows_of_another_length_are_an_error(row):
    with pytest.raises(ValueError, match="expected 1 values and 2 cells"):
        html_table(["A", "B"], [row], ["F"])
