"""What the shell offers when Tab is pressed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import medzoo


@pytest.fixture
def complete(tmp_path):
    """Return what can follow the start of a command line."""
    pytest.importorskip("argcomplete")

    def answers(line: str) -> list[str]:
        out = tmp_path / "answers"
        values = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        start = f"import sys; sys.path[:0] = {[str(Path(medzoo.__file__).parents[1])]}"
        code = f"{start}; from medzoo.cli import main; main()"
        subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **values}, check=True
        )
        return [word.strip() for word in out.read_text().split("\n")]

    return answers


def test_commands_options_names_and_files(complete, tmp_path):
    (tmp_path / "simple.safetensors").touch()
    assert complete("medzoo tr") == ["train"]
    assert "--learning-rate" in complete("medzoo train x --le")
    expected = {n for n in medzoo.list_models(pretrained=True) if n.startswith("simple")}
    found = complete("medzoo predict simple")
    assert {*found} == expected | {"simple_cnn", "simple.safetensors"}
    assert complete("medzoo train x --dataset derm") == ["dermamnist"]
    assert complete("medzoo evaluate x --split te") == ["test"]
