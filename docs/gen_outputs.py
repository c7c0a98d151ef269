"""Runs the examples of a page from its top, and writes below them what they print.

    python docs/gen_outputs.py docs/quickstart.md    # needs the data sets that the page uses

What is between ``<!-- output -->`` and ``<!-- /output -->`` after a block is what it printed. The
tests run the blocks of every page in the same way. A block that cannot run there has a comment
above it: ``<!-- not run: why -->``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^\n]+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>python|console|bash|sh|pycon)\n(?P<code>.*?)^(?P=indent)```\n"
    r"(?:\n<!-- output -->\n(?P<output>.*?)^<!-- /output -->$)?",
    re.DOTALL | re.MULTILINE,
)
_PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Attributes:
        language: What the page says it is.
        code: Its text.
        line: The line of the page on which the text begins, from 1.
        reason: Why it is not run; empty if it is.
        output: What the page says it prints; None if the page says nothing.
        span: Where that is on the page.
    """

    language: str
    code: str
    line: int
    reason: str
    output: str | None
    span: tuple[int, int]

    def commands(self) -> list[list[str]]:
        """Return the words of each command of a console block.

        Raises:
            ValueError: If a line is not a command that begins with a prompt.
        """
        lines = self.code.replace("\\\n", " ").splitlines()
        for line in lines:
            if not line.startswith(_PROMPT):
                raise ValueError(f"line {self.line}: {line!r} does not begin with {_PROMPT!r}")
        return [shlex.split(line.removeprefix(_PROMPT), comments=True) for line in lines]


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of code of a page in Markdown, in order."""
    return [
        Block(
            language=match["language"],
            code=dedent(match["code"]),
            line=text.count("\n", 0, match.start("code")) + 1,
            reason=match["reason"] or "",
            output=match["output"],
            span=match.span("output"),
        )
        for match in _BLOCK.finditer(text)
    ]


def run_blocks(blocks: Iterable[Block], page: str) -> Iterator[tuple[Block, str]]:
    """Run blocks of Python and ``medzoo`` commands in the current folder.

    Names that a block defines are known to those after it, and nothing else is.

    Args:
        blocks: The blocks, in order; those with a reason are left out.
        page: Name of the page, for tracebacks.

    Yields:
        Each block that was run, with what it printed.

    Raises:
        RuntimeError: If a command fails.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        if block.reason:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block.language == "python":
                code = "\n" * (block.line - 1) + block.code  # for the line numbers in tracebacks
                exec(compile(code, page, "exec"), names)
            else:
                for program, *arguments in block.commands():
                    if program == "medzoo":
                        _run_medzoo(arguments, page)
        yield block, printed.getvalue()


def _run_medzoo(arguments: list[str], page: str) -> None:
    """Run a command; what follows ``>`` is the file into which its output goes."""
    from medzoo.cli import main

    words, file = arguments, ""
    if ">" in arguments:
        *words, _, file = arguments
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(words)
    if code != 0:
        raise RuntimeError(f"{page}: {shlex.join(['medzoo', *words])} ended with the code {code}")
    if file:
        Path(file).write_text(printed.getvalue(), encoding="utf-8")
    else:
        print(printed.getvalue(), end="")


def with_outputs(text: str, page: str) -> str:
    """Return a page on which each shown output is what its block prints now."""
    blocks = read_blocks(text)
    last = max((number for number, block in enumerate(blocks) if block.output is not None))
    for block, printed in reversed(list(run_blocks(blocks[: last + 1], page))):
        if block.output is not None:
            shown = f"\n```text\n{printed.rstrip()}\n```\n\n"
            text = text[: block.span[0]] + shown + text[block.span[1] :]
    return text


def main(pages: list[str]) -> None:
    """Rewrite the given pages."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.docs.reader_files import write_files  # images that stand for the reader's own

    for page in map(Path, pages):
        path, text = page.resolve(), page.read_text(encoding="utf-8")
        back = Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder))
            os.chdir(folder)
            try:
                path.write_text(with_outputs(text, page.name), encoding="utf-8")
            finally:
                os.chdir(back)
        print(f"{page}: written")


if __name__ == "__main__":
    main(sys.argv[1:])
