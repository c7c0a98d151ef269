"""Takes the picture of the page that `medzoo serve` shows: docs/images/page.webp.

    python docs/gen_page.py    # needs medzoo[serve], Playwright for Python and Chromium

The images in it are drawn (see drawings.py); the answers are those of the model.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image, ImageOps

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from drawings import DRAWINGS  # noqa: E402

from tests.web.live import chromium, serving  # noqa: E402

MODEL = "advanced_cnn.dermamnist"
PICTURE = ROOT / "docs" / "images" / "page.webp"
WINDOW = {"width": 1280, "height": 760}
QUALITY = 92


def lesions() -> list[dict[str, object]]:
    """Return one drawing in three views, as files for the browser."""
    drawn = DRAWINGS["dermamnist"]()
    views = [drawn, ImageOps.mirror(drawn.rotate(90)), drawn.crop((30, 30, 194, 194)).rotate(180)]
    files = []
    for number, view in enumerate(views, 1):
        content = io.BytesIO()
        view.save(content, "PNG")
        name = f"lesion-{number}.png"
        files.append({"name": name, "mimeType": "image/png", "buffer": content.getvalue()})
    return files


def main() -> None:
    """Write the picture."""
    with serving(MODEL) as address, chromium() as browser:
        page = browser.new_page(viewport=WINDOW, reduced_motion="reduce")
        page.goto(address)
        for warm in (False, True):  # the first answers of a process are slow
            for number, lesion in enumerate(lesions()):
                page.set_input_files("#choose", lesion)
                page.locator("#list .state", has_text="%").nth(number).wait_for()
                page.locator("#heat").wait_for()
            if not warm:
                page.locator("#clear").click()
        page.locator("#list .show").first.click()
        page.locator("#heat").wait_for()
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.save(PICTURE, quality=QUALITY, method=6)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
