"""Every example of the pages runs, in the order of its page, in a fresh folder.

The pages are run as they are: no name is defined for them. Replaced are only things that tests
cannot have: the reader's own images and the data sets are small and made up, and a training ends
after its first epoch.
"""

import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

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


class OneEpoch(Callback):
    def on_epoch_end(self, state):
        state.stop("one epoch is enough for a test")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    write_datasets(folder)
    return folder


@pytest.fixture
def reader(tmp_path, monkeypatch, data_folder):
    """Make the test a reader with small data sets and own images, who trains for one epoch."""
    train = Trainer.fit

    def fit(self, *args, **options):
        self.callbacks.append(OneEpoch())
        return train(self, *args, **options)

    write_files(tmp_path)
    monkeypatch.setattr(Trainer, "fit", fit)
    monkeypatch.setenv("MEDZOO_DATA", str(data_folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore:.*is not the official file")
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
@pytest.mark.usefixtures("reader")
def test_every_example_runs(page):
    ran = list(gen_outputs.run_blocks(BLOCKS[page], page))
    assert len(ran) == sum(not block.reason for block in BLOCKS[page])
