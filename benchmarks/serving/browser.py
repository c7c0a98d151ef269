"""Measure how soon an exported page answers in Chromium.

    python -m benchmarks.serving.browser    # half a minute, on an idle machine

Needs ``pip install '.[dev]'``, Chromium and npm (or `MEDZOO_DEMO`, a folder with onnxruntime-web).
What was measured is written to ``benchmarks/results/browser.json``.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.timing.machine import machine
from medzoo.web import export_web

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RECORDS = ResultsFile(RESULTS / "browser.json")
MODEL = "simple_cnn.pneumoniamnist"
CHROMIUM = "/usr/bin/chromium"
WINDOWS, ANSWERS = 5, 30
_ANSWER = """async ([model, bytes]) => {
  const { listModels, predict } = await import("./backend.js");
  const [found] = (await listModels()).filter(({ name }) => name === model);
  return (await predict(found, new Blob([new Uint8Array(bytes)]), {})).milliseconds;
}"""


def main() -> None:
    """Measure, write the record and print the table."""
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "page"
        export_web([MODEL], page, runtime=os.environ.get("MEDZOO_DEMO"))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        with _served(page) as address:
            record = _measure(browser, address)
        RECORDS.save(MODEL, record | {"browser": browser.version, "machine": machine()})
        browser.close()
    print(table())


def table() -> str:
    """Return what was measured as a Markdown table."""
    rows = [
        (
            f"`{name}`",
            f"{record['first_seconds']:.1f} s",
            f"{record['later_milliseconds']:.0f} ms",
            f"Chromium {record['browser'].partition('.')[0]}, {record['machine']['processor']}",
        )
        for name, record in RECORDS.read().items()
    ]
    heads = ("Model", "First answer, with loading", "Later answers", "Measured in")
    return markdown_table(heads, rows)


def _measure(browser: Browser, address: str) -> dict[str, Any]:
    """Open windows with an empty cache, and ask for many answers in the last of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((400, 300), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    content = buffer.getvalue()
    upload: Any = {"name": "image.jpg", "mimeType": "image/jpeg", "buffer": content}
    firsts = []
    for _ in range(WINDOWS):
        page = browser.new_context().new_page()
        start = time.perf_counter()
        page.goto(address)
        page.set_input_files("#choose", [upload])
        page.locator("#bars .value", has_text="%").first.wait_for()
        firsts.append(time.perf_counter() - start)
    later = [page.evaluate(_ANSWER, [MODEL, list(content)]) for _ in range(ANSWERS)]
    return {"first_seconds": median(firsts), "later_milliseconds": median(later)}


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=folder))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/"
    http.shutdown()
    http.server_close()


if __name__ == "__main__":
    main()
