"""Weights that may have seen in training what they are evaluated on."""

import re
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import medzoo
from medzoo.datasets import Provenance
from medzoo.datasets import resplit as resplit_data
from medzoo.datasets.storage.md5 import known_files
from medzoo.errors import WeightsError
from medzoo.models import save_weights
from medzoo.training.records.lineage import lineage
from medzoo.weights import sample_digests, weights_index
from medzoo.weights.overlap import warn_if_trained_on

OFFICIAL = Provenance("breastmnist.npz", "a" * 32, official=True)
LARGER = Provenance("breastmnist_64.npz", "b" * 32, official=True)
KNOWN = Provenance("breastmnist.npz", next(iter(known_files())), official=False, note="rebuilt")
REBUILT = next(md5 for md5, note in known_files().items() if note == "rebuilt, own split")
OWN_SPLIT = Provenance("breastmnist.npz", REBUILT, official=False, note="rebuilt, own split")
OTHER = Provenance("breastmnist.npz", "c" * 32, official=False, note="partial: 3 of 4 test images")
OWN = Provenance("own.npz", "d" * 32, official=False, note="own data")
UNREADABLE = replace(OWN, note="own data; 1 of 9 images unreadable")
ARRAYS = Provenance(None, None, official=False, note="own data")


def resplit(provenance, name=""):
    note = "; ".join(filter(None, (provenance.note, f"own split {name}".strip())))
    return replace(provenance, official=False, note=note)


@pytest.fixture
def warned(tmp_path):
    """Whether there is a warning, by a file's training data and the data it is evaluated on."""
    tiny = medzoo.synthetic("breastmnist", n_train=4, n_val=4, n_test=4)
    model = medzoo.create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16))

    def check(trained, tested, name=tiny.info.name):
        training = {"data": trained.to_dict()} if trained else {}
        path = save_weights(model, tmp_path / "own.safetensors", training=training)
        data = replace(tiny, info=replace(tiny.info, name=name), provenance=tested)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_if_trained_on(path, data)
        return [str(warning.message) for warning in caught]

    return check


@pytest.mark.parametrize(
    ("trained", "tested"),
    [
        (resplit(OFFICIAL), OFFICIAL),
        (resplit(OFFICIAL, "a.csv"), OFFICIAL),
        (resplit(OFFICIAL, "a.csv"), resplit(OFFICIAL, "b.csv")),
        (resplit(KNOWN), KNOWN),
        (resplit(OFFICIAL), LARGER),
        (OTHER, OFFICIAL),
        (OFFICIAL, OTHER),
        (OWN_SPLIT, OFFICIAL),
        (OWN, replace(OWN, md5="e" * 32)),
    ],
)
def test_another_division_is_warned_of_once(warned, trained, tested):
    (message,) = warned(trained, tested)
    assert "may have been trained on these very images" in message
    assert trained.md5 in message
    assert tested.md5 in message


@pytest.mark.parametrize(
    ("trained", "tested"),
    [
        *(
            (same, same)
            for same in (OFFICIAL, KNOWN, OTHER, OWN, OWN_SPLIT, resplit(OFFICIAL, "a.csv"))
        ),
        (OFFICIAL, LARGER),
        (KNOWN, OFFICIAL),
        (UNREADABLE, OWN),
        (ARRAYS, OWN),
        (None, OFFICIAL),
    ],
)
def test_the_same_division_is_not(warned, trained, tested):
    assert warned(trained, tested) == []


def test_another_data_set_is_not(warned):
    assert warned(resplit(OFFICIAL), OTHER, name="another") == []


def test_published_weights_are_not_with_the_data_here(data_root):
    entries = {name: entry for name, entry in weights_index().items() if entry.metrics}
    names = {entry.dataset for entry in entries.values()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of files that are not the official ones
        here = [name for name in names if (data_root / f"{name}.npz").is_file()]
        data = {name: medzoo.load_dataset(name, root=data_root) for name in here}
    assert data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, entry in entries.items():
            if entry.dataset in data:
                warn_if_trained_on(name, data[entry.dataset])


# By content


def files_of(data, folder):
    """Write a data set as a folder of images per class, without splits."""
    for name, split in data.splits.items():
        for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = folder / str(int(label)) / f"{name}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy().squeeze()).save(path)
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Somebody's images, and a folder of them."""
    data = medzoo.synthetic("dermamnist", n_train=60, n_val=20, n_test=20)
    return data, files_of(data, tmp_path_factory.mktemp("own") / "mine")


@pytest.fixture
def trained_on(tmp_path):
    """Write weights that record a data set, and return the warnings about another one."""

    def check(trained, tested):
        model = medzoo.create_model("simple_cnn", dataset=trained, widths=(4, 4, 4))
        path = save_weights(
            model, tmp_path / "own.safetensors", training=lineage(model, trained, None, None)
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_if_trained_on(path, tested)
        return [str(warning.message) for warning in caught]

    return check


def test_a_renamed_folder_with_other_splits_is_recognised(own, trained_on, tmp_path):
    _, folder = own
    trained = medzoo.load_dataset(folder)
    renamed = shutil.copytree(folder, tmp_path / "renamed")
    assert trained_on(trained, medzoo.load_dataset(renamed)) == []  # in the same splits
    Image.fromarray(np.arange(28 * 28 * 3, dtype=np.uint8).reshape(28, 28, 3)).save(
        renamed / "0" / "aaa_one_more.png"
    )
    tested = medzoo.load_dataset(renamed)
    found = trained_on(trained, tested)
    assert found
    for message in found:
        assert re.search(r"trained on images of the (val|test) split of renamed", message)


def test_arrays_are_recognised_by_their_content(own, trained_on):
    data, _ = own
    train, val, test = ((split.images, split.labels) for split in data.splits.values())
    trained = medzoo.Dataset.from_arrays(train, val, test, name="a")
    tested = medzoo.Dataset.from_arrays(test, val, train, name="b")
    (message,) = trained_on(trained, tested)
    assert "of the test split" in message
    assert "at least on 60 of the 60 that it records" in message
    assert trained_on(trained, trained) == []


def test_other_images_are_not(own, trained_on):
    data, _ = own
    other = medzoo.synthetic("dermamnist", n_train=60, n_val=20, n_test=20, seed=1)
    assert trained_on(data, replace(other, info=replace(other.info, name="other"))) == []


def test_empty_images_are_not_recorded(own):
    data, _ = own
    blank = replace(data.train, images=torch.full_like(data.train.images, 7))
    assert sample_digests(blank) == ""
    assert len(sample_digests(data.train).split()) == 60


def test_published_weights_recognise_medmnists_images_under_another_name(data_root):
    data = medzoo.load_dataset("breastmnist", root=data_root)
    order = np.random.default_rng(0).permutation(780).tolist()
    mixed = resplit_data(data, {"train": order[:500], "val": order[500:600], "test": order[600:]})
    tested = replace(
        mixed,
        info=replace(mixed.info, name="ultrasound"),
        **{
            name: replace(split, provenance=ARRAYS, info=replace(split.info, name="ultrasound"))
            for name, split in mixed.splits.items()
        },
    )
    with pytest.warns(UserWarning, match=r"trained on images of the (val|test) split"):
        warn_if_trained_on("simple_cnn.breastmnist", replace(tested, provenance=ARRAYS))


@pytest.mark.parametrize(
    "record",
    [5, "x", [1], {"md5": 1}, {"file": "a", "md5": None, "official": "no"}, {"note": None}],
)
def test_a_record_that_is_none_is_refused(record, own, tmp_path):
    data, _ = own
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    path = save_weights(model, tmp_path / "own.safetensors", training={"data": record})
    with pytest.raises(WeightsError, match="not a record of file, md5, official and note"):
        warn_if_trained_on(path, data)


def test_all_published_weights_record_images():
    for name, entry in weights_index().items():
        assert (len(entry.data.get("image_digests", "").split()) >= 50) == bool(entry.metrics), name
