"""The corruptions equal those of the libraries that MedMNIST-C is built from."""

import colorsys
import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.functional as TF
from PIL import Image, ImageEnhance
from scipy import ndimage
from scipy.stats import kstest, norm

from medzoo.images import corruptions_for
from medzoo.images.corruptions.registry import Corruption

SIZE = 224


@pytest.fixture(scope="module")
def image():
    """A smooth coloured image with edges, uint8 (1, 3, 224, 224)."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE, 3)), (9, 9, 0))
    pixels = 128 + 60 * smooth / smooth.std()
    pixels[60:120, 90:130] = (250, 20, 90)
    pixels[10:30] = 77  # a gray area
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)).permute(2, 0, 1)[None]


def pillow(image):
    return Image.fromarray(image[0].permute(1, 2, 0).numpy())


def tensor(picture):
    return torch.from_numpy(np.asarray(picture)).permute(2, 0, 1)[None]


def largest_difference(a, b):
    return int((a.int() - b.int()).abs().max())


def test_pixelation_is_pillows_box_filter(image):
    corruption = corruptions_for("dermamnist")["pixelate"]
    for severity, share in enumerate(corruption.parameters, 1):
        few = pillow(image).resize((int(SIZE * share),) * 2, Image.Resampling.BOX)
        expected = tensor(few.resize((SIZE, SIZE), Image.Resampling.BOX))
        assert torch.equal(corruption(image, severity), expected)


def test_compression_is_pillows(image):
    buffer = io.BytesIO()
    pillow(image).save(buffer, "JPEG", quality=10)
    made = corruptions_for("dermamnist")["jpeg_compression"](image, 4)
    assert torch.equal(made, tensor(Image.open(buffer)))


@pytest.mark.parametrize("name", ["brightness_up", "brightness_down"])
def test_brightness_is_pillows(image, name):
    corruption = corruptions_for("dermamnist")[name]
    for severity, factor in enumerate(corruption.parameters, 1):
        expected = tensor(ImageEnhance.Brightness(pillow(image)).enhance(factor))
        assert torch.equal(corruption(image, severity), expected)


@pytest.mark.parametrize("name", ["contrast_up", "contrast_down"])
def test_contrast_is_pillows(image, name):
    corruption = corruptions_for("dermamnist")[name]
    for severity, factor in enumerate(corruption.parameters, 1):
        expected = tensor(ImageEnhance.Contrast(pillow(image)).enhance(factor))
        assert largest_difference(corruption(image, severity), expected) <= 1


@pytest.mark.parametrize("name", ["gamma_corr_up", "gamma_corr_down"])
def test_gamma_is_torchvisions(image, name):
    corruption = corruptions_for("pneumoniamnist")[name]
    for severity, gamma in enumerate(corruption.parameters, 1):
        expected = tensor(TF.adjust_gamma(pillow(image), gamma))
        assert largest_difference(corruption(image, severity), expected) <= 1


def test_saturation_is_that_of_hsv(image):
    part = image[..., 20:40, 80:100]  # gray, smooth and saturated
    made = corruptions_for("pathmnist")["saturate"](part, 5)
    for red, green, blue, *rest in torch.cat([part, made], 1).flatten(2)[0].T.tolist():
        hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        expected = colorsys.hsv_to_rgb(hue, min(1, saturation + 0.25), value)
        assert rest == pytest.approx([255 * one for one in expected], abs=1)


def test_gaussian_blur_is_torchvisions(image):
    corruption = corruptions_for("organamnist")["gaussian_blur"]
    made, expected = corruption(image, 5), TF.gaussian_blur(image, corruption.parameters[4])
    assert largest_difference(made, expected) <= 1


def test_defocus_is_a_disk(image):
    radius = corruptions_for("dermamnist")["defocus_blur"].parameters[0][0]
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x**2 + y**2 <= radius**2).astype(float)
    channels = [
        ndimage.correlate(channel.double().numpy(), disk / disk.sum(), mode="mirror")
        for channel in image[0]
    ]
    made = corruptions_for("dermamnist")["defocus_blur"](image, 1)
    assert largest_difference(made, torch.from_numpy(np.stack(channels))[None]) <= 1


class Angle:
    def uniform(self, low, high):
        return 0.0


def test_motion_without_an_angle_is_half_a_gaussian_along_the_rows(image):
    corruption = corruptions_for("dermamnist")["motion_blur"]
    radius, spread = corruption.parameters[0]
    half = norm.pdf(np.arange(2 * radius + 1), scale=spread)
    kernel = np.concatenate([np.zeros(2 * radius), half / half.sum()])
    expected = ndimage.correlate1d(image[0].double().numpy(), kernel, axis=2, mode="nearest")
    made = corruption.apply(image, 1, [Angle()])
    assert largest_difference(made, torch.from_numpy(expected)[None]) <= 1


def test_zoom_is_scipys(image):
    corruption = corruptions_for("dermamnist")["zoom_blur"]
    pixels = image[0].permute(1, 2, 0).double().numpy()
    total = pixels.copy()
    for factor in corruption.parameters[4]:
        crop = int(np.ceil(SIZE / factor))
        top = (SIZE - crop) // 2
        part = pixels[top : top + crop, top : top + crop]
        larger = ndimage.zoom(part, (factor, factor, 1), order=1)
        trim = (len(larger) - SIZE) // 2
        total += larger[trim : trim + SIZE, trim : trim + SIZE]
    expected = torch.from_numpy(total / (len(corruption.parameters[4]) + 1)).permute(2, 0, 1)
    assert largest_difference(corruption(image, 5), expected[None]) <= 1


@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur", "motion_blur"])
@pytest.mark.parametrize("size", [28, 56])
def test_blur_of_small_images_is_that_of_their_squares_at_224(image, size, name):
    corruption = next(
        corruptions_for(dataset)[name]
        for dataset in ("dermamnist", "organamnist")
        if name in corruptions_for(dataset)
    )
    scale = SIZE // size
    small = F.avg_pool2d(image.float(), scale).to(torch.uint8)
    squares = small.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    made = corruption(small, 5)
    reduced = F.avg_pool2d(corruption(squares, 5).float(), scale)
    # Away from the border, which is mirrored in pixels of either size.
    edge = size // 4
    inside = (slice(None), slice(None), slice(edge, -edge), slice(edge, -edge))
    assert (made.float() - reduced)[inside].abs().max() <= 1.6  # both are rounded


def test_noise_has_its_distribution():
    gray = torch.full((1, 3, 200, 200), 128, dtype=torch.uint8)
    derma = corruptions_for("dermamnist")
    noise = (derma["gaussian_noise"](gray, 1).double() + 0.5 - 128).flatten().numpy()
    assert kstest(noise, norm(scale=255 * 0.04).cdf).statistic < 0.03
    speckle = derma["speckle_noise"](gray, 1).double().std() / 128
    assert speckle == pytest.approx(0.05, rel=0.05)
    impulses = derma["impulse_noise"](gray, 5)
    assert (impulses == 0).double().mean() == pytest.approx(0.085, rel=0.1)
    assert (impulses == 255).double().mean() == pytest.approx(0.085, rel=0.1)
    photons = derma["shot_noise"](gray, 1).double()
    assert photons.mean() == pytest.approx(127.5, abs=0.5)
    assert photons.var() == pytest.approx(128 * 255 / 60, rel=0.05)


def test_gray_images_have_the_luminance_of_coloured_noise():
    gray = torch.full((1, 1, 200, 200), 128, dtype=torch.uint8)
    found = corruptions_for("pneumoniamnist")["gaussian_noise"](gray, 5).double().std()
    assert found == pytest.approx(255 * 0.08 * np.hypot(np.hypot(0.299, 0.587), 0.114), rel=0.05)


def test_dark_corners_stains_and_bubbles_cover_what_they_should():
    white = torch.full((40, 3, 28, 28), 255, dtype=torch.uint8)
    corner = Corruption("dermamnist", "black_corner", "task-specific", (1.0,) * 5)(white[:1], 1)
    assert (1 - corner.double() / 255).mean() == pytest.approx(1 - np.pi / 4, abs=0.01)
    stains = corruptions_for("pathmnist")["stain_deposit"](white, 1)  # one of 24 pixels
    assert (1 - stains.double() / 255).mean() == pytest.approx(0.62 * (24 / SIZE) ** 2, rel=0.15)
    black = torch.zeros_like(white)
    bubbles = corruptions_for("pathmnist")["bubble"](black, 5)
    assert 0 < bubbles.max() <= 130
