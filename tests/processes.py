"""New processes that are forked from one that has imported PyTorch, which takes seconds."""

import multiprocessing
import os
import runpy
import sys
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import huggingface_hub.constants
from torch.distributed import TCPStore

PATIENCE = 300.0  # seconds


def forkserver() -> ForkServerContext:
    """Processes like those of ``spawn``, but forked from one that has imported PyTorch alone."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "timm"])
    return context


def run_program(path: Path, *arguments: str, folder: Path, **environment: str) -> str:
    """Run a Python file as a program, in a folder and without the Hub; return what it printed."""
    context = forkserver()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, path, arguments, folder, environment))
    process.start()
    theirs.close()
    try:
        assert ours.poll(PATIENCE), f"{path} does not end"
        succeeded, printed = ours.recv()
        assert succeeded, printed
        process.join(PATIENCE)
        assert process.exitcode == 0, printed
    finally:
        process.kill()
    return printed


def run_two_programs(path: Path, *arguments: str, folder: Path) -> None:
    """Run a Python file in two processes that find each other, as torchrun does."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is here, not in the first process
        "WORLD_SIZE": "2",
    }

    def run(rank: str) -> None:
        run_program(path, *arguments, folder=folder, RANK=rank, LOCAL_RANK=rank, **shared)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, "01"))


def _run(
    answer: Connection,
    path: Path,
    arguments: tuple[str, ...],
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    sys.argv = [str(path), *arguments]
    try:
        with redirect_stdout(StringIO()) as printed:
            runpy.run_path(str(path), run_name="__main__")
        answer.send((True, printed.getvalue()))
    except BaseException:
        answer.send((False, traceback.format_exc()))
        raise
