import io
import sys

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from medzoo import Dataset, DatasetError, synthetic
from tests.datasets.own_images import class_counts, write_image

NAMES = ["mole", "melanoma"]
COUNTS = {"train": 6, "validation": 4, "test": 4}
CLASSES = datasets.ClassLabel(names=NAMES)


def encoded(seed, mode="L"):
    """The bytes of a PNG file of 8 x 8 pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def part(count, first=0, label=CLASSES, labels=None, **columns):
    """A table of so many images, all different."""
    features = {"picture": datasets.Image(), "dx": label}
    values = {
        "picture": [{"bytes": encoded(first + row), "path": None} for row in range(count)],
        "dx": [row % 2 for row in range(count)] if labels is None else labels,
    }
    features |= {name: kind for name, (kind, _) in columns.items()}
    values |= {name: cells for name, (_, cells) in columns.items()}
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def parts(**counts):
    return datasets.DatasetDict(
        {name: part(count, 100 * n) for n, (name, count) in enumerate(counts.items())}
    )


def test_columns_are_found_by_their_kind_and_splits_by_name():
    data = Dataset.from_huggingface(parts(**COUNTS), size=8, name="moles")
    assert data.info.classes == ("mole", "melanoma")
    assert class_counts(data) == {"train": [3, 3], "val": [2, 2], "test": [2, 2]}
    expected = np.array(Image.open(io.BytesIO(encoded(203))))
    assert torch.equal(data.test.images[3, 0], torch.tensor(expected))
    assert data.title == "moles (own data)"
    assert data.provenance.md5 != Dataset.from_huggingface(parts(train=20)).provenance.md5


def test_without_a_test_split_the_images_are_split():
    one = part(30)
    data = Dataset.from_huggingface(one)
    assert sum(map(sum, class_counts(data).values())) == 30
    assert data.provenance.note == "own data; split with seed 0"
    wrapped = Dataset.from_huggingface(datasets.DatasetDict({"train": one}))
    assert torch.equal(data.test.images, wrapped.test.images)
    with pytest.warns(UserWarning, match="4 of 20 images of train become val") as told:
        no_val = Dataset.from_huggingface(parts(train=20, test=4))
    assert [one.filename for one in told] == [__file__]
    assert len(no_val.train) + len(no_val.val) == 20
    assert len(no_val.test) == 4


def test_splits_have_the_names_of_folders_and_some_may_be_missing():
    data = Dataset.from_huggingface(parts(Training=6, dev=4, Testing=4))
    assert class_counts(data) == {"train": [3, 3], "val": [2, 2], "test": [2, 2]}
    assert class_counts(Dataset.from_huggingface(parts(test=4))) == {"test": [2, 2]}
    with pytest.raises(ValueError, match="train, training, test stand for the same split; join"):
        Dataset.from_huggingface(parts(train=6, training=4, test=4))


def test_lists_of_classes_are_labels():
    labels = [[], [0], [1, 0], [1]] * 6
    kind = datasets.Sequence(datasets.ClassLabel(names=["effusion", "mass"]))
    data = Dataset.from_huggingface(part(24, label=kind, labels=labels), size=8)
    assert data.info.task == "multi-label, binary-class"
    assert data.info.classes == ("effusion", "mass")
    found = torch.cat([split.labels for split in data.splits.values()])
    assert found.sum(0).tolist() == [12, 12]
    assert (found.sum(1) == 0).sum() == (found.sum(1) == 2).sum() == 6


def test_classes_are_in_the_given_order():
    data = Dataset.from_huggingface(parts(**COUNTS), ["melanoma", "mole"])
    assert data.train.labels.tolist() == [1, 0] * 3
    with pytest.raises(ValueError, match="unknown class 'mole'; did you mean 'moles'"):
        Dataset.from_huggingface(parts(**COUNTS), ["melanoma", "moles"])


def test_groups_stay_together():
    patients = [f"p{row // 2}" for row in range(24)]
    table = part(24, patient=(datasets.Value("string"), patients))
    data = Dataset.from_huggingface(table, group="patient", size=8)
    row_of = {np.array(image).tobytes(): row for row, image in enumerate(table["picture"])}
    owners = [
        {patients[row_of[image.numpy().tobytes()]] for image in split.images}
        for split in data.splits.values()
    ]
    assert sum(map(len, owners)) == 12
    assert len(set.union(*owners)) == 12


def test_paths_and_tables_that_give_tensors_are_read(tmp_path):
    paths = [str(write_image(tmp_path / f"{row}.png", row, "RGB")) for row in range(12)]
    kinds = datasets.Features({"picture": datasets.Image(), "dx": CLASSES})
    table = datasets.Dataset.from_dict({"picture": paths, "dx": [0, 1] * 6}, features=kinds)
    data = Dataset.from_huggingface(table.with_format("torch"), size=8)
    assert data.info.channels == 3
    assert sum(map(sum, class_counts(data).values())) == 12


def test_an_unreadable_image_is_named_by_its_row():
    table = part(12)
    broken = table.to_dict()["picture"]
    broken[7] = {"bytes": b"no image", "path": None}
    broken[8] = None
    table = table.remove_columns("picture").add_column("picture", broken, feature=datasets.Image())
    with pytest.raises(DatasetError, match=r"train row [78]"):
        Dataset.from_huggingface(table)
    with pytest.warns(UserWarning, match=r"2 of 12 images .*train row [78]"):
        data = Dataset.from_huggingface(table, on_error="skip")
    assert sum(map(sum, class_counts(data).values())) == 10


@pytest.mark.parametrize("data", [part(0), datasets.DatasetDict()])
def test_a_data_set_without_images_is_an_error(data):
    with pytest.raises(DatasetError, match="contains no images"):
        Dataset.from_huggingface(data)


@pytest.mark.parametrize("missing", [None, -1])
def test_images_without_a_label_are_an_error(missing):
    with pytest.raises(DatasetError, match=rf"train row 3: the label is {missing}, .*0 to 1"):
        Dataset.from_huggingface(part(6, labels=[0, 1, 0, missing, 0, 1]))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (parts(train=6, extra=6), {}, "unknown split 'extra'"),
        (part(6, label=datasets.Value("string"), labels=["a"] * 6), {}, "class_encode_column"),
        (part(6), {"label": "picture"}, "label='picture': columns that contain labels are dx"),
        (part(6), {"image": "pictures"}, "unknown column 'pictures'; did you mean 'picture'"),
        (part(6), {"group": "patient"}, "unknown column 'patient'"),
        (part(6, other=(CLASSES, [0] * 6)), {}, "columns that contain labels are dx, other"),
        (
            datasets.DatasetDict({"train": part(6), "test": part(6, x=(CLASSES, [0] * 6))}),
            {},
            "test has columns",
        ),
    ],
)
def test_what_does_not_fit_gives_one_clear_error(data, options, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_huggingface(data, **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (synthetic(n_train=4, n_val=4, n_test=4), "data is Dataset, expected a datasets.Dataset"),
        (part(6).to_iterable_dataset(), "without streaming"),
    ],
)
def test_another_type_of_data_is_a_type_error(data, message):
    with pytest.raises(TypeError, match=message):
        Dataset.from_huggingface(data)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'medzoo\[huggingface\]'"):
        Dataset.from_huggingface(None)


def test_a_column_of_patients_is_the_group_by_default():
    text = datasets.Value("string")
    patients = [f"p{row // 2}" for row in range(24)]
    whole = part(24, patient_id=(text, patients))
    data = Dataset.from_huggingface(whole)
    assert data.provenance.note == "own data; split with seed 0; grouped by patient_id"
    assert all(len(split) % 2 == 0 for split in data.splits.values())
    assert "grouped" not in Dataset.from_huggingface(whole, group=False).provenance.note
    with pytest.raises(ValueError, match=r"train row 0: patient_id is empty;.*group=False"):
        Dataset.from_huggingface(part(24, patient_id=(text, [None, *patients[1:]])))
    with pytest.raises(ValueError, match="patient_id, study could"):
        Dataset.from_huggingface(part(24, patient_id=(text, patients), study=(text, patients)))


def test_names_of_columns_are_found_in_any_case():
    kind = (datasets.Value("string"), [f"p{row // 2}" for row in range(24)])
    data = part(24, patient=kind)
    found = Dataset.from_huggingface(data, image="Picture", label="DX", group="PATIENT")
    assert found.provenance.md5 == Dataset.from_huggingface(data).provenance.md5
    twice = part(24, Patient=kind, PATIENT=kind)
    with pytest.raises(ValueError, match="'patient' could be each of Patient, PATIENT"):
        Dataset.from_huggingface(twice, group="patient")


@pytest.mark.parametrize(
    "kind",
    [
        (datasets.Value("string"), ["train", "valid", "test"] * 8),
        (datasets.ClassLabel(names=["train", "test"]), [0, 1] * 12),
    ],
)
def test_a_column_of_splits_is_not_ignored(kind):
    table = part(24, subset=kind)
    message = r"subset .*datasets\.DatasetDict.*remove_columns\('subset'\)"
    for data in (table, datasets.DatasetDict({"train": table})):
        with pytest.raises(ValueError, match=message):
            Dataset.from_huggingface(data, label="dx")
    two = datasets.DatasetDict(
        {"train": table, "test": part(4, 100, subset=(kind[0], kind[1][:4]))}
    )
    with pytest.warns(UserWarning, match="become val"):
        assert len(Dataset.from_huggingface(two, label="dx").test) == 4


def test_columns_of_other_text_are_ignored():
    text = datasets.Value("string")
    table = part(24, site=(text, ["train", "bus"] * 12), note=(text, [None] * 24))
    assert "split with seed" in Dataset.from_huggingface(table).provenance.note
