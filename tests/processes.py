"""New processes that are given what they work on by pickling, without importing PyTorch anew."""

import multiprocessing
from multiprocessing.context import ForkServerContext


def forkserver() -> ForkServerContext:
    """Processes like those of ``spawn``, but forked from one that has imported PyTorch alone."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "timm"])
    return context
