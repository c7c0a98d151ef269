"""The built site in a real browser: nothing runs off a page, tables and plots can be used."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.web.live import CHROMIUM, chromium, new_context

ROOT = Path(__file__).parent.parent.parent
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1400, "height": 900}

pytestmark = pytest.mark.slow
expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
pytest.importorskip("mkdocs", reason="MkDocs is not installed")
if not CHROMIUM.exists():
    pytest.skip(f"needs Chromium at {CHROMIUM}", allow_module_level=True)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation, built; `MEDZOO_SITE` may name the folder of a build of today."""
    if built := os.environ.get("MEDZOO_SITE"):
        return Path(built)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", folder]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser, address):
    contexts = []

    def open_page(path, size, **options):
        contexts.append(new_context(browser, viewport=size, **options))
        page = contexts[-1].new_page()
        page.goto(f"{address}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_no_page_scrolls_sideways_on_a_phone_or_asks_another_host(site, open_page, address):
    page = open_page("", PHONE)
    errors, hosts = [], set()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.startswith((address, "data:"))))
    wide = []
    files = sorted(site.rglob("index.html"))
    assert len(files) > 35
    for file in files:
        path = file.parent.relative_to(site).as_posix()
        if path.startswith("demo"):
            continue  # has its own tests
        page.goto(f"{address}/{path}/")
        if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
            wide.append(path)
    assert wide == []
    assert errors == []
    assert hosts == {True}


def test_the_landing_page_shows_everything_on_one_screen(open_page):
    page = open_page("", DESKTOP)
    for part in (".hero .md-button--primary", ".samples img >> nth=-1", ".figures", ".next"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= DESKTOP["height"], part
    loaded = page.locator(".samples img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert loaded == [224] * 12
    page.locator(".hero .md-button--primary").click()
    page.wait_for_url("**/demo/**")


def column(page, number):
    cells = page.locator(f"table[data-filter] tbody tr:visible td:nth-child({number})")
    return [text.split("\n")[0] for text in cells.all_inner_texts()]


def test_tables_are_sorted_by_their_headers(open_page):
    page = open_page("model-zoo/", DESKTOP)
    header = page.get_by_role("columnheader", name="Test AUC")
    header.get_by_role("button").focus()
    for direction, reverse in (("ascending", False), ("descending", True)):
        page.keyboard.press("Enter")
        expect(header).to_have_attribute("aria-sort", direction)
        *scores, last = column(page, 4)
        assert last == "-"  # what is empty stays last
        assert scores == sorted(scores, key=float, reverse=reverse)
    page.get_by_role("columnheader", name="Checkpoint").get_by_role("button").click()
    assert header.get_attribute("aria-sort") is None
    assert column(page, 1) == sorted(column(page, 1))


def test_tables_are_filtered_and_say_how_much_is_shown(open_page):
    page = open_page("model-zoo/", DESKTOP)
    tools = page.locator(".tools", has=page.get_by_label("Licence"))
    everything = len(column(page, 1))
    tools.get_by_label("Data set").select_option("BreastMNIST")
    tools.get_by_label("Image size").select_option("28 px")
    assert {name.split(".")[1] for name in column(page, 1)} == {"breastmnist"}
    assert tools.locator("output").inner_text() == f"{len(column(page, 1))} of {everything} rows"
    tools.get_by_label("Architecture").select_option("simple_cnn")
    assert column(page, 1) == ["simple_cnn.breastmnist"]


def test_on_a_phone_rows_are_cards_that_name_their_cells(open_page):
    page = open_page("model-zoo/", PHONE)
    cell = page.locator("table[data-filter] tbody td:nth-child(4)").first
    assert cell.evaluate("cell => getComputedStyle(cell, '::before').content") == '"Test AUC"'
    page.locator(".tools", has=page.get_by_label("Licence")).get_by_label("Sort by").select_option(
        label="Test AUC ↓"
    )
    unfold = page.locator("table[data-filter] + .tools")
    rows = page.locator("table[data-filter] tbody tr")
    assert sum(row.is_visible() for row in rows.all()) == 5
    unfold.get_by_role("button", name="Show all rows").click()
    assert all(row.is_visible() for row in rows.all())
    scores = column(page, 4)[:-1]
    assert scores == sorted(scores, key=float, reverse=True)


def test_without_scripts_tables_are_complete(open_page):
    page = open_page("model-zoo/", PHONE, java_script_enabled=False)
    assert page.locator(".tools").count() == 0
    assert page.locator("table[data-filter] tbody tr").count() > 20
    assert page.locator(".point title").count() > 20


def test_points_say_what_they_are_to_mouse_finger_and_keyboard(open_page):
    page = open_page("model-zoo/", DESKTOP, has_touch=True)
    tip = page.get_by_role("tooltip")
    points = page.locator(".point.simple_cnn")
    texts = points.evaluate_all("all => all.map(one => one.dataset.tip)")

    points.nth(0).scroll_into_view_if_needed()
    points.nth(0).locator(".hit").hover()
    expect(tip).to_have_text(texts[0])
    assert "test ACC" in texts[0]
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    points.nth(1).focus()
    expect(tip).to_have_text(texts[1])
    box = points.nth(2).locator(".hit").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(tip).to_have_text(texts[2])
    edges = tip.bounding_box()
    assert edges["x"] >= 0
    assert edges["x"] + edges["width"] <= DESKTOP["width"]


def test_the_plot_is_filtered_by_data_set(open_page):
    page = open_page("model-zoo/", DESKTOP)
    page.locator(".cost-plot").get_by_label("Data set").select_option("OCTMNIST")
    assert page.locator(".cost-plot figure:visible").all_inner_texts()[0].startswith("OCTMNIST")
    assert page.locator(".cost-plot figure:visible").count() == 1
