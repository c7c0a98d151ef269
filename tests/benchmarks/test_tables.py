"""The generated tables, and the three commands that make all figures."""

import subprocess
import sys

import pytest

from benchmarks import tables
from tests.benchmarks.commands import ROOT, without_path


def run(*command):
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, env=without_path()
    )


# CI checks the tables by `make check-tables`; reproduce.py as a file has tests of its own.
@pytest.mark.parametrize("command", [["benchmarks/speed.py"], ["-m", "benchmarks.reproduce"]])
def test_commands_run_as_files_and_as_modules(command):
    done = run(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")


def test_only_what_is_between_the_markers_is_replaced(monkeypatch):
    monkeypatch.setattr(tables, "TABLES", {"one": lambda: "new"})
    page = "before\n<!-- table:one -->\n\nold\n\n<!-- /table -->\nafter"
    assert tables.render(page) == page.replace("old", "new")
    assert tables.render(tables.render(page)) == tables.render(page)


@pytest.mark.parametrize("name", tables.PLOTS)
def test_plots_are_drawn_from_the_results(name, tmp_path):
    draw, _ = tables.PLOTS[name]
    figure = draw()
    assert all(axis.has_data() for axis in figure.axes)
    figure.savefig(tmp_path / name, dpi=20)
    assert (tmp_path / name).stat().st_size > 1000
