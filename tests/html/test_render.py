"""Pages and cards: well-formed and harmless, whatever their texts contain."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medzoo.escape import for_display
from medzoo.html import Figure, Section, Table, card, page, picture_of
from tests.html.parsed import check_harmless

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></title></textarea><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe \ud800 \x00 \x1b[2J \u2028",
    "<!-- ]]> &lt; &#60;",
]


def document(text):
    picture = picture_of(torch.zeros(1, 4, 4, dtype=torch.uint8), text)
    table = Table((text, "number"), [(text, text)], text)
    figure = Figure([picture], [text], small=True)
    return [Section(text, [text], [table], [figure], [text], [text])]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_shown_and_does_nothing(text):
    for html in (page(text, text, document(text), text), card(text, document(text))):
        shown = check_harmless(html)
        assert for_display(text) in shown.text_of("td")
        assert {image["alt"] for image in shown.all("img")} == {for_display(text)}


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=40))
def test_any_text_is_shown_as_itself(text):
    (image,) = check_harmless(card(text, document(text))).all("img")
    assert image["alt"] == for_display(text)


def test_a_page_says_what_it_is_not_for_and_forbids_everything_else():
    shown = check_harmless(page("t", "l", [Section("First"), Section("Second")], "f"))
    assert "For research and teaching; not for clinical use." in shown.text_of("p")
    (policy,) = [m["content"] for m in shown.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'")
    anchors = {link["href"] for link in shown.all("a")}
    assert anchors == {f"#{section['id']}" for section in shown.all("section")}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_has_the_pixels_of_the_image(channels, tmp_path):
    image = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (channels, 9, 9), dtype=np.uint8)
    )
    (tmp_path / "a.png").write_bytes(picture_of(image, "noise").content)
    with Image.open(tmp_path / "a.png") as shown:
        pixels = np.asarray(shown).reshape(9, 9, channels)
    assert np.array_equal(pixels, image.permute(1, 2, 0).numpy())


def test_large_pictures_are_reduced_and_the_original_is_not(tmp_path):
    image = Image.new("RGB", (600, 300))
    (tmp_path / "a.png").write_bytes(picture_of(image, "black").content)
    with Image.open(tmp_path / "a.png") as shown:
        assert shown.size == (256, 128)
    assert image.size == (600, 300)
