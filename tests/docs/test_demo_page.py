"""The documentation's demo: part of the site if it can be built, else left out with a message."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import medzoo

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "demo" / "index.md").read_text("utf-8")
PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="demo/index.md"))


@pytest.fixture
def hook(monkeypatch):
    spec = importlib.util.spec_from_file_location("gen_demo", ROOT / "docs" / "gen_demo.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gen_demo", module)
    spec.loader.exec_module(module)
    monkeypatch.delenv("MEDZOO_DEMO", raising=False)
    monkeypatch.delenv("MEDZOO_DATA", raising=False)
    return module


def test_without_node_the_site_is_built_without_the_demo(hook, monkeypatch, tmp_path, capsys):
    def no_npm(*args, **options):
        raise ImportError("there is no npm; install Node.js")

    monkeypatch.setattr(hook, "export_web", no_npm)
    text = hook.on_page_markdown(TEXT, PAGE)
    assert "built without the demo: there is no npm." in text
    assert "<iframe" not in text
    hook.on_post_build({"site_dir": str(tmp_path)})
    assert "the demo is left out: there is no npm" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_it_can_be_switched_off(hook, monkeypatch):
    monkeypatch.setenv("MEDZOO_DEMO", "off")
    monkeypatch.setattr(hook, "export_web", None)
    assert "MEDZOO_DEMO is off" in hook.on_page_markdown(TEXT, PAGE)


def test_the_page_shows_the_demo(hook, monkeypatch, tmp_path):
    calls = []

    def export_web(models, folder, *, samples, runtime):
        calls.append((models, samples))
        folder.mkdir(parents=True)
        (folder / "index.html").write_text("the page")

    monkeypatch.setattr(hook, "export_web", export_web)
    text = hook.on_page_markdown(TEXT, PAGE)
    assert '<iframe class="demo" src="app/index.html"' in text
    assert hook.MARKER not in text
    hook.on_post_build({"site_dir": str(tmp_path)})
    assert (tmp_path / "demo" / "app" / "index.html").read_text() == "the page"
    ((models, samples),) = calls  # built once
    assert set(models) <= set(medzoo.list_models(pretrained=True))
    assert {sample.model for sample in samples} <= set(models)
    assert len(samples) >= 4
    assert all("made by a program" in sample.credit for sample in samples)


def test_other_pages_are_left_alone(hook):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))
    assert hook.on_page_markdown(hook.MARKER, page) == hook.MARKER


def test_only_images_that_may_be_shown_are(hook):
    for name in hook.CREDITS:
        assert medzoo.dataset_info(name).licence == "CC BY 4.0"
