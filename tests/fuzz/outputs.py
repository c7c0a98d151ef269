"""Damaged reports, and names of unknown origin, which must be shown harmlessly everywhere."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import unicodedata
from pathlib import Path

import numpy as np

from medzoo.cli.output.growing_csv import GrowingCsv
from medzoo.errors import DatasetError
from medzoo.escape import as_markdown_code, for_display, for_markdown, for_spreadsheet
from medzoo.evaluation import Report
from medzoo.files import parse_json
from medzoo.html import Section, card
from medzoo.weights import weights_index
from tests.fuzz.data_files import damaged_text
from tests.fuzz.headers import damaged_json
from tests.fuzz.readers import Case
from tests.html.parsed import check_harmless

_COLUMNS = ["path", "label", "normal", "error"]
_PARTS = (
    *("\x1b[2J", "\x9b1m", "\r", "\n", "\t", "\0", "\u202e", "\u2028", "\ufeff", "\ud800"),
    *("\udcff", "=", "+", "-", "@", "\uff1d", "1", ".", "e", ",", ";", '"', "'", "|", "`", "``"),
    *("*", "_", "~", "#", "<", ">", "&lt;", "[", "](", ")", "!", "$", "\\", "\\frac{", " ", "a"),
    *("é", "黑", "a" * 300),
)


def cases() -> dict[str, Case]:
    """Return the kinds by name."""
    entry = next(entry for entry in weights_index().values() if "test" in entry.metrics)
    row = {"name": "all", "coverage": 0.91, "size": 1.5}
    row |= {"coverage_interval": [0.9, 0.92], "size_interval": None}
    sets = {"method": "lac", "target": 0.9, "overall": row}
    sets["per_class"] = [row] * len(entry.metrics["test"]["per_class"])
    report = json.loads(json.dumps({**entry.metrics["test"], "prediction_sets": sets}))
    return {
        "report": Case(
            lambda number: damaged_json(number, report).encode("utf8", "surrogatepass"),
            _show_report,
            (TypeError, ValueError),
            ".json",
        ),
        "predictions": Case(
            lambda number: damaged_text(number, _table()),
            _resume,
            (DatasetError,),
            ".csv",
        ),
        "name": Case(_name, _show_name, (), ".txt"),
    }


def _table() -> bytes:
    """Return a table of predictions, as a run that was stopped has left it."""
    rows = [(f'scan {k}, "a"\n.png', "normal", 0.25 * k, "") for k in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        GrowingCsv(path, _COLUMNS).add(rows, "rows")
        return path.read_bytes()


def _resume(path: Path) -> object:
    before = path.read_bytes()
    table = GrowingCsv(path, _COLUMNS, resume=True)
    table.add([("new.png", "normal", 0.5, "")], "rows")
    after = path.read_bytes()
    text = after.decode(errors="surrogateescape")
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == _COLUMNS
    assert {len(row) for row in rows} == {len(_COLUMNS)}
    assert {row[0] for row in rows[:-1]} == table.first_cells  # which are not predicted again
    end = after.rindex(b'"new.png"')
    assert before.startswith(after[:end]) or not before, "rows that were there have changed"
    return rows


def _show_report(path: Path) -> object:
    report = Report.from_dict(parse_json(path.read_bytes()))
    for char in str(report).replace("\n", ""):
        assert unicodedata.category(char) not in ("Cc", "Cs"), repr(char)
    check_harmless(report._repr_html_())
    return json.dumps(report.to_dict(), allow_nan=False)


def _name(number: int) -> bytes:
    rng = np.random.default_rng([3, number])
    parts = rng.choice(np.array(_PARTS, object), size=rng.integers(1, 9))
    return "".join(parts).encode("utf8", "surrogatepass")


def _show_name(path: Path) -> object:
    name = path.read_bytes().decode("utf8", "surrogatepass")
    check_harmless(card(name, [Section(name, [name], code=[name])]))
    for shown in (for_display(name), for_markdown(name), as_markdown_code(name)):
        hidden = {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert not hidden, f"{name!r} is shown as {shown!r}"
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerow([for_spreadsheet(name), 1.5])
    (row,) = csv.reader(io.StringIO(text.getvalue(), newline=""))
    assert len(row) == 2, f"{name!r} became {row!r}"
    assert row[0] in (name, f"'{name}"), f"{name!r} became {row!r}"
    return row
