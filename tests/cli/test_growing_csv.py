"""CSV files that are written in parts, and gone on with after a crash at any place."""

import csv
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.cli.output.growing_csv import GrowingCsv
from medzoo.errors import DatasetError, WriteError

HEADER = ["path", "nevus", "error"]
cell = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["a\nb", 'say "x"', "\udce4.png", "\r", ","]
)
rows = st.lists(st.tuples(cell, st.floats(0, 1), cell), max_size=4, unique_by=lambda row: row[0])


def read(path):
    with path.open(newline="", errors="surrogateescape", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("csv") / "table.csv"


@settings(max_examples=60, deadline=None)
@given(rows=rows, cut=st.floats(0, 1))
def test_a_file_that_was_cut_anywhere_is_completed(path, rows, cut):
    path.unlink(missing_ok=True)
    table = GrowingCsv(path, HEADER)
    table.add(rows[:2], "rows")
    table.add(rows[2:], "rows")
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    path.write_bytes(whole[: start + round(cut * (len(whole) - start))])
    resumed = GrowingCsv(path, HEADER, resume=True)
    assert resumed.first_cells <= {row[0] for row in rows}
    missing = [row for row in rows if row[0] not in resumed.first_cells]
    resumed.add(missing, "rows")
    assert path.read_bytes() == whole
    assert read(path)[0] == HEADER


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=80))
def test_other_files_are_refused_and_left_alone(path, content):
    path.write_bytes(content)
    if content:
        with pytest.raises(DatasetError, match="choose another file"):
            GrowingCsv(path, HEADER, resume=True)
    assert path.read_bytes() == content


def test_a_table_of_another_model_is_refused(tmp_path):
    GrowingCsv(tmp_path / "a.csv", HEADER).add([("a", 1, "")], "rows")
    with pytest.raises(DatasetError, match="this model's columns, path, melanoma, error"):
        GrowingCsv(tmp_path / "a.csv", ["path", "melanoma", "error"], resume=True)


def test_rows_in_the_middle_that_do_not_fit_are_not_thrown_away(tmp_path):
    path = tmp_path / "a.csv"
    GrowingCsv(path, HEADER).add([("a", 1, ""), ("b", 1)] + [("c", 1, "")] * 30, "rows")
    with pytest.raises(DatasetError, match="not all of its rows"):
        GrowingCsv(path, HEADER, resume=True)


def test_what_was_there_is_replaced_only_when_there_are_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    table = GrowingCsv(path, HEADER)
    assert path.read_text() == "old"
    table.add([], "rows")
    assert read(path) == [HEADER]
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    path.mkdir()
    with pytest.raises(WriteError, match="cannot write the rows"):
        table.add([("a", 1, "")], "the rows")
    assert mode & stat.S_IRUSR
