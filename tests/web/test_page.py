"""The page as a user meets it: Chromium before a real `medzoo serve`."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

import medzoo
from tests.web.conftest import bars, drop, noise, png, states, until, upload
from tests.web.live import serving

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
expect = sync_api.expect

MODELS = ["simple_cnn.pneumoniamnist", "advanced_cnn.chestmnist", "simple_cnn.bloodmnist"]
PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="session")
def server():
    """The address of a server of bundled models."""
    with serving(*MODELS) as address:
        yield address


@pytest.fixture
def page(open_page, server):
    page = open_page(server)
    expect(page.locator("#model")).to_be_enabled()
    return page


def answered(page, count=1):
    expect(page.locator("#list .state", has_text="%")).to_have_count(count)


def check_bars(page, name, content):
    """The page shows what `medzoo.predict` says."""
    said = medzoo.predict(name, np.asarray(Image.open(io.BytesIO(content))))
    shown = bars(page)
    assert shown[0][0] == said.label
    for label, text in shown:
        if text[0] not in "<>":
            value = float(text.removesuffix(" %"))
            assert value == pytest.approx(100 * said.probabilities[label], abs=0.06)


# Ways in


def test_a_chosen_image_gets_the_bars_that_predict_says(page):
    content = noise(0)
    page.set_input_files("#choose", [upload("scan.png", content)])
    answered(page)
    check_bars(page, MODELS[0], content)
    expect(page.locator("#latency")).to_contain_text("ms")
    expect(page.locator("#live")).to_contain_text("scan.png: unfamiliar image: ")
    expect(page.locator("#verdict .warning")).to_contain_text("do not rely on this answer")
    expect(page.locator("#scope")).to_contain_text("PneumoniaMNIST")


def test_a_dropped_image_is_classified(page, tmp_path):
    path = tmp_path / "dropped.png"
    path.write_bytes(noise(1))
    drop(page, path)
    answered(page)
    assert page.locator(".file").all_inner_texts() == ["dropped.png"]
    check_bars(page, MODELS[0], noise(1))
    expect(page.locator("#drop")).to_be_hidden()


def test_a_pasted_image_is_classified(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (png) => {
          const bytes = Uint8Array.from(atob(png), (one) => one.charCodeAt(0));
          const item = new ClipboardItem({"image/png": new Blob([bytes], {type: "image/png"})});
          await navigator.clipboard.write([item]);
        }""",
        base64.b64encode(noise(2)).decode(),
    )
    page.keyboard.press("Control+V")
    answered(page)
    check_bars(page, MODELS[0], noise(2))


def test_several_images_are_listed_and_each_can_be_shown(page):
    contents = [noise(seed) for seed in range(3, 6)]
    files = [upload(f"{number}.png", content) for number, content in enumerate(contents)]
    page.set_input_files("#choose", files)
    answered(page, 3)
    expect(page.locator("#live")).to_contain_text("All 3 images are done")
    for number, content in enumerate(contents):
        page.get_by_role("button", name=f"{number}.png").first.click()
        check_bars(page, MODELS[0], content)
    page.get_by_role("button", name="Remove 2.png").click()
    expect(page.locator("#list li")).to_have_count(2)


def test_a_phone_offers_its_camera(open_page, server):
    page = open_page(server, **PHONE)
    expect(page.get_by_text("Take a photo")).to_be_visible()
    expect(page.locator("#photo")).to_have_attribute("capture", "environment")
    page.set_input_files("#photo", [upload("photo.png", noise(6))])
    answered(page)


# What is shown


def test_the_slider_moves_the_opacity_of_the_heat_map(page):
    slider = page.get_by_label("Heat map")
    expect(slider).to_be_disabled()
    page.set_input_files("#choose", [upload("scan.png", noise(0))])
    heat = page.locator("#heat")
    expect(heat).to_be_visible()
    assert heat.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    square, shown = (page.locator(name).bounding_box() for name in ("#square", "#heat"))
    assert square == shown
    slider.focus()
    for key, opacity in [("Home", 0), ("ArrowRight", 0.01), ("End", 1)]:
        page.keyboard.press(key)
        assert float(heat.evaluate("image => getComputedStyle(image).opacity")) == opacity
    expect(page.locator("#opacity-value")).to_have_text("100 %")
    expect(page.locator("#heat-note")).to_contain_text("Where the image supports")


def test_a_model_says_what_it_was_trained_on_and_how_good_it_is(page):
    described = medzoo.weights.weights_index()[MODELS[2]]
    page.select_option("#model", MODELS[2])
    facts = page.locator("#facts")
    test = described.metrics["test"]
    for text in (test["title"], f"{test['auc']:.3f}", f"{test['acc']:.3f}", "CC BY 4.0"):
        expect(facts).to_contain_text(text)
    low, high = test["intervals"]["auc"]
    expect(facts).to_contain_text(f"{low:.3f}\N{EN DASH}{high:.3f}")
    expect(page.locator("footer")).to_contain_text(described.sha256[:12])


def test_another_model_answers_about_the_same_images(page):
    content = noise(7)
    page.set_input_files("#choose", [upload("scan.png", content)])
    answered(page)
    page.select_option("#model", MODELS[2])
    answered(page)
    page.get_by_role("button", name="Show all 8 classes").click()
    expect(page.locator("#bars .value").first).to_contain_text("%")
    check_bars(page, MODELS[2], content)
    page.select_option("#model", MODELS[1])
    expect(page.locator("#verdict")).to_contain_text("above threshold")
    check_bars(page, MODELS[1], content)


def test_it_is_not_a_diagnosis_wherever_one_looks(page):
    notice = page.locator("header .notice")
    page.set_input_files("#choose", [upload(f"{i}.png", png()) for i in range(3)])
    answered(page, 3)
    page.mouse.wheel(0, 5000)
    expect(notice).to_be_in_viewport()
    expect(page.locator("#verdict")).to_contain_text("Not a diagnosis")
    expect(page.locator("#live")).to_contain_text("Not a diagnosis")


def test_an_unreadable_file_is_said_beside_it_and_harms_no_other(page):
    files = [upload("notes.png", b"no image"), upload("empty.png", b""), upload("a.png", noise(8))]
    page.set_input_files("#choose", files)
    answered(page)
    expect(page.locator("#list .failed")).to_have_count(2)
    assert "cannot read" in states(page)[0]
    expect(page.locator("#verdict")).to_contain_text("This image cannot be read")
    expect(page.locator("#live")).to_contain_text("notes.png: cannot read")
    page.get_by_role("button", name="a.png").first.click()
    check_bars(page, MODELS[0], noise(8))


def test_an_image_that_the_browser_cannot_show_is_classified_all_the_same(page):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(noise(9))).save(buffer, "TIFF")
    page.set_input_files("#choose", [upload("slide.tiff", buffer.getvalue(), "image/tiff")])
    answered(page)
    check_bars(page, MODELS[0], noise(9))
    expect(page.locator(".thumb")).to_have_text("TIFF")
    expect(page.locator("#unshowable")).to_have_text(
        "TIFF cannot be shown by this browser. The model can read it."
    )


def test_the_square_is_the_centre_of_the_image(page):
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[:, 20:80] = 255  # the centre square, and nothing else
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    page.set_input_files("#choose", [upload("wide.png", buffer.getvalue())])
    answered(page)
    page.locator("#opacity").evaluate("slider => { slider.value = 0; }")
    page.locator("#opacity").dispatch_event("input")
    shown = Image.open(io.BytesIO(page.locator("#square").screenshot())).convert("L")
    values = np.asarray(shown)[10:-10, 3:-3]
    assert values.min() > 250


# Every user


def test_a_phone_needs_no_horizontal_scrolling(open_page, server):
    page = open_page(server, **PHONE)
    widths = "[document.documentElement.scrollWidth, innerWidth]"
    assert page.evaluate(widths) == [360, 360]
    long = upload("a_very_long_name_without_any_space_" * 4 + ".png", noise(1))
    page.set_input_files("#choose", [long, upload("broken.png", b"")])
    answered(page)
    for model in MODELS:
        page.select_option("#model", model)
        answered(page)
        assert page.evaluate(widths) == [360, 360]
    small = page.evaluate(
        """[...document.querySelectorAll("button, select, .button")]
            .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 32)
            .map((one) => one.outerHTML)"""
    )
    assert small == []  # to be hit by a finger


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system(open_page, server, scheme):
    page = open_page(server, color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = np.mean([int(value) for value in colour[4:-1].split(",")])
    assert (brightness > 128) == (scheme == "light")


def test_nothing_moves_for_those_who_do_not_want_it(open_page, server):
    for motion, moving in (("reduce", False), ("no-preference", True)):
        page = open_page(server, reduced_motion=motion)
        page.set_input_files("#choose", [upload("scan.png", noise(0))])
        answered(page)
        animation = page.locator(".track i").first.evaluate(
            "one => getComputedStyle(one).animationName"
        )
        assert (animation != "none") == moving


def test_everything_can_be_done_with_the_keyboard(page):
    def tab_to(selector):
        for _ in range(15):
            page.keyboard.press("Tab")
            if page.evaluate("(css) => document.activeElement.matches(css)", selector):
                assert page.evaluate("document.activeElement.matches(':focus-visible')")
                return
        raise AssertionError(f"{selector} cannot be reached")

    # Playwright does not wait until its listener is in place, so it is set long before the key.
    choosers = []
    page.on("filechooser", lambda one: choosers.append(one))
    tab_to("#model")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#facts")).to_contain_text("ChestMNIST")
    tab_to("#choose")
    outline = "document.activeElement.parentElement"
    assert page.evaluate(f"getComputedStyle({outline}).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    until(page, lambda: choosers)
    choosers[0].set_files([upload("a.png", noise(1)), upload("b.png", noise(2))])
    expect(page.locator("#bars .value").first).to_contain_text("%")
    tab_to(".show:not([aria-current=true])")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-current=true] .file")).to_have_text("b.png")
    expect(page.locator("#heat")).to_be_visible()
    tab_to("#opacity")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#opacity-value")).to_have_text("59 %")
    tab_to("#threshold")
    page.keyboard.press("Home")
    expect(page.locator("#verdict")).to_contain_text("above threshold")
    tab_to("#all")
    page.keyboard.press("Enter")
    expect(page.locator("#bars li")).to_have_count(14)
    page.keyboard.press("Shift+Tab")
    for _ in range(10):
        if page.evaluate("document.activeElement.matches('.remove')"):
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#list li")).to_have_count(1)
