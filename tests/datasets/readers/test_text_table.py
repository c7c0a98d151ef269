import os
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medzoo import Dataset, DatasetError, load_dataset

from .conftest import FILES

LABELS = ["mole", "melanoma"] * 6


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_the_delimiter_is_recognised(write, delimiter):
    expected = load_dataset(write(label=LABELS))
    columns = {"label": LABELS, "confidence": ["0,5"] * FILES}
    data = load_dataset(write(delimiter=delimiter, **columns))
    assert data.provenance.md5 == expected.provenance.md5
    tsv = load_dataset(write("skin.moles.tsv", delimiter=delimiter, **columns))
    assert tsv.info.name == "skin.moles"
    assert tsv.title == "skin.moles (own data; split with seed 0)"


def test_a_delimiter_in_a_quoted_name_of_a_column_is_none(write):
    table = write(delimiter=";", label=LABELS, **{"size[x,y]": ["1,2"] * FILES})
    table.write_text(table.read_text().replace("size[x,y]", '"size[x,y]"'))
    assert Dataset.from_table(table).info.classes == ("melanoma", "mole")


def test_two_readings_of_the_columns_are_an_error_and_the_delimiter_decides(write):
    columns = {"label;grade": [f"{label};1" for label in LABELS]}
    table = write(**columns)
    with pytest.raises(DatasetError, match=r"separated by commas or semicolons; .*delimiter=','"):
        load_dataset(table)
    data = Dataset.from_table(table, delimiter=",", label="label;grade")
    assert data.info.classes == ("melanoma;1", "mole;1")
    with pytest.raises(DatasetError, match=r"no column of images.*found path,label, grade"):
        Dataset.from_table(table, delimiter=";")


def test_any_character_can_be_the_delimiter(write):
    for delimiter in "| ":
        table = write(delimiter=delimiter, label=LABELS)
        data = Dataset.from_table(table, delimiter=delimiter)
        assert data.info.classes == ("melanoma", "mole")


@pytest.mark.parametrize(
    ("delimiter", "error"),
    [(";;", ValueError), ("\n", ValueError), ("", ValueError), (3, TypeError)],
)
def test_delimiters_that_are_not_one_character(write, delimiter, error):
    with pytest.raises(error, match=r"delimiter=.* must be"):
        Dataset.from_table(write(label=LABELS), delimiter=delimiter)


def test_quotes_may_follow_a_blank(write, folder):
    lines = [f'"{folder}/{row}.png", "{label}, flat"' for row, label in enumerate(LABELS)]
    table = write(label=LABELS)
    table.write_text("\n".join(['"path", "label"', *lines]))
    assert Dataset.from_table(table).info.classes == ("melanoma, flat", "mole, flat")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_not_part_of_a_name(write, encoding):
    labels = ["Nävus", "Melanom"] * 6
    assert load_dataset(write(label=labels, encoding=encoding)).info.classes == ("Melanom", "Nävus")


def test_columns_without_a_name_and_rows_without_values_are_ignored(write):
    table = write(mel=[0, 1] * 6, nv=[1, 1, 0] * 4)
    lines = table.read_text().splitlines()
    lines = [f"{number or ''},{line}," for number, line in enumerate(lines)]
    table.write_text("\n".join([*lines, ",,,,", ""]))
    assert Dataset.from_table(table).info.classes == ("mel", "nv")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("path,label,note\na.png,x,ok\nb.png,,ok\n", 3),
        ("\n\npath,label,note\n\na.png,x,ok\n\nb.png,,ok\n", 7),
        ('path,label,note\na.png,x,"two\nlines"\nb.png,,"three\n\nlines"\n', 4),
        ('path,label,note\r\na.png,x,"two\r\nlines"\r\nb.png,,ok\r\n', 4),
        ("path,label,note\ra.png,x,ok\rb.png,,ok\r", 3),
        ("path,label,note\na.png,x,ok\u2028\x0c\x85\nb.png,,ok\n", 3),
    ],
)
def test_errors_name_the_line_that_an_editor_shows(tmp_path, text, line):
    table = tmp_path / "moles.csv"
    table.write_bytes(text.encode())
    with pytest.raises(DatasetError, match=f"line {line}: label is empty"):
        load_dataset(table)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,label\na.png,x\nb\0.png,x\n", "line 3: it contains a NUL byte"),
        ("path,label\na.png,x\n".encode("utf-16-le"), "line 1: it contains a NUL byte.*UTF-8"),
        ("path,label\na.png,é\n".encode("latin-1"), "line 2: .*save the table as UTF-8"),
        ("path,label\na.png,x\n".encode("utf-16") + b"\0", "line 3: .*truncated"),
        (b'path,label\na.png,x\n"b.png,x\n\n', "line 3: unexpected end of data"),
        (b"path,label\na.png," + b"x" * 200_000, "line 2: field larger than"),
        (b",\t\n", "it has no rows|could be separated"),
    ],
)
def test_files_that_are_not_text_give_one_clear_error(tmp_path, content, message):
    table = tmp_path / "moles.csv"
    table.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        load_dataset(table)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["path,label\n", "path;label,x\n", ""]),
    st.binary(max_size=40) | st.text('a.,;|"\t\n\r\0/\\', max_size=40).map(str.encode),
)
def test_no_content_gives_another_error(tmp_path, header, content):
    table = tmp_path / "moles.csv"
    table.write_bytes(header.encode() + content)
    with pytest.raises(DatasetError):
        load_dataset(table)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv"):
        with pytest.raises(DatasetError, match=r"device or a pipe|directory"):
            Dataset.from_table(path)


@pytest.mark.parametrize(
    "columns",
    [
        {"label": LABELS},
        {"label": [0, 1, 2] * 4, "split": ["train"] * 6 + ["val"] * 3 + ["test"] * 3},
        {"label": pd.Categorical(LABELS), "patient": [f"p{row // 2}" for row in range(FILES)]},
        {"mel": [0.0, 1.0] * 6, "nv": [1, 0, 0] * 4, "bcc": [True, False] * 6},
    ],
)
def test_a_frame_is_read_like_its_csv_file(folder, tmp_path, columns):
    paths = [folder / f"{row}.png" for row in range(FILES)]
    frame = pd.DataFrame({"path": paths, **columns})
    frame.to_csv(tmp_path / "moles.csv")
    data = Dataset.from_table(frame)
    expected = Dataset.from_table(tmp_path / "moles.csv")
    assert data.provenance.md5 == expected.provenance.md5
    assert data.provenance.note == expected.provenance.note
    assert (data.info.task, data.info.classes) == (expected.info.task, expected.info.classes)
    assert data.info.name == "table"
    assert Dataset.from_table(frame, name="moles").info == expected.info


def test_paths_of_a_frame_are_relative_to_the_root_or_the_current_folder(folder, monkeypatch):
    frame = pd.DataFrame({"path": [f"{row}.png" for row in range(FILES)], "label": LABELS})
    data = Dataset.from_table(frame, root=folder)
    monkeypatch.chdir(folder)
    assert Dataset.from_table(frame).provenance.md5 == data.provenance.md5


@pytest.mark.parametrize("empty", [None, float("nan"), pd.NA, "", " "])
def test_an_empty_cell_of_a_frame_is_named_by_its_index(folder, empty):
    frame = pd.DataFrame({"path": [folder / "0.png", folder / "1.png"], "label": ["a", empty]})
    frame.index = [31, 40]
    with pytest.raises(DatasetError, match=r"DataFrame is not a valid .*row 40: label is empty"):
        Dataset.from_table(frame)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"path": ["a"], "label": [["x", "y"]]}), r"row 0: label is \['x', 'y'\]"),
        (pd.DataFrame({"path": ["a"], "label": [np.zeros(2)]}), "row 0: label is .*join labels"),
        (pd.DataFrame({"path": ["a\0"], "label": ["x"]}), "row 0: path contains a NUL byte"),
        (pd.DataFrame({"path": [], "label": []}), "it has no rows"),
        (pd.DataFrame([["a", "x", "y"]], columns=["path", "label", "label"]), "the same name"),
        (pd.DataFrame({0: ["a"], "label": ["x"]}), "no column of images.*found 0, label"),
    ],
)
def test_frames_that_do_not_fit_give_one_clear_error(frame, message):
    with pytest.raises(DatasetError, match=message):
        Dataset.from_table(frame)


def test_a_delimiter_has_no_effect_on_a_frame():
    with pytest.raises(ValueError, match="no effect on a DataFrame"):
        Dataset.from_table(pd.DataFrame({"path": ["a"]}), delimiter=",")


@pytest.mark.parametrize("table", [{"path": ["a"]}, [("a", "b")], None, pd.Series(["a"])])
def test_other_tables_are_a_type_error(table):
    with pytest.raises(TypeError, match="expected the path of a CSV file or a pandas DataFrame"):
        Dataset.from_table(table)


def test_files_are_read_without_pandas(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert Dataset.from_table(write(label=LABELS)).info.num_classes == 2
