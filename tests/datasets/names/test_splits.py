import pytest

from medzoo.datasets.names.splits import find_split, resembles_split, split_named


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train Train TRAINING training_set train-data trainset train_images"),
        ("val", "val VALID Validation validation_set dev Dev valid_imgs"),
        ("test", "test Test Testing TEST_SET test-split testImages"),
    ],
)
def test_the_usual_spellings_of_splits_are_known(split, names):
    for name in names.split():
        assert find_split(name) == split_named(name) == split
        assert resembles_split(name)


@pytest.mark.parametrize(
    "name",
    [
        "fold1",
        "Fold_2",
        "fold",
        "k-fold 3",
        "5th fold",
        "test2",
        "trainA",
        "train_1",
        "holdout",
        "eval",
    ],
)
def test_folds_and_parts_resemble_splits_without_being_one(name):
    assert find_split(name) is None
    assert resembles_split(name)


@pytest.mark.parametrize(
    "name",
    ["benign", "invalid", "contest", "tested positive", "valve", "0", "trainee", "", "folded"],
)
def test_names_of_classes_do_not_resemble_splits(name):
    assert not resembles_split(name)
    with pytest.raises(ValueError, match="unknown split"):
        split_named(name)
