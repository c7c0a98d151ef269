"""HTML as a parser sees it: its elements, its text, and whether it is whole and harmless."""

from __future__ import annotations

import base64
import re
import unicodedata
from html.parser import HTMLParser

_VOID = {"img", "meta", "br", "hr", "link", "input"}


class Parsed(HTMLParser):
    """The elements of a page, with their attributes, and the text of each table cell."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} has an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if text := data.strip():
            self.texts.append((self._open[-1] if self._open else "", text))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def text_of(self, *tags: str) -> list[str]:
        """Texts directly inside elements of these kinds."""
        return [text for tag, text in self.texts if tag in tags]


def check_harmless(html: str) -> Parsed:
    """Assert that HTML is well-formed, runs nothing, loads nothing and hides nothing."""
    page = Parsed(html)
    html.encode()  # no lone surrogates
    hidden = {c for c in html if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - {"\n", "\u200d"}
    assert not hidden, f"{hidden!r}"
    known = {"a", "alt", "aria-label", "charset", "class", "content", "href", "http-equiv", "id"}
    known |= {"lang", "name", "role", "scope", "src", "tabindex"}
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base", "link", "svg")
        assert attributes.keys() <= known, f"{tag}: {attributes.keys() - known}"
        assert (attributes.get("href") or "#").startswith("#")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for image in page.all("img"):
        head, _, content = image["src"].partition(";base64,")
        assert head in ("data:image/png", "data:image/svg+xml")
        drawn = base64.b64decode(content, validate=True)
        assert image["alt"]
        if head.endswith("svg+xml"):
            links = re.findall(rb'href="(?!#|data:)', drawn)
            assert not links
            assert b"<script" not in drawn
    styles = " ".join(text for tag, text in page.texts if tag == "style")
    assert "url(" not in styles
    assert "@import" not in styles
    return page
