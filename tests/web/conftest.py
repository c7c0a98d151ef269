"""A browser, and servers for it."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.web.live import CHROMIUM, PATIENCE, chromium, new_context
from tests.web.stand_in import StandIn, description

LESIONS = ["melanoma", "dermatofibroma", "vascular lesions", "melanocytic nevi", "other", "a", "b"]


def png(brightness=0.5, size=(40, 30)):
    """A PNG of one gray, from 0 (black) to 1."""
    buffer = io.BytesIO()
    Image.new("L", size, round(255 * brightness)).save(buffer, "PNG")
    return buffer.getvalue()


def upload(name, content, kind="image/png"):
    """A file as Playwright takes it."""
    return {"name": name, "mimeType": kind, "buffer": content}


@pytest.fixture(scope="module")
def browser():
    """Chromium, which the tests of a module share.

    No longer than a module: Playwright leaves an event loop running in this thread for as long as
    it is open, and no other test could use asyncio meanwhile.
    """
    pytest.importorskip("playwright", reason="needs Playwright for Python")
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser):
    """Open an address in a window of its own; nothing may go wrong there unexpectedly.

    The test fails if the page raises an error, breaks its content security policy, or asks another
    host for something.
    """
    contexts, problems = [], []

    def open_page(address, **options):
        context = new_context(browser, **{"viewport": {"width": 1400, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: "Security" in line.text and problems.append(line.text))
        host = address.split("/")[2]
        page.on("request", lambda one: f"//{host}/" in one.url or _local(one.url, problems))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def _local(url, problems):
    if not url.startswith(("data:", "blob:")):
        problems.append(f"asked for {url}")


@pytest.fixture
def stand_in():
    """A server with a model of seven classes, one of several labels, and one without scores."""
    findings = [f"finding {number}" for number in range(14)]
    models = [
        description("lesions", LESIONS) | {"conformal": {"coverage": 0.9}},
        description("findings", findings, multi_label=True),
        description("unmeasured", ["no", "yes"], measured=False),
    ]
    with StandIn(models) as server:
        yield server


def drop(page, *paths):
    """Drop files or folders on the page as the user does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"type": kind, "x": 600, "y": 500, "data": data}
        session.send("Input.dispatchDragEvent", place)


def until(page, condition):
    """Wait for something that is not on the page itself."""
    for _ in range(PATIENCE // 10):
        if condition():
            return
        page.wait_for_timeout(10)
    raise AssertionError("it has not happened")


def bars(page):
    """The classes and figures that the page shows, in order."""
    rows = page.locator("#bars li")
    return [
        (rows.nth(i).locator(".name bdi").inner_text(), rows.nth(i).locator(".value").inner_text())
        for i in range(rows.count())
    ]


def states(page):
    """What the list says about each image."""
    return page.locator("#list .state").all_inner_texts()


def noise(seed, size=(61, 47)):
    """A PNG of coloured noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
