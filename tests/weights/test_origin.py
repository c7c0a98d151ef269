"""Where weights came from is found by name, by file and by content."""

import hashlib
import shutil

import medzoo
from medzoo.weights import bundled_path, weights_index, weights_origin

NAME = "simple_cnn.breastmnist"


def test_published_weights_are_known_by_name_and_by_content(tmp_path):
    entry = weights_index()[NAME]
    by_name = weights_origin(NAME)
    copy = shutil.copy(bundled_path(entry), tmp_path / "mine.safetensors")
    assert by_name == weights_origin(copy)
    assert (by_name.sha256, by_name.recipe["seed"]) == (entry.sha256, entry.seed)


def test_other_files_say_themselves_how_they_were_trained(tmp_path):
    data = medzoo.synthetic("breastmnist", n_train=16, n_val=12, n_test=2)
    recipe = {"epochs": 1, "seed": 7, "model_args": {"widths": (4, 4, 4)}}
    run = medzoo.train("simple_cnn", data, recipe, output=tmp_path, progress=False)
    origin = weights_origin(run.weights)
    assert origin.sha256 == hashlib.sha256(run.weights.read_bytes()).hexdigest()
    assert (origin.entry, origin.recipe["seed"]) == (None, 7)
    medzoo.save_weights(run.model, tmp_path / "plain.safetensors")
    assert weights_origin(tmp_path / "plain.safetensors").recipe == {}
