"""Every example of the pages runs, in the order of its page, in a fresh folder.

The pages are run as they are: no name is defined for them. Replaced are only things that tests
cannot have: the reader's own images and the data sets are small and made up, and a training ends
after its first epoch.
"""

import importlib
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest

import medzoo
from medzoo import deployment
from medzoo.deployment import Description
from medzoo.deployment.cache import cache_path
from medzoo.training import Callback, Trainer
from tests.docs.reader_files import write_datasets, write_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
SPEC = importlib.util.spec_from_file_location("gen_outputs", ROOT / "docs" / "gen_outputs.py")
gen_outputs = importlib.util.module_from_spec(SPEC)
sys.modules["gen_outputs"] = gen_outputs  # where dataclasses look for it
SPEC.loader.exec_module(gen_outputs)
BLOCKS = {page: gen_outputs.read_blocks(path.read_text("utf-8")) for page, path in PAGES.items()}

NOT_RUN = {
    "README.md": 2,
    "docs/architecture-search.md": 2,
    "docs/command-line.md": 1,
    "docs/evaluation.md": 2,
    "docs/experiment-tracking.md": 4,
    "docs/export.md": 2,
    "docs/hub.md": 1,
    "docs/own-data.md": 1,
    "docs/reports.md": 1,
    "docs/reproducing.md": 2,
    "docs/robustness.md": 1,
    "docs/scaling.md": 3,
    "docs/search.md": 3,
    "docs/serving.md": 5,
    "docs/speed.md": 1,
    "docs/timm.md": 1,
    "docs/transfer-learning.md": 1,
    "docs/uncertainty.md": 1,
    "docs/why-efficientnet-scored-25.md": 2,
}
"""How many blocks of each page are not run; the page says why."""
SLOW = {
    "docs/evaluation.md",
    "docs/export.md",
    "docs/fast-inference.md",
    "docs/own-data.md",
    "docs/reports.md",
    "docs/scaling.md",
    "docs/search.md",
    "docs/training.md",
    "docs/transfer-learning.md",
}


class OneEpoch(Callback):
    def on_epoch_end(self, state):
        state.stop("one epoch is enough for a test")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    write_datasets(folder)
    return folder


@pytest.fixture(scope="session")
def files_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files") / "reader"
    write_files(folder)
    return folder


@pytest.fixture(scope="session")
def export_once():
    """Export a network to ONNX as medzoo does, but the same network only once."""
    exported = {}

    def export_onnx(model, **options):
        key = cache_path(model, Description.of(model)), *sorted(options.items())
        if key not in exported:
            exported[key] = deployment.export_onnx(model, **options)
        return exported[key]

    return export_onnx


@pytest.fixture
def reader(tmp_path, monkeypatch, data_folder, files_folder, export_once, hub):
    """Make the test a reader with small data sets and own images, who trains for one epoch."""
    train = Trainer.fit

    def fit(self, *args, **options):
        self.callbacks.append(OneEpoch())
        return train(self, *args, **options)

    folder = shutil.copytree(files_folder, tmp_path / "reader")
    monkeypatch.setattr(Trainer, "fit", fit)
    module = importlib.import_module("medzoo.deployment.export")  # has a function of its name
    monkeypatch.setattr(module, "export_onnx", export_once)
    monkeypatch.setenv("MEDZOO_DATA", str(data_folder))
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.chdir(folder)


@pytest.fixture
def published(page, hub):
    """Publish the repository that some pages load on the Hub, which is one on this machine."""
    if any("org/name" in block.code for block in BLOCKS[page]):
        medzoo.push_to_hub("simple_cnn.breastmnist", "org/name", token=hub.token)
        refs = hub.repositories["org/name"].refs
        refs["v1.0"] = refs["main"]


@pytest.mark.filterwarnings("ignore:.*is not the official medmnist file")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow) if page in SLOW else page
        for page, blocks in BLOCKS.items()
        if blocks
    ],
)
@pytest.mark.usefixtures("reader", "published")
def test_every_example_runs(page):
    ran = list(gen_outputs.run_blocks(BLOCKS[page], page))
    assert len(ran) == sum(not block.reason for block in BLOCKS[page])


def test_no_block_is_overlooked():
    for page, path in PAGES.items():
        fences = re.findall(
            r"^ *```(python|console|bash|sh|pycon)\b", path.read_text("utf-8"), re.M
        )
        assert len(fences) == len(BLOCKS[page]), page


def test_what_is_not_run_is_known_here():
    reasons = {
        page: [block.reason for block in blocks if block.reason] for page, blocks in BLOCKS.items()
    }
    assert {page: len(found) for page, found in reasons.items() if found} == NOT_RUN


def test_commands_of_other_programs_can_be_given():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    for page, blocks in BLOCKS.items():
        for block in blocks:
            if block.language == "python" or block.reason:
                continue
            for program, *arguments in block.commands():
                if program == "medzoo":
                    continue  # is run
                assert (program, arguments[0]) == ("pip", "install"), (
                    f"{page}: {program} is not run"
                )
                for extra in re.findall(r"\[(.+?)\]", " ".join(arguments)):
                    assert extra in extras, page


def test_an_example_that_fails_is_noticed():
    page = "```python\nnumber = 1\n```\n\n```python\nnumber += missing\n```\n"
    with pytest.raises(NameError, match="missing"):
        list(gen_outputs.run_blocks(gen_outputs.read_blocks(page), "page.md"))
    page = "```console\n$ medzoo info no_such_model\n```\n"
    with pytest.raises(RuntimeError, match=r"page.md: medzoo info no_such_model"):
        list(gen_outputs.run_blocks(gen_outputs.read_blocks(page), "page.md"))


def test_outputs_are_replaced_by_what_is_printed():
    page = (
        "```python\nprint(1 + 1)\n```\n\n<!-- output -->\n\n```text\n3\n```\n\n<!-- /output -->\n\n"
        "<!-- not run: it fails -->\n\n```python\n1 / 0\n```\n"
    )
    assert gen_outputs.with_outputs(page, "page.md") == page.replace("3", "2")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page, blocks in BLOCKS.items() if any(block.output is not None for block in blocks)],
)
def test_shown_outputs_are_those_of_today(page, data_root, files_folder, tmp_path, monkeypatch):
    """Numbers may differ: machines round differently."""
    monkeypatch.chdir(shutil.copytree(files_folder, tmp_path / "reader"))
    text = PAGES[page].read_text("utf-8")
    today = gen_outputs.with_outputs(text, page)
    assert _without_numbers(today) == _without_numbers(text)


def _without_numbers(text):
    return re.sub(r"\s*\d[\d.,]*", " 0", text)
