"""benchmarks/views.py and folds.py: other views of images, other divisions of a set."""

import sys
from pathlib import Path

import pytest
import torch

import medzoo

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import folds
import views


@pytest.fixture(scope="module")
def retina():
    return medzoo.synthetic("retinamnist", n_train=120, n_val=30, n_test=20)


@pytest.mark.parametrize("view", views.VIEWS)
def test_a_viewer_answers_on_images_as_its_model_does_on_the_view(view, retina):
    seen = views.seen_as(retina, view)
    assert torch.equal(seen.test.images, retina.test.images)  # nobody has looked at these
    assert not torch.equal(seen.val.images, retina.val.images)
    model = medzoo.create_model("simple_cnn", dataset=seen, widths=(4, 8, 16)).eval()
    expected = medzoo.evaluate(model, seen.val, device="cpu", resamples=0)
    together = medzoo.Ensemble([views.Viewer(model, view)])
    found = medzoo.evaluate(together, retina.val, device="cpu", resamples=0)
    assert found.auc == pytest.approx(expected.auc, abs=1e-6)
    assert found.ece == pytest.approx(expected.ece, abs=1e-4)


def test_the_local_view_does_not_depend_on_the_light():
    images = torch.randint(60, 140, (4, 3, 28, 28))
    assert (views.local(images) - views.local(images + 40)).abs().max() <= 1  # a rounding
    assert not torch.equal(views.local(images), views.local(images.flip(3)))


@pytest.mark.parametrize("kind", ["random", "alike"])
def test_every_image_validates_in_one_fold_and_trains_in_the_others(kind, retina):
    parts = folds.FOLDS[kind](retina)
    assert len(parts) == folds.COUNT
    assert sum(len(part.val) for part in parts) == 150
    for part in parts:
        assert len(part.train) + len(part.val) == 150
        inside = {image.numpy().tobytes() for image in part.train.images}
        assert not any(image.numpy().tobytes() in inside for image in part.val.images)
        assert torch.equal(part.test.images, retina.test.images)


def test_images_of_one_colour_are_in_one_fold(retina):
    """Sixty series of photographs, all of one series of the same colour."""
    colours = torch.linspace(0, 240, 60)[torch.arange(150) % 60].byte()
    images = colours.view(-1, 1, 1, 1).expand(150, 3, 28, 28).contiguous()
    data = medzoo.Dataset.from_arrays(
        (images[:120], retina.train.labels),
        (images[120:], retina.val.labels),
        (images[:20], retina.test.labels),
        name="series",
        classes=list(retina.info.classes),
    )
    for part in folds.alike(data):
        inside, outside = (
            set(split.images[:, 0, 0, 0].tolist()) for split in (part.train, part.val)
        )
        assert not inside & outside
