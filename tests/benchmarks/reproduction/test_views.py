"""Views of images, and models that see them."""

import pytest
import torch

import medzoo
from benchmarks.reproduction import views
from medzoo.inference import split_logits


@pytest.fixture(scope="module")
def retina():
    return medzoo.synthetic("retinamnist", n_train=120, n_val=30, n_test=20)


@pytest.mark.parametrize("view", views.VIEWS)
def test_a_viewer_answers_on_images_as_its_model_does_on_the_view(view, retina):
    seen = views.apply_view(retina, view)
    assert torch.equal(seen.test.images, retina.test.images)  # nobody has looked at these
    assert not torch.equal(seen.val.images, retina.val.images)
    model = medzoo.create_model("simple_cnn", dataset=seen, widths=(4, 8, 16)).eval()
    expected = split_logits(model, seen.val, device="cpu").softmax(1)
    together = medzoo.Ensemble([views.ViewClassifier(model, view)])
    found = split_logits(together, retina.val, device="cpu").softmax(1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_local_view_does_not_depend_on_the_light():
    images = torch.randint(60, 140, (4, 3, 28, 28))
    assert (views.local(images) - views.local(images + 40)).abs().max() <= 1  # a rounding
    assert not torch.equal(views.local(images), views.local(images.flip(3)))


def test_stretched_images_show_their_middle_half_twice_as_wide():
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[..., 13:15] = 200  # a line in the middle
    image[..., 0] = 255  # outside the middle half
    seen = views.stretched(image)
    assert seen.shape == image.shape
    assert seen[0, 0, 0].nonzero().flatten().tolist() == [11, 12, 13, 14, 15, 16]
    assert seen[0, 0, 0, 12:16].tolist() == [150, 200, 200, 150]
    assert (seen == seen[:, :, :1]).all()  # no change in height
