"""The page under axe-core, which knows the rules of WCAG: no finding in any state of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import png, until, upload

pytestmark = pytest.mark.slow
expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect

HERE = Path(__file__).parent
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm")
    folder = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        install, cwd=folder, capture_output=True, text=True, env=os.environ, timeout=300
    )
    if done.returncode != 0:
        pytest.skip(f"npm cannot install axe-core: {done.stderr.strip()[-200:]}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")


def findings(page, axe):
    moving = "document.getAnimations().length"
    until(page, lambda: page.evaluate(moving) == 0)
    page.evaluate(axe)
    options = {"runOnly": {"type": "tag", "values": RULES}}
    result = page.evaluate("options => axe.run(options)", options)
    assert len(result["passes"]) > 20
    return [
        (found["id"], [(node["target"], node["failureSummary"]) for node in found["nodes"]])
        for found in result["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 360])
def test_axe_finds_nothing(open_page, stand_in, axe, scheme, width):
    window = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = open_page(stand_in.address, **window)
    expect(page.locator("#model")).to_be_enabled()
    assert findings(page, axe) == []
    page.set_input_files("#choose", [upload("broken.png", b"no"), upload("scan.png", png(0.2))])
    expect(page.locator("#list .state", has_text="%")).to_have_count(1)
    assert findings(page, axe) == []  # an error
    page.get_by_role("button", name="scan.png").first.click()
    assert findings(page, axe) == []  # an answer
    page.select_option("#model", "findings")
    expect(page.locator("#verdict")).to_contain_text("above threshold")
    page.get_by_role("button", name="Show all 14 classes").click()
    assert findings(page, axe) == []  # several labels
    stand_in.token = "secret"
    page.select_option("#model", "unmeasured")
    expect(page.locator("#token")).to_be_visible()
    assert findings(page, axe) == []  # a closed server
