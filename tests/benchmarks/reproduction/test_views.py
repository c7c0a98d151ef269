"""Views of images, and models that see them."""

import pytest
import torch

import medzoo
from benchmarks.reproduction import views


@pytest.fixture(scope="module")
def retina():
    return medzoo.synthetic("retinamnist", n_train=120, n_val=30, n_test=20)


@pytest.mark.parametrize("view", views.VIEWS)
def test_a_viewer_answers_on_images_as_its_model_does_on_the_view(view, retina):
    seen = views.apply_view(retina, view)
    assert torch.equal(seen.test.images, retina.test.images)  # nobody has looked at these
    assert not torch.equal(seen.val.images, retina.val.images)
    model = medzoo.create_model("simple_cnn", dataset=seen, widths=(4, 8, 16)).eval()
    expected = medzoo.evaluate(model, seen.val, device="cpu", resamples=0)
    together = medzoo.Ensemble([views.ViewClassifier(model, view)])
    found = medzoo.evaluate(together, retina.val, device="cpu", resamples=0)
    assert found.auc == pytest.approx(expected.auc, abs=1e-6)
    assert found.ece == pytest.approx(expected.ece, abs=1e-4)


def test_the_local_view_does_not_depend_on_the_light():
    images = torch.randint(60, 140, (4, 3, 28, 28))
    assert (views.local(images) - views.local(images + 40)).abs().max() <= 1  # a rounding
    assert not torch.equal(views.local(images), views.local(images.flip(3)))
