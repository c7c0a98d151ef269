"""Takes the picture of a report: docs/images/report.webp.

    python docs/gen_report.py    # needs BreastMNIST, Playwright for Python and Chromium
"""

from __future__ import annotations

import io
import sys
import tempfile
from functools import partial
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

import medzoo  # noqa: E402
from tests.web.live import chromium  # noqa: E402

MODEL = "simple_cnn.breastmnist"
PICTURE = ROOT / "docs" / "images" / "report.webp"
WIDTH, HEIGHT, GAP = 820, 1240, 20
QUALITY = 88


def main() -> None:
    """Write the picture: the top of the page, and beside it its curves and errors."""
    data, model = medzoo.load_dataset("breastmnist"), medzoo.create_model(MODEL, pretrained=True)
    report = medzoo.evaluate(MODEL, data.test)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        explain = partial(medzoo.explain, model)
        path = report.to_html(Path(folder) / "report.html", images=data.test, explain=explain)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(path.as_uri())
        shots = []
        for title in (None, "Most confident errors"):
            part = page.locator("section", has_text=title) if title else page.locator("body")
            top = part.last.bounding_box()["y"] if title else 0
            clip = {"x": 0, "y": top, "width": WIDTH, "height": HEIGHT}
            shots.append(Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))))
    sheet = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), "#888")
    for number, shot in enumerate(shots):
        sheet.paste(shot, (number * (WIDTH + GAP), 0))
    sheet.save(PICTURE, quality=QUALITY, method=6)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
