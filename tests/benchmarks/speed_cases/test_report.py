"""The speed table, and what was recorded."""

import pytest

from benchmarks.speed_cases import report
from tests.benchmarks.speed_cases.rows import row

pytest.importorskip("onnxruntime", reason="needs medzoo[bench]")

from benchmarks.speed import CASES


def test_table_shows_limits_of_missed_targets_only_and_once():
    text = report.table(
        [
            row(work="good", target=2, limit="never shown"),
            row(work="first", target=4, limit="bound by sums"),
            row(work="second", target=5, limit="bound by sums"),
        ]
    )
    assert "| good | 30 images/s | 10 peer | **3x**," in text
    assert "at least 4x | **no** |" in text
    assert "never shown" not in text
    assert text.count("bound by sums") == 1
    assert "*first.* bound by sums" in text


def test_recorded_rows_belong_to_the_cases_and_name_the_machine():
    recorded = report.read()
    assert set(recorded["works"]) <= set(CASES)
    assert report.measurements(*CASES)
    assert str(recorded["machine"]["cores"]) in report.where(recorded["machine"])
