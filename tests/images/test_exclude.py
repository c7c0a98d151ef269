from pathlib import Path

import pytest

from medzoo.images.exclude import Exclude

ROOT = Path("busi")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*_mask.png", ["a_mask.png", "benign/a_mask.png"], ["benign/a.png", "a_mask.png.txt"]),
        ("masks", ["masks", "masks/a.png", "benign/masks/x/a.png"], ["benign/masks.png"]),
        ("benign/masks/", ["benign/masks/a.png", "x/benign/masks"], ["masks/a.png"]),
        ("**/masks/**", ["masks/a.png", "benign/masks/a.png"], ["masks2/a.png"]),
        ("benign/*.tif", ["benign/a.tif"], ["benign/x/a.tif", "malignant/a.tif"]),
        ("*_mask*.*", ["with_mask/a_mask_1.png"], ["with_mask", "with_mask/a.png"]),
    ],
)
def test_patterns_match_names_and_paths_at_any_depth(pattern, matching, others):
    exclude = Exclude(ROOT, pattern)
    assert all(exclude(ROOT / path) for path in matching)
    assert not any(exclude(ROOT / path) for path in others)


def test_each_pattern_has_to_match_something():
    exclude = Exclude(ROOT, ["*.txt", "*.tiff"])
    exclude(ROOT / "a.txt")
    with pytest.raises(ValueError, match=r"exclude='\*\.tiff' matches nothing in busi"):
        exclude.check_used()
    exclude(ROOT / "b.tiff")
    exclude.check_used()


@pytest.mark.parametrize(
    ("patterns", "error"), [(3, TypeError), ([3], TypeError), ("", ValueError)]
)
def test_patterns_are_text(patterns, error):
    with pytest.raises(error, match="exclude="):
        Exclude(ROOT, patterns)
