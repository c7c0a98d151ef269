"""The index agrees with the files it lists."""

import json
import math

import pytest

from medzoo.datasets import list_datasets
from medzoo.errors import WeightsError
from medzoo.models import create_model, list_models
from medzoo.training import Recipe
from medzoo.weights import (
    WeightsEntry,
    find_entry,
    locate_weights,
    read_config,
    read_index,
    weights_index,
)

CLASSIFIERS = sorted(name for name, entry in weights_index().items() if entry.metrics)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_entry_describes_its_file(name):
    entry = weights_index()[name]
    config = read_config(locate_weights(entry))  # checks the sha256
    assert entry.spec == config.spec  # from which medzoo.models configures timm
    assert name.split(".")[0] == entry.architecture
    assert config.spec.dataset.name == entry.dataset
    assert entry.architecture in list_models()
    assert entry.dataset in list_datasets()
    assert config.spec.dataset.mean is not None
    assert config.spec.input.mean == config.spec.dataset.mean
    assert Recipe.from_dict(entry.recipe).seed == entry.seed
    assert all(0 <= value <= 1 for value in (entry.metrics["test"]["auc"],))
    assert entry.licence
    assert entry.data["file"] is None or math.isfinite(len(entry.data["md5"]))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_entry_loads_and_counts_right(name):
    entry = weights_index()[name]
    for model in (
        create_model(name, pretrained=True),
        create_model(
            entry.architecture,
            dataset=entry.dataset,
            size=entry.spec.input.size,
            pretrained=True,
        ),
    ):
        assert sum(p.numel() for p in model.parameters()) == entry.parameters
        assert not model.training
        assert model.dataset.name == entry.dataset


def test_entries_are_plain_json():
    for entry in weights_index().values():
        values = entry.to_dict()
        assert WeightsEntry.from_dict(json.loads(json.dumps(values))) == entry
        assert WeightsEntry.from_dict(json.loads(json.dumps(values))).to_dict() == values


def test_a_backbone_of_several_sets_has_the_spec_of_its_file_and_is_named_by_its_tag():
    for name, entry in weights_index().items():
        if name in CLASSIFIERS:
            continue
        assert entry.spec == read_config(locate_weights(entry)).spec
        assert (entry.dataset, entry.spec.num_classes) == (name.partition(".")[2], 0)
        assert entry.licence


def test_no_two_entries_share_a_file():
    files = [entry.file for entry in weights_index().values()]
    assert len(set(files)) == len(files)


def test_absent_entry_says_which_exist_and_how_to_make_it():
    with pytest.raises(WeightsError, match=r"medzoo train simple_cnn --dataset my_data") as error:
        find_entry("simple_cnn", "my_data")
    assert all(name in str(error.value) for name in weights_index())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "../../elsewhere.safetensors"}, "file="),
        ({"file": "/etc/passwd"}, "file="),
        ({"sha256": "0" * 63}, "sha256="),
        ({"sha256": None}, "sha256="),
        ({"bytes": 10**400}, "bytes="),
        ({"seed": "0"}, "seed="),
        ({"metrics": []}, "metrics="),
        ({"hub": {"repo_id": None, "revision": "main"}}, "hub repo_id="),
        ({"more": 1}, "more"),
    ],
)
def test_an_index_whose_values_do_not_fit_is_refused(changes, message, tmp_path):
    entry = weights_index()["simple_cnn.dermamnist"]
    values = {name: value for name, value in entry.to_dict().items() if name != "name"}
    path = tmp_path / "index.json"
    path.write_text(json.dumps({entry.name: values}))
    assert read_index(path) == {entry.name: entry}
    path.write_text(json.dumps({entry.name: values | changes}))
    with pytest.raises(WeightsError, match=rf"index\.json is not a readable index.*{message}"):
        read_index(path)
