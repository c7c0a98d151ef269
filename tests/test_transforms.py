import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from medzoo.datasets import Dataset, dataset_info, load_dataset
from medzoo.images.channels import adapt_channels
from medzoo.images.convert import to_uint8
from medzoo.spec import InputSpec
from medzoo.transforms import create_transform, input_spec, prepare_batch

RGB = InputSpec(3, 28, (0.7, 0.5, 0.4), (0.2, 0.25, 0.3))
GRAY = InputSpec(1, 28, (0.4,), (0.2,))
PLAIN = InputSpec(1, 4, (0.0,), (1.0,))
rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (28, 28, 3), np.uint8)


def timm_like(cfg):
    """A module with a configuration as timm's models have it."""
    model = nn.Module()
    model.pretrained_cfg, model.num_classes = cfg, 7
    return model


def expected(pixels, config):
    """The definition: scaled to [0, 1], minus the mean, by the standard deviation."""
    scaled = torch.from_numpy(pixels).double().permute(2, 0, 1) / 255
    mean, std = (torch.tensor(v).double()[:, None, None] for v in (config.mean, config.std))
    return ((scaled - mean) / std).float()


# What a model expects


def test_config_of_models_data_sets_and_infos(tiny):
    cfg = {"input_size": (3, 64, 64), "mean": [0.5, 0.4, 0.3], "std": (0.1, 0.2, 0.3), "url": ""}
    assert input_spec(timm_like(cfg)) == InputSpec(3, 64, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert input_spec(tiny) == InputSpec(3, 28, *tiny.mean_std())
    assert input_spec(dataset_info("octmnist")) == InputSpec(1, 28, (0.5,), (0.5,))
    assert input_spec(RGB) is RGB


def test_images_that_never_change_can_be_normalised():
    pair = np.zeros((2, 8, 8), np.uint8), np.arange(2)
    data = Dataset.from_arrays(pair, pair, pair)
    assert input_spec(data).std == (1.0,)
    assert not prepare_batch(data.train.images, input_spec(data)).any()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("dermamnist", TypeError, "a str does not say which images it expects"),
        (timm_like({"mean": (0,)}), ValueError, "lacks input_size, std"),
        (
            timm_like({"input_size": (1, 8, 9), "mean": (0,), "std": (1,)}),
            ValueError,
            "not square",
        ),
    ],
)
def test_config_of_anything_else_is_an_error(source, error, message):
    with pytest.raises(error, match=message):
        create_transform(source)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 28, (), ()), "at least 1"),
        ((3, 28, (0.5,), (0.5,)), "one value for each of the 3"),
        ((1, 28, (0.5,), (0.0,)), "above 0"),
    ],
)
def test_configs_that_cannot_be(values, message):
    with pytest.raises(ValueError, match=message):
        InputSpec(*values)


# Channels


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_gray_becomes_rgb_by_repetition_and_back(dtype):
    gray = torch.arange(2 * 16).reshape(2, 1, 4, 4).to(dtype)
    colour = adapt_channels(gray, 3)
    assert colour.shape == (2, 3, 4, 4)
    assert (colour == gray).all()
    assert adapt_channels(gray, 1) is gray
    back = adapt_channels(colour, 1)
    assert back.dtype == dtype
    assert torch.allclose(back, gray)


def test_rgb_becomes_gray_as_pillow_does_to_the_bit():
    images = torch.from_numpy(rng.integers(0, 256, (5, 40, 30, 3), np.uint8)).permute(0, 3, 1, 2)
    gray = adapt_channels(images, 1)
    for image, result in zip(images, gray, strict=True):
        reference = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")
        assert np.array_equal(result[0], reference)
    assert torch.allclose(adapt_channels(images / 255, 1), gray / 255, atol=0.5 / 255 + 1e-6)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="cannot convert 2-channel images to 3"):
        adapt_channels(torch.zeros(1, 2, 4, 4), 3)


# Batches


@pytest.mark.parametrize("config", [RGB, GRAY])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 40])
def test_a_batch_is_what_the_model_expects(config, channels, size):
    images = torch.from_numpy(rng.integers(0, 256, (4, size, size, channels), np.uint8))
    batch = prepare_batch(images.permute(0, 3, 1, 2), config)
    assert batch.shape == (4, config.channels, 28, 28)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    one = create_transform(config)
    for image, row in zip(images, batch, strict=True):
        assert torch.equal(one(image.numpy()), row)


def test_normalisation_is_exact():
    batch = prepare_batch(torch.from_numpy(PIXELS).permute(2, 0, 1)[None], RGB)
    assert torch.allclose(batch[0], expected(PIXELS, RGB), atol=1e-5)


def test_images_are_not_changed_and_gradients_can_flow_after_inference_mode():
    images = torch.from_numpy(PIXELS.copy()).permute(2, 0, 1)[None]
    config = InputSpec(3, 28, (0.123,) * 3, (0.456,) * 3)  # not in the cache yet
    with torch.inference_mode():
        prepare_batch(images, config)
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (prepare_batch(images, config) * weight).sum().backward()
    assert weight.grad is not None
    assert np.array_equal(images[0].permute(1, 2, 0), PIXELS)


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 28, 28), torch.zeros(3, 28, 28).byte()])
def test_batches_that_are_none(images):
    with pytest.raises(ValueError, match=r"expected uint8 \(N, C, H, W\)"):
        prepare_batch(images, RGB)


# Single images


@pytest.mark.parametrize(
    "image",
    [
        PIXELS,
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        Image.fromarray(PIXELS),
        PIXELS.astype(np.uint16) * 257,
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32)[::-1][::-1],
        torch.from_numpy(PIXELS).permute(2, 0, 1) / 255,
        np.dstack([PIXELS, np.full((28, 28), 255, np.uint8)]),
        Image.fromarray(PIXELS).convert("RGBA"),
    ],
    ids=lambda image: getattr(image, "mode", str(getattr(image, "dtype", ""))),
)
def test_an_image_of_the_right_size_passes_unchanged_in_every_form(image):
    result = create_transform(RGB)(image)
    assert torch.equal(result, create_transform(RGB)(PIXELS))
    assert torch.allclose(result, expected(PIXELS, RGB), atol=1e-5)


def test_real_images_pass_unchanged(data_root):
    data = load_dataset("breastmnist", root=data_root, download=False)
    transform, batch = (
        create_transform(data),
        prepare_batch(data.test.images, input_spec(data)),
    )
    for index in (0, 77):
        assert torch.equal(transform(data.test.images[index]), batch[index])
        assert torch.equal(transform(data.test.images[index, 0].numpy()), batch[index])
    train = prepare_batch(data.train.images, input_spec(data))
    assert train.mean().abs() < 1e-4
    assert train.std() == pytest.approx(1, abs=1e-4)


GRAY_4 = np.arange(16, dtype=np.uint8).reshape(4, 4) * 17


def grays():
    """Images of 4 x 4 pixels in every mode that must come out as `GRAY_4`."""
    base = Image.fromarray(GRAY_4)
    palette = base.convert("P")
    sixteen = GRAY_4.astype(np.uint16) * 257
    yield from (base.convert(mode) for mode in ("L", "LA", "RGB", "RGBA", "RGBX", "CMYK"))
    yield palette
    yield Image.fromarray(sixteen)
    yield Image.fromarray(sixteen.astype(np.int32))
    yield Image.fromarray((GRAY_4 / 255).astype(np.float32))
    yield sixteen
    yield sixteen.astype(">u2")
    yield GRAY_4[..., None]
    yield GRAY_4.astype(np.float16) / 255
    yield torch.from_numpy(sixteen)
    yield torch.from_numpy(GRAY_4)[None]


@pytest.mark.parametrize(
    "image", list(grays()), ids=lambda i: getattr(i, "mode", str(getattr(i, "dtype", "")))
)
def test_every_mode_and_depth_gives_the_same_gray(image):
    result = (create_transform(PLAIN)(image) * 255).round()
    assert np.array_equal(result[0], GRAY_4)


def test_black_and_white():
    mask = GRAY_4 > 100
    for image in (mask, Image.fromarray(mask), torch.from_numpy(mask)):
        assert np.array_equal(create_transform(PLAIN)(image)[0], mask)


def test_a_sixteen_bit_png_keeps_its_range(tmp_path):
    path = tmp_path / "scan.png"
    Image.fromarray(np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)).save(path)
    result = create_transform(PLAIN)(Image.open(path))
    assert torch.allclose(result.flatten(), torch.linspace(0, 1, 16), atol=0.5 / 255 + 1e-6)


def test_transparency_is_laid_on_black():
    colour = np.full((4, 4, 4), 200, np.uint8)
    colour[..., 3] = GRAY_4
    result = to_uint8(Image.fromarray(colour, "RGBA"))
    assert np.array_equal(
        result, np.broadcast_to((200 * GRAY_4.astype(int) + 127) // 255, (3, 4, 4))
    )
    palette = Image.fromarray(GRAY_4).convert("P")
    palette.info["transparency"] = 255
    shown = to_uint8(palette)
    assert shown[:, 3, 3].tolist() == [0, 0, 0]  # white, but transparent
    assert shown[:, 3, 2].tolist() == [238, 238, 238]


def test_a_photograph_is_turned_upright():
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", exif=exif)
    upright = to_uint8(Image.open(stream))
    assert upright.shape == (3, 8, 4)
    assert (upright[:, :4] == 255).all()
    assert (upright[:, 4:] == 0).all()


@pytest.mark.parametrize("shape", [(60, 90), (91, 61), (28, 40), (20, 28), (300, 301)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_size_is_changed_as_medmnist_did(shape, mode):
    noise = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    image = noise.resize(shape[::-1], Image.Resampling.BICUBIC).convert(mode)
    side = min(shape)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    reference = image.crop((left, top, left + side, top + side)).resize(
        (28, 28), Image.Resampling.BICUBIC
    )
    channels = len(image.getbands())
    config = InputSpec(channels, 28, (0.0,) * channels, (1.0,) * channels)
    result = (create_transform(config)(image) * 255).permute(1, 2, 0).round().int().numpy()
    assert abs(result - np.asarray(reference, int).reshape(result.shape)).max() <= 1


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    channels=st.sampled_from([None, 1, 2, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32, bool]),
    config=st.sampled_from([RGB, GRAY]),
)
def test_any_image_gives_a_finite_tensor_of_the_right_shape(height, width, channels, dtype, config):
    shape = (height, width) if channels is None else (height, width, channels)
    values = np.random.default_rng(height * 71 + width).random(shape)
    top = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    image = (values * top).round().astype(dtype) if dtype is bool else (values * top).astype(dtype)
    result = create_transform(config)(image)
    assert result.shape == (config.channels, 28, 28)
    assert result.dtype == torch.float32
    assert result.isfinite().all()


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ("lesion.png", TypeError, "str is not an image"),
        (np.zeros((3, 28, 28), np.uint8), ValueError, r"shape \(3, 28, 28\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), ValueError, "prepare_batch accepts batches"),
        (torch.zeros(2, 3, 28, 28), ValueError, "prepare_batch accepts batches"),
        (np.zeros((0, 28), np.uint8), ValueError, "expected one image"),
        (np.zeros((28, 28), np.int64), ValueError, "whose range is not known"),
        (np.zeros((28, 28), complex), ValueError, "dtype complex128"),
        (np.full((28, 28), 255.0), ValueError, "values from 255 to 255, expected 0 to 1"),
        (np.full((28, 28), np.nan), ValueError, "NaN as a value, expected 0 to 1"),
        (Image.fromarray(np.full((4, 4), 70_000, np.int32)), ValueError, "expected 0 to 65535"),
        (Image.fromarray(np.full((4, 4), 9, np.float32)), ValueError, "values from 9 to 9"),
    ],
)
def test_what_is_no_image_gives_one_clear_error(image, error, message):
    with pytest.raises(error, match=message):
        create_transform(RGB)(image)


def test_transforms_can_be_shown_and_pickled():
    transform = create_transform(GRAY)
    assert "size=28" in repr(transform)
    assert torch.equal(pickle.loads(pickle.dumps(transform))(PIXELS), transform(PIXELS))
