"""Build hook: the demo, a page that runs models in the visitor's browser, becomes part of the site.

It needs npm, which installs onnxruntime-web. Where there is none the site is built without the
demo, and its page says so. `MEDZOO_DEMO` may name a folder with onnxruntime-web, or be ``off``.
"""

from __future__ import annotations

import atexit
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

import medzoo
from medzoo.web import Sample, export_web

DRAWN = Path(__file__).parent / "images" / "samples"
PAGE, MARKER = "demo/index.md", "<!-- demo -->"
MODELS = [
    "simple_cnn.pneumoniamnist",
    "simple_cnn.bloodmnist",
    "simple_cnn.dermamnist",
    "simple_cnn.octmnist",
    "simple_cnn.breastmnist",
    "simple_cnn.retinamnist",
    "advanced_cnn.dermamnist",
]
FRAME = """\
<iframe class="demo" src="app/index.html" title="Demo: classify an image in the browser"></iframe>

[Open it in a window of its own](app/index.html){ target=_blank }
"""
LEFT_OUT = """\
!!! note "Left out"

    This site was built without the demo: {reason}. `medzoo serve` starts the same page on your
    machine, with the models on that machine.
"""
CREDITS = {
    "pneumoniamnist": "Kermany et al. 2018",
    "octmnist": "Kermany et al. 2018",
    "bloodmnist": "Acevedo et al. 2020",
    "breastmnist": "Al-Dhabyani et al. 2020",
    "retinamnist": "DeepDRiD, Liu et al. 2022",
}
"""Whose images may be shown, with credit: those under CC BY 4.0, not DermaMNIST's."""
OF_EACH = 2  # images of a data set, of different classes


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the demo into its page; mkdocs calls this for each page."""
    if page.file.src_uri != PAGE:
        return markdown
    reason = demo()[1]
    return markdown.replace(MARKER, LEFT_OUT.format(reason=reason) if reason else FRAME)


def on_post_build(config: Any, **_: Any) -> None:
    """Copy the demo into the site."""
    folder, reason = demo()
    target = Path(config["site_dir"], "demo", "app")
    if folder is None:
        print(f"the demo is left out: {reason}", file=sys.stderr)
    else:
        shutil.copytree(folder, target, dirs_exist_ok=True)


@cache
def demo() -> tuple[Path | None, str]:
    """Return the folder of the demo, or else why there is none; built once per process."""
    setting = os.environ.get("MEDZOO_DEMO") or None
    if setting == "off":
        return None, "MEDZOO_DEMO is off"
    folder = Path(tempfile.mkdtemp(prefix="medzoo-demo-"), "app")
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    try:
        export_web(MODELS, folder, samples=samples(), runtime=setting)
    except ImportError as error:  # npm or medzoo[onnx] is missing, or npm cannot reach its registry
        return None, str(error).split(";")[0]
    return folder, ""


def samples() -> list[Sample]:
    """Return the images to click: drawn ones, and real ones where the data sets are."""
    return [*drawn(), *real()]


def drawn() -> Iterator[Sample]:
    """Yield the drawings that the landing page shows, too."""
    for path in sorted(DRAWN.glob("*.jpg")):
        if path.stem in medzoo.list_datasets():
            title = f"Drawing in the style of {medzoo.dataset_info(path.stem).title}"
            credit = "Drawings: made by a program, of nobody"
            yield Sample(path.name, path.read_bytes(), title, f"simple_cnn.{path.stem}", credit)


def real() -> Iterator[Sample]:
    """Yield test images: the first of the first classes, whatever models say about them."""
    root = os.environ.get("MEDZOO_DATA")
    for name, authors in CREDITS.items():
        if not root or not Path(root, f"{name}.npz").is_file():
            continue
        split = medzoo.load_dataset(name, root=root).test
        labels = split.labels.reshape(-1)
        for label in labels.unique()[:OF_EACH].tolist():
            row = int((labels == label).nonzero()[0])
            buffer = io.BytesIO()
            pixels = split.images[row].permute(1, 2, 0).numpy()
            Image.fromarray(pixels.squeeze(-1) if pixels.shape[2] == 1 else pixels).save(
                buffer, "PNG"
            )
            yield Sample(
                f"{name}-{label}.png",
                buffer.getvalue(),
                f"{split.info.title}, test image {row}, labelled {split.info.classes[label]}",
                f"simple_cnn.{name}",
                f"{split.info.title} ({authors}; MedMNIST v2), {split.info.licence}",
                pixelated=True,
            )
