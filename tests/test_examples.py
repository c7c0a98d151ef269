"""The examples run, each as its own process, and print what they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import medzoo

FOLDER = Path(__file__).parent.parent / "examples"
PROMISED = {
    "classify_an_image.py": "Most probable:",
    "classify_with_onnxruntime.py": "Largest difference from medzoo.predict:",
    "transfer_learning.py": "knn_probe     DermaMNIST",
    "own_data.py": "classes disc, ring; differs by",
    "own_recipe.py": "kept: epoch",
}
NEEDS_WEIGHTS = {
    "classify_an_image.py",
    "classify_with_onnxruntime.py",
    "transfer_learning.py",
}


def run(name: str, folder: Path) -> str:
    """Run an example with an empty data folder as its own, so that it can rely on no data set."""
    if name in NEEDS_WEIGHTS and not medzoo.list_models(pretrained=True):
        pytest.skip("needs published weights, and none are in this installation")
    environment = {
        **os.environ,
        "MEDZOO_DATA": str(folder),
        "XDG_CACHE_HOME": str(folder),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(FOLDER / name)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    assert {path.name for path in FOLDER.glob("*.py")} == PROMISED.keys()


@pytest.mark.parametrize("name", PROMISED)
def test_runs(name, tmp_path):
    assert PROMISED[name] in run(name, tmp_path)
    left = {path.name for path in tmp_path.iterdir()} - {"Microsoft"}  # ONNX Runtime's own cache
    assert not left, "an example leaves files behind"
