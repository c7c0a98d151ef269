"""New processes that are forked from one that has imported PyTorch, which takes seconds."""

import multiprocessing
import os
import runpy
import sys
import traceback
from collections.abc import Mapping
from contextlib import redirect_stdout
from multiprocessing.context import ForkServerContext
from pathlib import Path

import huggingface_hub.constants


def forkserver() -> ForkServerContext:
    """Processes like those of ``spawn``, but forked from one that has imported PyTorch alone."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "timm"])
    return context


def run_program(
    path: Path, *, folder: Path, environment: Mapping[str, str], output: Path
) -> int | None:
    """Run a Python file as a program, in a folder and without the Hub; return its exit code.

    What it prints, and what it fails with, is written into the file `output`.
    """
    arguments = (path, folder, environment, output)
    process = forkserver().Process(target=_run, args=arguments)
    process.start()
    process.join(300)
    process.kill()
    return process.exitcode


def _run(path: Path, folder: Path, environment: Mapping[str, str], output: Path) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    sys.argv = [str(path)]
    with output.open("w", encoding="utf-8") as printed, redirect_stdout(printed):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except BaseException:
            traceback.print_exc(file=printed)
            raise
