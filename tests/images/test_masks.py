import pytest

from medzoo import Dataset, DatasetError
from medzoo.images.masks import check_masks
from tests.datasets.own_images import class_counts, write_image

CLASSES = ("benign", "malignant")


def write_all(root, names):
    for seed, name in enumerate(names):
        write_image(root / name, seed)
    return root


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["benign (1)_mask.png", "benign (1)_mask_1.png"], ["*_mask*.*"]),
        (["benign (1)_segmentation.png"], ["*_segmentation*.*"]),
        (["benign (1)_Seg.png", "benign (2)-label.png"], ["*-label*.*", "*_Seg*.*"]),
        (["mask_benign (1).png"], ["mask_*.*"]),
        (["masks/benign (1).png", "masks/benign (2)_mask.png"], ["masks"]),
    ],
)
def test_masks_are_refused_and_the_patterns_of_the_error_exclude_them(tmp_path, names, patterns):
    images = [f"{name}/{name} ({n}).png" for name in CLASSES for n in range(1, 7)]
    root = write_all(tmp_path, images + [f"benign/{name}" for name in names])
    with pytest.raises(DatasetError) as caught:
        Dataset.from_folder(root)
    message = str(caught.value)
    first = min(root / "benign" / name for name in names).relative_to(root)
    assert f"{len(names)} of {12 + len(names)} images seem to be masks of others" in message
    assert f"e.g. {first} of benign/benign (" in message
    assert f"exclude={patterns!r}" in message
    data = Dataset.from_folder(root, exclude=patterns)
    assert sum(map(sum, class_counts(data).values())) == 12


def test_a_class_folder_of_masks_is_not_a_class_unless_it_is_given(tmp_path):
    names = [f"{folder}/{n}.png" for folder in ("images", "masks") for n in range(4)]
    files = [tmp_path / name for name in names]
    with pytest.raises(DatasetError, match=r"masks/0\.png of images/0\.png.*exclude=\['masks'\]"):
        check_masks(tmp_path, files)
    check_masks(tmp_path, files, ["images", "masks"])


def test_names_without_the_image_that_they_would_belong_to_are_no_masks(tmp_path):
    names = ["a/with_mask.png", "a/1_label.png", "b/label_2.png", "b/masked.png", "masks/3.png"]
    check_masks(tmp_path, [tmp_path / name for name in names])


def test_the_image_of_the_same_class_is_named(tmp_path):
    names = [f"{c}/{kind}/0.png" for c in "bac" for kind in ("images", "masks")]
    with pytest.raises(DatasetError, match=r"e\.g\. b/masks/0\.png of b/images/0\.png"):
        check_masks(tmp_path, [tmp_path / name for name in names])
