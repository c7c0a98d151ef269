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
WIDTH, HEIGHT, GAP = 820, 1300, 20
QUALITY = 85


def main() -> None:
    """Write the picture: the top of the page, its curves and its errors, side by side."""
    data, model = medzoo.load_dataset("breastmnist"), medzoo.create_model(MODEL, pretrained=True)
    report = medzoo.evaluate(MODEL, data.test)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        explain = partial(medzoo.explain, model)
        path = report.to_html(Path(folder) / "report.html", images=data.test, explain=explain)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(path.as_uri())
        shots = []
        for title in ("", "ROC and precision-recall curves", "Most confident errors"):
            heading = page.get_by_role("heading", name=title, level=2 if title else 1)
            top = max(0, heading.bounding_box()["y"] - GAP)
            clip = {"x": 0, "y": top, "width": WIDTH, "height": HEIGHT}
            shots.append(Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))))
    sheet = Image.new("RGB", (len(shots) * (WIDTH + GAP) - GAP, HEIGHT), "#888")
    for number, shot in enumerate(shots):
        sheet.paste(shot, (number * (WIDTH + GAP), 0))
    sheet.reduce(2).save(PICTURE, quality=QUALITY, method=6)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
