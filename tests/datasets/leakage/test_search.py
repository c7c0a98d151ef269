import math

import numpy as np
import pytest
import torch

from medzoo.datasets import Dataset, find_leakage, load_dataset
from medzoo.datasets.leakage import alignment, candidates, duplicates, search
from medzoo.datasets.leakage.similarity import thumbnails
from medzoo.datasets.resplit import resplit

from .photographs import sampled, scenes

COUNTS = {"train": 160, "val": 30, "test": 50}


def dataset(images):
    """A data set of images in the order train, val, test."""
    first, arrays = 0, {}
    for name, count in COUNTS.items():
        arrays[name] = (images[first : first + count], torch.arange(count) % 2)
        first += count
    return Dataset.from_arrays(**arrays)


def thirds(images):
    """A data set of images, a third in each split."""
    third = len(images) // 3
    parts = images.split([third, third, len(images) - 2 * third])
    return Dataset.from_arrays(
        *((part, torch.zeros(len(part), dtype=torch.int64)) for part in parts), classes=["a", "b"]
    )


COPIES = {
    "the same": lambda image: image,
    "quarter turn": lambda image: torch.rot90(image, 1, (1, 2)),
    "half turn": lambda image: torch.rot90(image, 2, (1, 2)),
    "mirrored": lambda image: image.flip(2),
    "mirrored and turned": lambda image: torch.rot90(image.flip(2), 1, (1, 2)),
    "darker": lambda image: (image.float() * 0.7).to(torch.uint8),
    "brighter": lambda image: (image.float() * 0.8 + 50).to(torch.uint8),
    "shifted": lambda image: sampled(image, x=0.1, y=-0.1),
    "zoomed": lambda image: sampled(image, zoom=0.7),
    "tilted": lambda image: sampled(image, degrees=12),
    "all at once": lambda image: (sampled(image, zoom=0.8, degrees=-8, x=0.05).float() * 0.8).to(
        torch.uint8
    ),
}


@pytest.fixture(scope="module", params=[(3, 28), (1, 28), (3, 48)], ids=["rgb", "gray", "48 px"])
def planted(request):
    """A set in which test image i is a copy of train image 10 i, and its report."""
    channels, size = request.param
    images = scenes(sum(COUNTS.values()), channels=channels, size=size)
    for index, copy in enumerate(COPIES.values()):
        images[190 + index] = copy(images[10 * index])
    return find_leakage(dataset(images))


@pytest.mark.parametrize("kind", COPIES)
def test_planted_copies_are_found(planted, kind):
    index = list(COPIES).index(kind)
    assert ("train", 10 * index, "test", index) in {pair[:4] for pair in planted.pairs}


def test_nothing_else_is_found(planted):
    expected = {("train", 10 * index, "test", index) for index in range(len(COPIES))}
    assert {pair[:4] for pair in planted.pairs} == expected
    assert planted.counts() == {
        ("train", "val"): 0,
        ("train", "test"): len(COPIES),
        ("val", "test"): 0,
    }
    assert planted.affected("test", "train") == list(range(len(COPIES)))
    assert planted.affected("train", "test") == [10 * index for index in range(len(COPIES))]
    assert planted.affected("val", "train") == []
    assert planted.affected_test_share == len(COPIES) / COUNTS["test"]


def test_closest_come_first_and_exact_copies_have_no_distance(planted):
    distances = [pair.distance for pair in planted.pairs]
    assert distances == sorted(distances)
    same = next(pair for pair in planted.pairs if pair.index_b == 0)
    assert same.distance == pytest.approx(0, abs=1e-4)
    assert max(distances) < planted.threshold


def test_independent_noise_and_unrelated_images_are_not_found():
    noise = torch.randint(0, 256, (240, 3, 28, 28), generator=torch.Generator().manual_seed(1))
    assert find_leakage(dataset(noise.to(torch.uint8))).pairs == ()
    assert find_leakage(dataset(scenes(240, seed=5))).pairs == ()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [3, 6, 10, 20, 30, 50, 100, 200])
def test_few_unrelated_images_are_not_found(count, channels):
    noise = np.random.default_rng(count).integers(0, 256, (count, channels, 28, 28), np.uint8)
    assert find_leakage(thirds(torch.from_numpy(noise))).pairs == ()
    assert find_leakage(thirds(scenes(count, channels=channels))).pairs == ()


@pytest.mark.parametrize("name", ["breastmnist", "retinamnist"])
@pytest.mark.parametrize("count", [20, 50, 100])
def test_few_images_that_look_much_alike_are_hardly_found(data_root, name, count):
    whole = load_dataset(name, root=data_root, download=False)
    images = whole.train.images[torch.linspace(0, len(whole.train) - 1, count).long()]
    assert len(find_leakage(thirds(images)).pairs) <= count // 50


@pytest.mark.parametrize("count", [3, 20, 300])
@pytest.mark.parametrize("size", [28, 40])
def test_exact_copies_are_found_in_any_set(count, size):
    images = scenes(count, size=size)
    third = count // 3
    images[third] = images[-1] = images[0]
    assert {pair for pair in find_leakage(thirds(images)).pairs if pair.distance == 0} == {
        ("train", 0, "val", 0, 0),
        ("train", 0, "test", count - 2 * third - 1, 0),
        ("val", 0, "test", count - 2 * third - 1, 0),
    }


def test_blank_copies_are_found_up_to_six_an_image():
    images = scenes(60)
    images[:10] = 7
    images[20:22] = 7
    report = find_leakage(thirds(images))
    assert report.affected("val", "train") == [0, 1]
    assert 12 <= report.counts()["train", "val"] == len(report.pairs) <= 24


def test_images_that_only_look_the_same_when_small_are_not_exact_copies():
    images = scenes(9, size=56)
    images[8] = images[0]
    images[8, :, 0, :2] = images[0, :, 0, :2].flip(1)
    assert not torch.equal(images[8], images[0])
    assert torch.equal(thumbnails(images[8:]), thumbnails(images[:1]))
    assert find_leakage(thirds(images)).pairs == ()


def test_each_two_splits_are_compared():
    images = scenes(240, seed=2)
    images[165], images[200], images[201] = images[3], images[7], images[170]
    report = find_leakage(dataset(images))
    assert {pair[:4] for pair in report.pairs} == {
        ("train", 3, "val", 5),
        ("train", 7, "test", 10),
        ("val", 10, "test", 11),
    }


def test_search_in_pieces_finds_the_same(monkeypatch):
    images = scenes(240, seed=3)
    for index in range(10):
        images[190 + index] = sampled(images[16 * index], zoom=0.8, x=0.05)
    data = dataset(images)
    whole = find_leakage(data)
    assert len(whole.pairs) == 10
    assert find_leakage(data) == whole
    for module, name, value in (
        (search, "_QUERIES", 33),
        (candidates, "_POOL", 70),
        (alignment, "_PAIRS", 150),
    ):
        monkeypatch.setattr(module, name, value)
    pieces = find_leakage(data)
    assert [pair[:4] for pair in pieces.pairs] == [pair[:4] for pair in whole.pairs]
    assert [p.distance for p in pieces.pairs] == pytest.approx(
        [p.distance for p in whole.pairs], abs=1e-3
    )


def test_a_smaller_threshold_gives_the_closest_of_the_pairs():
    images = scenes(240)
    for index, copy in enumerate(COPIES.values()):
        images[190 + index] = copy(images[10 * index])
    data = dataset(images)
    more, fewer = find_leakage(data, threshold=1), find_leakage(data, threshold=0.01)
    assert fewer.pairs == tuple(pair for pair in more.pairs if pair.distance < 0.01)
    assert 0 < len(fewer.pairs) < len(more.pairs)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.5, float("nan")])
def test_bad_thresholds(threshold, tiny):
    with pytest.raises(ValueError, match="must be above 0 and at most 1"):
        find_leakage(tiny, threshold=threshold)


@pytest.mark.parametrize("threshold", ["0.5", None, [0.5]])
def test_a_threshold_is_a_number(threshold, tiny):
    with pytest.raises(TypeError, match=r"^threshold=.* must be a number above 0 and at most 1"):
        find_leakage(tiny, threshold=threshold)


def test_one_split_has_no_leakage(tiny):
    with pytest.raises(TypeError, match=r"data=Split\(.* is not a medzoo\.Dataset"):
        find_leakage(tiny.train)


def test_names_that_are_not_two_different_splits(planted):
    with pytest.raises(ValueError, match="unknown split 'training'; did you mean 'train'"):
        planted.affected("test", "training")
    with pytest.raises(ValueError, match="unknown split 'tests'; did you mean 'test'"):
        planted.affected("tests", "train")
    with pytest.raises(ValueError, match="both 'test'"):
        planted.affected("test", "test")


def test_tiny_sets_and_blank_images():
    blank = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    pair = (blank, torch.zeros(1, dtype=torch.int64))
    report = find_leakage(Dataset.from_arrays(pair, pair, pair, classes=["a", "b"]))
    assert report.sizes == {"train": 1, "val": 1, "test": 1}
    assert all(math.isfinite(p.distance) for p in report.pairs)


def test_known_pairs_of_dermamnist(derma_lesions):
    """Photographs of one lesion, in a part of the training and validation splits."""
    whole, lesions = derma_lesions
    border, end = len(whole.train), len(whole.train) + len(whole.val)
    shared = set(lesions[:border]) & set(lesions[border:end])
    val = [i for i in range(border, end) if lesions[i] in shared][:120]
    chosen = {lesions[i] for i in val}
    train = [i for i in range(border) if i < 600 or lesions[i] in chosen]
    part = resplit(whole, {"train": train, "val": val, "test": [end]})
    known = {
        (a, b)
        for b, second in enumerate(val)
        for a, first in enumerate(train)
        if lesions[first] == lesions[second]
    }
    found = {
        (pair.index_a, pair.index_b)
        for pair in find_leakage(part).pairs
        if (pair.split_a, pair.split_b) == ("train", "val")
    }
    assert len(known) >= 120
    assert len(found & known) / len(found) > 0.9
    assert len(found & known) / len(known) > 0.7


def test_thousands_of_images_with_the_same_thumbnail_are_read_once_each(monkeypatch):
    generator = np.random.default_rng(0)
    images = np.zeros((60, 1, 56, 56), np.uint8)
    images[:, 0, ::2, ::2] = generator.integers(0, 2, (60, 28, 28))  # rounded away when small
    images[10:20] = images[0]
    images[50:] = images[:10]
    pool, queries = torch.from_numpy(images[:40]), torch.from_numpy(images[40:])
    small = torch.zeros(40, 1, 28, 28, dtype=torch.uint8)
    read = []
    monkeypatch.setattr(duplicates, "take_rows", lambda x, rows: read.append(1) or x[rows])
    found = list(duplicates.exact_copies(queries, pool, small[:20], small, 6))
    expected = [
        (query, index)
        for query in range(20)
        for index in [i for i in range(40) if torch.equal(pool[i], queries[query])][:6]
    ]
    assert found == expected
    assert len(read) == 60
