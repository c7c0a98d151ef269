"""Takes the picture of the page that `medzoo serve` shows: docs/images/page.png.

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
PICTURE = ROOT / "docs" / "images" / "page.png"
WINDOW = {"width": 1280, "height": 760}
COLOURS = 256  # enough for the page, and a third of the size


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
        page.set_input_files("#choose", lesions())
        page.locator("#list .state", has_text="%").nth(2).wait_for()
        page.locator("#heat").wait_for()
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        PICTURE, optimize=True
    )
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
