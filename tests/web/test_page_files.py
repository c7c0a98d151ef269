"""What the page consists of."""

import re

import pytest

from medzoo.web import page_files

MAX_LINES = 400


def test_the_server_s_page_has_everything_that_its_files_refer_to():
    files = page_files()
    for name, content in files.items():
        text = content.decode()
        for pattern in (r'(?:href|src)="([^"#]+)"', r'from "\./([^"]+)"'):
            assert set(re.findall(pattern, text)) <= set(files), name


def test_backend_js_is_the_backend_that_was_asked_for():
    assert b"v1/models" in page_files("server_backend.js")["backend.js"]
    assert not any(name.endswith("_backend.js") for name in page_files())


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match=r"no backend 'server\.js'.*server_backend\.js"):
        page_files("server.js")


@pytest.mark.parametrize("name", sorted(page_files()))
def test_a_strict_content_security_policy_allows_each_file(name):
    text = page_files()[name].decode().replace("http://www.w3.org/2000/svg", "")
    assert "://" not in text  # of no other host
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b", text)
    assert not re.search(r"""<script(?! type="module" src=)|<style|\s(?:style|on\w+)=["']""", text)


@pytest.mark.parametrize("name", sorted(page_files()))
def test_files_stay_small(name):
    assert page_files()[name].count(b"\n") <= MAX_LINES
