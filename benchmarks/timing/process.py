"""Fresh Python processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

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


def peak_gb() -> float:
    """Return the peak resident memory of this process, in GB.

    Not that of `resource.getrusage`, which begins with the memory of the process that started it.

    Raises:
        OSError: Where there is no /proc, so on other systems than Linux.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) / 1024**2
