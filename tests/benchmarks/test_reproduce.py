"""reproduce.py, run as a user runs it."""

import json
import subprocess
import sys

import pytest

import medzoo
from benchmarks.reproduction.rows import reported_rows
from medzoo.weights import weights_index
from tests.benchmarks.commands import ROOT, without_path


def reproduce(tmp_path, *arguments, data_root, as_module=False):
    """Run reproduce.py without network access; return what it printed."""
    start = ["-m", "benchmarks.reproduce"] if as_module else ["benchmarks/reproduce.py"]
    command = [sys.executable, *start, *arguments]
    no_network = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [*command, "--data-root", str(data_root), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=without_path() | no_network,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_without_data_the_pipeline_runs_on_synthetic_data(tmp_path):
    (tmp_path / "empty").mkdir()
    printed = reproduce(tmp_path, "--json", str(tmp_path / "r.json"), data_root=tmp_path / "empty")
    assert "SYNTHETIC" in printed
    assert "no data" in printed or "no weights" in printed
    assert not (tmp_path / "r.json").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["SYNTHETIC"]
    folder = tmp_path / "out" / "SYNTHETIC"
    assert "SYNTHETIC" in (folder / "TRAINING_SUMMARY.md").read_text()
    assert (folder / "model_comparison.png").stat().st_size > 1000


@pytest.mark.slow
def test_chest_row_trains_and_is_marked_partial(tmp_path, data_root):
    printed = reproduce(
        tmp_path,
        *("--train", "--rows", "chestmnist/advanced_cnn,octmnist/advanced_cnn"),
        *("--epochs", "1", "--json", str(tmp_path / "r.json")),
        data_root=data_root / "partial",
        as_module=True,
    )
    assert "ChestMNIST (2,043 of 112,120 images)" in printed
    chest, oct_row = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert chest["runs"][0]["report"]["n"] == 411
    assert oct_row["status"] == "no data"
    folder = tmp_path / "out" / "chestmnist"
    assert {path.name for path in folder.iterdir()} == {"metrics", "models", "plots"}
    assert len(list((folder / "plots").glob("*.png"))) == 4


@pytest.mark.slow
@pytest.mark.skipif(not medzoo.list_models(pretrained=True), reason="no checkpoint is bundled")
@pytest.mark.parametrize("part", [0, 1])  # so that two processes share the work
def test_published_weights_score_what_the_index_says(tmp_path, data_root, part):
    # Without the ensembles, which pass each image through three networks eight times.
    rows = ",".join([row.name for row in reported_rows() if not row.members][part::2])
    reproduce(tmp_path, "--rows", rows, "--json", str(tmp_path / "r.json"), data_root=data_root)
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    for row in rows:
        if row["runs"]:
            entry = weights_index()[f"{row['model']}.{row['dataset']}"]
            assert row["runs"][0]["report"]["acc"] == pytest.approx(
                entry.metrics["test"]["acc"], abs=1e-9
            )
