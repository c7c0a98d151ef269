"""The examples run, each as its own process, and print what they promise."""

from pathlib import Path

import pytest

import medzoo
from tests.docs.reader_files import write_npz
from tests.processes import run_program

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

TAKE_LONGER = {"own_data.py", "own_recipe.py", "transfer_learning.py"}


def test_every_example_is_tested():
    assert {path.name for path in FOLDER.glob("*.py")} == PROMISED.keys()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in TAKE_LONGER else name
        for name in PROMISED
    ],
)
def test_runs(name, tmp_path):
    """In an empty folder, with a small made-up RetinaMNIST as the only data set."""
    if name in NEEDS_WEIGHTS and not medzoo.list_models(pretrained=True):
        pytest.skip("needs published weights, and none are in this installation")
    folder, data = tmp_path / "empty", tmp_path / "data"
    folder.mkdir()
    data.mkdir()
    retina = medzoo.synthetic("retinamnist", n_train=240, n_val=24, n_test=24)
    write_npz(data / "retinamnist.npz", retina, ("train", "val", "test"))
    assert PROMISED[name] in run_program(
        FOLDER / name, folder=folder, MEDZOO_DATA=str(data), XDG_CACHE_HOME=str(folder)
    )
    left = {path.name for path in folder.iterdir()} - {"Microsoft"}  # ONNX Runtime's own cache
    assert not left, "an example leaves files behind"
