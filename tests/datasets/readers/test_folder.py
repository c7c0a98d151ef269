import shutil
import warnings

import pytest
import torch
from PIL import Image

import medzoo
from medzoo import Dataset, DatasetError, load_dataset
from medzoo.images.file import read_image
from tests.datasets.own_images import class_counts, write_folder, write_image

SPLIT = {
    "train/no": 4,
    "train/yes": 3,
    "val/no": 1,
    "val/yes": 2,
    "test/yes": 1,
    "test/no": 2,
}
WHOLE = {"no": 20, "yes": 10}


def test_splits_are_those_of_the_folders(tmp_path):
    root = write_folder(tmp_path / "moles", SPLIT, size=(16, 16))
    data = Dataset.from_folder(root, size=16)
    assert data.info.name == "moles"
    assert data.info.task == "binary-class"
    assert data.info.classes == ("no", "yes")
    assert class_counts(data) == {"train": [4, 3], "val": [1, 2], "test": [2, 1]}
    assert torch.equal(
        data.train.images[5, 0], torch.tensor(read_image(root / "train/yes/001.png"))
    )
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)
    assert data.title == "moles (own data)"
    assert not data.official


def test_a_folder_of_classes_is_split_by_seed_and_in_proportion(tmp_path):
    root = write_folder(tmp_path / "moles", WHOLE)
    data = Dataset.from_folder(root, fractions=(0.5, 0.3, 0.2))
    assert class_counts(data) == {"train": [10, 5], "val": [6, 3], "test": [4, 2]}
    assert data.title == "moles (own data; split with seed 0)"
    again = Dataset.from_folder(root, fractions=(0.5, 0.3, 0.2))
    other = Dataset.from_folder(root, fractions=(0.5, 0.3, 0.2), seed=1)
    assert torch.equal(data.test.images, again.test.images)
    assert not torch.equal(data.test.images, other.test.images)
    assert data.provenance.md5 == again.provenance.md5 != other.provenance.md5


def test_without_a_validation_split_training_gives_a_part(tmp_path):
    root = write_folder(tmp_path / "moles", {"train/a": 17, "train/b": 17, "test/a": 2})
    line = r"moles has no val split, so 4 of 34 images of train become val \(stratified, seed 0\)"
    with pytest.warns(UserWarning, match=line) as told:
        data = Dataset.from_folder(root, fractions=(0.8, 0.1, 0.1))
    assert [one.filename for one in told] == [__file__]
    assert class_counts(data) == {"train": [15, 15], "val": [2, 2], "test": [2, 0]}
    assert data.provenance.note == "own data; val split from train with seed 0"


@pytest.mark.parametrize(
    "names",
    [
        {"val": "valid"},
        {"val": "validation"},
        {"val": "Val"},
        {"val": "dev"},
        {"train": "Training", "val": "Validation", "test": "Testing"},
        {"train": "TRAIN", "val": "valid_set", "test": "Test images"},
    ],
)
def test_other_names_of_splits(tmp_path, names):
    counts = SPLIT
    for split, name in names.items():
        counts = {folder.replace(f"{split}/", f"{name}/"): n for folder, n in counts.items()}
    data = Dataset.from_folder(write_folder(tmp_path, counts))
    assert data.info.classes == ("no", "yes")
    assert class_counts(data) == {"train": [4, 3], "val": [1, 2], "test": [2, 1]}


def test_splits_may_be_inside_of_the_classes(tmp_path):
    counts = {"/".join(reversed(folder.split("/"))): count for folder, count in SPLIT.items()}
    data = Dataset.from_folder(write_folder(tmp_path, counts))
    assert data.info.classes == ("no", "yes")
    assert class_counts(data) == {"train": [4, 3], "val": [1, 2], "test": [2, 1]}
    assert data.provenance.note == "own data"


def test_copies_of_a_file_stay_together(tmp_path):
    root = write_folder(tmp_path, WHOLE)
    for number in range(20):
        shutil.copy(root / f"no/{number:03}.png", root / f"no/{number:03}-copy.png")
    data = Dataset.from_folder(root)
    known = {image.numpy().tobytes() for image in data.train.images}
    assert len(data.train) + len(data.val) + len(data.test) == 50
    assert not any(image.numpy().tobytes() in known for image in data.test.images)


def test_hidden_images_are_ignored_and_other_files_counted(tmp_path):
    root = write_folder(tmp_path, SPLIT)
    (root / "train" / "no" / "notes.txt").write_text("not an image")
    (root / "train" / "readme.md").write_text("nor this")
    write_image(root / ".thumbnails" / "a.png", 90)
    write_image(root / "train" / "no" / ".ipynb_checkpoints" / "000.png", 91)
    write_image(root / "__MACOSX" / "a.png", 92)
    write_image(root / "train" / "yes" / "patient 3" / "deep.png", 93)
    (root / "test" / "no" / "scan.nii.gz").write_bytes(b"\x1f\x8b")
    (root / "test" / "yes" / "gone.png").symlink_to(tmp_path / "nowhere")
    (root / "maybe").symlink_to(tmp_path / "nowhere")
    with pytest.warns(UserWarning, match="not read as images") as told:
        data = Dataset.from_folder(root)
    assert class_counts(data)["train"] == [4, 4]
    assert [one.filename for one in told] == [__file__]
    assert str(told[0].message) == (
        f"{root}: not read as images: broken links (2, e.g. maybe): restore their targets; "
        "volumes (1, e.g. test/no/scan.nii.gz): save their slices as PNG, or pass them as arrays; "
        "other files (1, e.g. train/no/notes.txt)"
    )


def test_documents_beside_the_folders_of_classes_are_no_news(tmp_path):
    root = write_folder(tmp_path, WHOLE)
    (root / "README.md").write_text("what it shows")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Dataset.from_folder(root)
    (root / "scan.heic").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"HEIC images \(1, e\.g\. scan\.heic\): convert.*PNG"):
        Dataset.from_folder(root)


def test_links_to_folders_are_followed(tmp_path):
    root = write_folder(tmp_path / "data", SPLIT)
    write_image(tmp_path / "elsewhere" / "a.png", 94)
    (root / "train" / "no" / "linked").symlink_to(tmp_path / "elsewhere")
    assert class_counts(Dataset.from_folder(root))["train"] == [5, 3]


def test_classes_are_sorted_by_value_if_numbers_else_as_given(tmp_path):
    root = write_folder(
        tmp_path, {f"{s}/{k}": 1 for s in ("train", "val", "test") for k in (10, 9)}
    )
    for number, file in enumerate(sorted(root.rglob("*.png"))):
        write_image(file, 100 + number)
    assert Dataset.from_folder(root).info.classes == ("9", "10")
    data = Dataset.from_folder(root, ["10", "9"], task="ordinal-regression", name="grades")
    assert data.info.classes == ("10", "9")
    assert (data.info.task, data.info.name) == ("ordinal-regression", "grades")


def test_an_unreadable_image_is_an_error_or_left_out_with_a_warning(tmp_path):
    root = write_folder(tmp_path / "moles", SPLIT)
    (root / "train" / "no" / "002.png").write_bytes(b"\x89PNG, but no more")
    with pytest.raises(DatasetError, match=r"002\.png"):
        Dataset.from_folder(root)
    with pytest.warns(UserWarning, match=r"moles: 1 of 13 images .*002\.png") as told:
        data = Dataset.from_folder(root, on_error="skip")
    assert told[0].filename == __file__
    assert class_counts(data)["train"] == [3, 3]
    assert "1 of 13 images unreadable" in data.title
    for name in ("000", "001", "003"):
        (root / "train" / "no" / f"{name}.png").write_bytes(b"")
    with (
        pytest.raises(DatasetError, match="class 'no' has no images in train"),
        pytest.warns(UserWarning, match="4 of 13"),
    ):
        Dataset.from_folder(root, on_error="skip")


def test_the_md5_is_that_of_images_labels_and_splits(tmp_path):
    root = write_folder(tmp_path / "a", SPLIT)
    md5 = Dataset.from_folder(root).provenance.md5
    copy = shutil.copytree(root, tmp_path / "b")
    assert Dataset.from_folder(copy, size=8).provenance.md5 == md5
    (copy / "train/no/000.png").rename(copy / "train/yes/999.png")
    moved = Dataset.from_folder(copy).provenance.md5
    write_image(copy / "train/no/001.png", 77)
    changed = Dataset.from_folder(copy).provenance.md5
    assert len({md5, moved, changed}) == 3


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "has no sub-folders"),
        ({"train": 1}, "images without a class, e.g. 000.png"),
        ({"yes": 3, ".": 1}, "images without a class"),
        (SPLIT | {"train/maybe": 0}, "class folder .*maybe contains no images"),
        (SPLIT | {"extra/no": 1}, "folders of splits .train, val, test., but .* contains extra"),
        (SPLIT | {"test/yess": 1}, "'yess' has no images in train.*did you mean 'yes'"),
        ({f"fold{n}/{c}": 3 for n in (1, 2, 3) for c in "ab"}, "folds, .*: fold1, fold2, fold3"),
        ({f"benign/fold_{n}": 3 for n in (1, 2)} | {"malignant": 3}, "fold_1 seems to be a split"),
        ({"train_set/a": 2, "Training/b": 2, "test/a": 1}, "both stand for the split train"),
        ({"train_a": 3, "train_b": 3, "test_a": 3, "test_b": 3}, "splits or folds.*: test_a, "),
        ({"holdout/a": 3, "holdout/b": 3, "other": 3}, "splits or folds, not classes: holdout;"),
        ({"a/train": 4, "b/train": 4, "c": 3}, "of its folders have to be splits|without a split"),
        ({"a/train": 4, "b/train": 4, "b/other": 3}, "of its folders have to be splits.*exclude="),
        ({"a/train": 4, "a/test": 4, "b/train": 4, "b": 3}, "without a split, e.g. 000.png"),
        ({"a/train/x": 4, "a/test/x": 4, "b/train/x": 4}, "either could be its class"),
        ({"train/a/test": 4, "train/b": 4}, "test seems to be a split or fold inside"),
        ({"data/train/a": 4, "data/test/a": 4}, "data contains the splits; give this folder"),
        ({"train/a": 2, "val/a": 1, "test/a": 1}, "there is only one class, 'a'"),
        (
            {"no": 9, "yes": 9, "yse": 2},
            "'yse' has too few different images .2.*did you mean 'yes'",
        ),
        ({"no": 9, "No": 9}, "'No' and 'no' differ only in case"),
    ],
)
def test_invalid_folders_give_one_clear_error(tmp_path, counts, message):
    root = write_folder(tmp_path, counts)
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        assert len(list((root / folder).glob("*.png"))) == count
    with pytest.raises(DatasetError, match=message):
        Dataset.from_folder(root)


def test_one_file_in_two_splits_is_an_error_that_names_both(tmp_path):
    root = write_folder(tmp_path, SPLIT)
    shutil.copy(root / "train" / "yes" / "001.png", root / "test" / "yes" / "other.png")
    with pytest.raises(
        DatasetError, match=r"1 images are in more.*001\.png \(train\) = .*other\.png \(test\)"
    ):
        Dataset.from_folder(root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, "size=3 must be at least 4 pixels"),
        ({"fractions": (0.5, 0.5)}, "must be three numbers"),
        ({"fractions": (0.5, 0.5, 0.5)}, "add up to 1"),
        ({"fractions": (1.0, 0.0, 0.0)}, "above 0"),
        ({"on_error": "ignore"}, "unknown on_error 'ignore'"),
        ({"task": "binary"}, "unknown task 'binary'"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_folder(write_folder(tmp_path, SPLIT), **options)


@pytest.mark.parametrize("size", ["28", 28.0, None])
def test_a_size_that_is_not_an_integer_is_a_type_error(tmp_path, size):
    with pytest.raises(TypeError, match=f"size={size!r} must be a whole number of pixels"):
        Dataset.from_folder(write_folder(tmp_path, SPLIT), size=size)


def test_unknown_classes_and_folders_are_named(tmp_path):
    root = write_folder(tmp_path, SPLIT)
    with pytest.raises(DatasetError, match="unknown class 'yes'; did you mean 'yess'"):
        Dataset.from_folder(root, ["no", "yess"])
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        Dataset.from_folder(root / "nowhere")


def test_load_dataset_takes_folders_by_path_and_by_name(tmp_path, monkeypatch):
    write_folder(tmp_path / "moles", SPLIT)
    monkeypatch.chdir(tmp_path)
    for path in ("moles", "moles/", tmp_path / "moles"):
        data = load_dataset(path, size=20, classes=["yes", "no"])
        assert (data.size, data.info.classes) == (20, ("yes", "no"))
    (tmp_path / "breastmnist").mkdir()
    with pytest.raises(DatasetError, match=r"breastmnist\.npz does not exist"):
        load_dataset("breastmnist", root=tmp_path, download=False)
    with pytest.raises(ValueError, match="unknown dataset 'mole'"):
        load_dataset("mole")


def test_a_folder_of_the_test_split_alone_can_be_evaluated(tmp_path):
    root = write_folder(tmp_path / "moles", {"Testing/a": 4, "Testing/b": 3})
    data = load_dataset(root)
    assert class_counts(data) == {"test": [4, 3]}
    assert data.size == 28
    assert "test 7" in repr(data)
    model = medzoo.create_model("simple_cnn", dataset=medzoo.synthetic("breastmnist", size=28))
    with pytest.warns(UserWarning, match="made for the classes"):
        report = medzoo.evaluate(model, data.test, resamples=0, device="cpu")
    assert (report.n, report.split) == (7, "test")
    with pytest.raises(DatasetError, match=r"moles .own data. has no train split, only test"):
        data.train  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        data.trian  # noqa: B018


def test_any_split_may_be_missing(tmp_path):
    root = write_folder(tmp_path / "a", {"val/a": 1, "val/b": 1, "test/a": 1, "test/b": 1})
    assert class_counts(Dataset.from_folder(root)) == {"val": [1, 1], "test": [1, 1]}
    root = write_folder(tmp_path / "b", {"train/a": 2, "train/b": 2, "val/a": 1})
    assert class_counts(Dataset.from_folder(root)) == {"train": [2, 2], "val": [1, 0]}
    # One image of a class cannot be both in train and in val, but test can still be evaluated.
    root = write_folder(tmp_path / "c", {"train/a": 1, "train/b": 9, "test/a": 2})
    with pytest.warns(UserWarning, match="'a' has too few different images .1.*no val split"):
        data = Dataset.from_folder(root)
    assert class_counts(data) == {"train": [1, 9], "test": [2, 0]}
    with pytest.raises(DatasetError, match="has no val split, only train and test"):
        data.val  # noqa: B018


def test_folders_named_like_splits_are_classes_if_these_are_given(tmp_path):
    root = write_folder(tmp_path, {"valid": 9, "invalid": 9})
    with pytest.raises(DatasetError, match=r"contains invalid.*list all classes with classes="):
        Dataset.from_folder(root)
    data = Dataset.from_folder(root, classes=["invalid", "valid"])
    assert sum(class_counts(data)["train"]) == 12


def test_excluded_files_and_folders_are_not_read(tmp_path):
    root = write_folder(tmp_path, WHOLE | {"maybe": 3, "no/bad": 2, "loose": 0})
    write_image(root / "yes" / "000_left.png", 95)
    (root / "no" / "notes.txt").write_text("not an image")
    patterns = ["maybe", "*_left.png", "no/bad/**", "*.txt"]
    for exclude in (patterns, tuple(patterns)):
        data = load_dataset(root, exclude=exclude)
        assert data.info.classes == ("no", "yes")
        assert sum(map(sum, class_counts(data).values())) == 30
    with pytest.raises(
        ValueError, match=r"exclude='mayb' matches nothing in .*correct the pattern"
    ):
        Dataset.from_folder(root, exclude=["mayb", "*.txt"])
    with pytest.raises(ValueError, match="only for folders of images"):
        load_dataset(root / "moles.npz", exclude="maybe")


@pytest.mark.filterwarnings("ignore:.* has no val split")
@pytest.mark.parametrize("output", ["training_results/moles", "results", "train/runs"])
def test_output_of_a_training_is_not_a_class(tmp_path, output):
    root = write_folder(tmp_path, {f"{split}/{c}": 3 for split in ("train", "test") for c in "ab"})
    (root / output / "models").mkdir(parents=True)
    (root / output / "models" / "run.checkpoint.safetensors").touch()
    write_image(root / output / "plots" / "roc.png", 99)
    with pytest.warns(
        UserWarning, match=rf"output of medzoo train \(1, e\.g\. {output[:7]}[\w/]*\)"
    ):
        data = load_dataset(root)
    assert data.info.classes == ("a", "b")
    assert len(data.test) == 6


@pytest.mark.filterwarnings("ignore:.* has no val split")
def test_a_class_with_weights_in_it_is_still_a_class(tmp_path):
    root = write_folder(tmp_path, {"train/a": 3, "train/b": 3, "test/a": 3, "test/b": 3})
    for folder in ("train/a", "train/b"):
        (root / folder / "models").mkdir()
        (root / folder / "models" / "run.safetensors").touch()
    with pytest.warns(UserWarning, match=r"other files \(2, e\.g\. train/a/models/run"):
        assert len(load_dataset(root).test) == 6


@pytest.mark.parametrize("counts", [{"images": 6}, {".": 6}, {"train": 3, "test": 3}])
def test_a_table_beside_images_is_named(tmp_path, counts):
    root = write_folder(tmp_path / "moles", counts)
    (root / "labels.csv").touch()
    hint = r"If labels\.csv lists the images .* load_dataset\('.*moles/labels\.csv'\), or --data"
    with pytest.raises(DatasetError, match=hint):
        load_dataset(root)
    (root / "labels.csv").unlink()
    with pytest.raises(DatasetError) as caught:
        load_dataset(root)
    assert "--data" not in str(caught.value)


def test_a_model_learns_from_a_folder(tmp_path):
    data = load_dataset(write_folder(tmp_path / "moles", {"a": 12, "b": 12}, mode="RGB"))
    model = medzoo.create_model("simple_cnn", dataset=data)
    assert model.dataset.classes == ("a", "b")
    prediction = medzoo.predict(model, tmp_path / "moles" / "a" / "000.png")
    assert set(prediction.probabilities) == {"a", "b"}


def test_real_images_survive_the_way_through_files(data_root, tmp_path):
    data = load_dataset("breastmnist", root=data_root, download=False)
    chosen = {name: split.head(60) for name, split in data.splits.items()}
    for name, split in chosen.items():
        for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = tmp_path / "breast" / name / data.info.classes[label] / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(path)
    again = Dataset.from_folder(tmp_path / "breast")
    assert again.info.classes == data.info.classes
    for name, split in chosen.items():
        order = split.labels.argsort(stable=True)
        assert torch.equal(again.splits[name].images, split.images[order])
        assert torch.equal(again.splits[name].labels, split.labels[order])
