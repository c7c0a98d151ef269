import json
import subprocess
import sys

import pytest
from medmnist import INFO

from medzoo.datasets import DatasetInfo, dataset_info, list_datasets
from medzoo.datasets.info import split_tag


def test_the_twelve_2d_sets_are_listed():
    assert len(list_datasets()) == 12
    assert set(list_datasets()) == {name for name in INFO if not name.endswith("3d")}


@pytest.mark.parametrize("name", list_datasets())
def test_info_is_medmnists_own(name):
    info, entry = dataset_info(name), INFO[name]
    assert info.title == entry["python_class"]
    assert info.task == entry["task"]
    assert dict(enumerate(info.classes)) == {int(k): v for k, v in entry["label"].items()}
    assert info.num_classes == len(entry["label"])
    assert info.channels == entry["n_channels"]
    assert info.sizes == (28, 64, 128, 224)
    assert info.n_samples == entry["n_samples"]
    assert info.multi_label == (name == "chestmnist")
    assert info.has_laterality == name.startswith("organ")


def test_case_does_not_matter_and_unknown_names_get_close_matches():
    assert dataset_info("DermaMNIST").name == "dermamnist"
    with pytest.raises(ValueError, match="did you mean 'dermamnist'"):
        dataset_info("dermanist")
    with pytest.raises(ValueError, match="unknown dataset 'organmnist3d'"):
        dataset_info("organmnist3d")


def test_round_trip_through_json_and_hashable():
    info = dataset_info("octmnist")
    again = DatasetInfo.from_dict(json.loads(json.dumps({**info.to_dict(), "added_later": 1})))
    assert again == info
    assert hash(again) == hash(info)
    with pytest.raises(ValueError, match="not a DatasetInfo"):
        DatasetInfo.from_dict({"name": "x"})


@pytest.mark.parametrize(
    ("name", "sided"),
    [
        ("left kidney", True),
        ("kidney-right", True),
        ("left_kidney", True),
        ("KIDNEY_LEFT", True),
        ("leftKidney", True),
        ("KidneyRight", True),
        ("CTLeftLung", True),
        ("lung2right", True),
        ("bright spot", False),
        ("upright", False),
        ("leftover", False),
        ("cleft", False),
    ],
)
def test_laterality_is_found_however_words_are_joined(name, sided):
    assert DatasetInfo("x", "X", "multi-class", ("other", name), 1, "").has_laterality == sided


@pytest.mark.parametrize(
    ("task", "classes", "message"),
    [
        ("multi-clas", ("a", "b"), "did you mean 'multi-class'"),
        ("binary-class", ("a", "b", "c"), "exactly 2"),
        ("multi-class", ("a",), "at least 2"),
        ("multi-class", ("a", "a"), "twice"),
    ],
)
def test_info_that_contradicts_itself_is_refused(task, classes, message):
    with pytest.raises(ValueError, match=message):
        DatasetInfo("x", "X", task, classes, 1, "")


def test_importing_and_asking_does_not_import_pandas_or_sklearn():
    code = (
        "import sys; from medzoo.datasets import dataset_info; dataset_info('octmnist');"
        "assert not {'pandas', 'sklearn', 'medmnist', 'torchvision'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "size", "tag", "title"),
    [
        ("dermamnist", 28, "dermamnist", "DermaMNIST"),
        ("dermamnist", 64, "dermamnist_64", "DermaMNIST, 64 px"),
        ("dermamnist", 60, "dermamnist", "DermaMNIST"),
    ],
)
def test_larger_sizes_are_named_as_medmnist_names_its_files(name, size, tag, title):
    info = dataset_info(name)
    assert (info.tag(size), info.title_at(size)) == (tag, title)
    assert split_tag(tag) == (name, size if tag != name else 28)


@pytest.mark.parametrize("tag", ["own_64", "dermamnist_65", "dermamnist_", "_64", "dermamnist_28"])
def test_other_names_have_no_size(tag):
    assert split_tag(tag) == (tag, 28)
