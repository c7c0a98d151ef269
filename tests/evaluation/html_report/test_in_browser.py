"""A report in a real browser: it fits a phone, loads nothing and says nothing on the console."""

from types import SimpleNamespace

import pytest
from PIL import Image

from tests.evaluation.html_report.test_page import split_of, with_predictions
from tests.evaluation.metrics.test_scores import MULTI_LABEL
from tests.web.live import CHROMIUM, chromium

pytestmark = pytest.mark.slow
pytest.importorskip("playwright", reason="needs Playwright for Python")
if not CHROMIUM.exists():
    pytest.skip(f"needs Chromium at {CHROMIUM}", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=["multi-class", MULTI_LABEL])
def report_file(request, tmp_path_factory):
    measured = with_predictions(request.param)
    images = split_of(measured.predictions, request.param)
    overlay = SimpleNamespace(overlay=Image.new("RGB", (28, 28)))
    path = tmp_path_factory.mktemp("report") / "report.html"
    return measured.to_html(path, images=images, explain=lambda image, target: overlay)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_it_fits_and_is_quiet(browser, report_file, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report_file.as_uri()]
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") is (scheme == "light")
    page.close()
