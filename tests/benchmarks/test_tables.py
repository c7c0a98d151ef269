"""The generated tables, and the three commands that make all figures."""

import runpy
import sys
from pathlib import Path

import pytest

from benchmarks import tables
from tests.benchmarks.commands import ROOT


@pytest.fixture
def as_if_started(monkeypatch):
    """A function that prepares this process, which has PyTorch, for what Python starts in a folder.

    That folder is on the path instead of the repository, and none of `benchmarks` is imported.
    """

    def ours():
        return {name: sys.modules[name] for name in sys.modules if name.startswith("benchmarks")}

    def start(folder):
        others = [path for path in sys.path if Path(path).resolve() != ROOT]
        monkeypatch.setattr(sys, "path", [str(folder), *others])
        for name in before:
            del sys.modules[name]

    before = ours()
    yield start
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)


# CI checks the tables by `make check-tables`; reproduce.py runs as a process in its own tests.
@pytest.mark.parametrize(
    ("run", "command", "folder"),
    [
        (runpy.run_path, str(ROOT / "benchmarks" / "speed.py"), ROOT / "benchmarks"),
        (runpy.run_module, "benchmarks.reproduce", ROOT),
    ],
)
def test_commands_run_as_files_and_as_modules(
    run, command, folder, as_if_started, monkeypatch, capsys
):
    as_if_started(folder)
    monkeypatch.setattr(sys, "argv", [command, "--help"])
    with pytest.raises(SystemExit) as ended:
        run(command, run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


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
