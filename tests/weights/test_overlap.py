"""Weights that may have seen in training what they are evaluated on."""

import warnings
from dataclasses import replace

import pytest

import medzoo
from medzoo.datasets import Provenance
from medzoo.datasets.storage.md5 import known_files
from medzoo.models import save_weights
from medzoo.weights import weights_index
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of files that are not the official ones
        names = {entry.dataset for entry in weights_index().values() if entry.metrics}
        data = {name: medzoo.load_dataset(name, root=data_root) for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, entry in weights_index().items():
            if entry.metrics:
                warn_if_trained_on(name, data[entry.dataset])
