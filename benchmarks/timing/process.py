"""Fresh Python processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from benchmarks.reporting.paths import ROOT


def run_python(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a fresh Python process and return what it prints.

    Args:
        *arguments: Arguments of the interpreter.
        environment: Environment variables; None for those of this process.

    Raises:
        RuntimeError: If the process fails; the message holds what it wrote to stderr.
    """
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout
