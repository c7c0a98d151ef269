"""A real server and a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medzoo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60_000
"""Milliseconds for everything that a browser is to do, since machines may be slow."""


@contextmanager
def serving(*models: str) -> Iterator[str]:
    """Run `medzoo serve` in a process of its own; gives its address."""
    command = [sys.executable, "-m", "medzoo", "serve", *models, "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(Path(medzoo.__file__).parents[1])}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        ready = re.search(r"http://[\d.:]+", process.stdout.readline())
        yield f"{ready[0]}/"
        process.terminate()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium without a window."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Open a window whose pages have time."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context
