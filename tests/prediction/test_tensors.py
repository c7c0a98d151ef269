"""Which tensors are images: dense ones of 8-bit integers or floats; and which a model takes."""

import pytest
import torch

import medzoo
from medzoo.deployment import load_model
from medzoo.inference import logits_of, predict_logits
from medzoo.prediction import predict
from medzoo.transforms import create_transform, prepare_batch

U8 = torch.zeros(2, 3, 28, 28, dtype=torch.uint8)


@pytest.mark.filterwarnings("ignore")  # of PyTorch, that some kinds of tensors are prototypes
@pytest.mark.parametrize(
    "kind", ["sparse", "sparse floats", "quantised", "nested", "jagged", "meta"]
)
def test_tensors_that_are_not_dense_are_refused(kind, model):
    images = {
        "sparse": lambda: U8.to_sparse(),
        "sparse floats": lambda: U8.float().to_sparse(),
        "quantised": lambda: torch.quantize_per_tensor(U8.float(), 1.0, 0, torch.quint8),
        "nested": lambda: torch.nested.nested_tensor(list(U8)),
        "jagged": lambda: torch.nested.nested_tensor(list(U8), layout=torch.jagged),
        "meta": lambda: U8.to("meta"),
    }[kind]()
    one = images if images.is_nested else images[0]
    for use in (
        lambda: predict(model, images),
        lambda: predict(model, one),
        lambda: predict(model, [one]),
        lambda: create_transform(model)(one),
        lambda: prepare_batch(images, model.spec.input),
        lambda: predict_logits(model, images),
    ):
        with pytest.raises(ValueError, match="tensor, expected a dense one"):
            use()


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.int16, torch.uint32, torch.int64, torch.cfloat], ids=str
)
def test_numbers_whose_range_is_unknown_are_refused(dtype, model):
    for images in (U8.to(dtype), U8[0].to(dtype)):
        with pytest.raises(ValueError, match=f"dtype {dtype}, whose range is not known"):
            predict(model, images)


def test_floats_of_8_bits_are_floats(model, data):
    coarse = (data.test.images[:2] / 255).to(torch.float8_e4m3fn)
    for found, same in zip(predict(model, coarse), predict(model, coarse.float()), strict=True):
        assert found.probabilities == same.probabilities


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """The ways to a network that takes a prepared batch, by name."""
    own = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4)).eval()
    timms = medzoo.create_model("timm/test_resnet", dataset="dermamnist").eval()
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    medzoo.export(own, path)
    return {
        "own": own,
        "timm's": timms,
        "ensemble": medzoo.Ensemble([own, timms]),
        "specified": medzoo.models.Specified(own, own.spec),
        "compiled": load_model(path),
        "logits_of": lambda batch: logits_of(own, batch),
    }


@pytest.mark.parametrize(
    "network", ["own", "timm's", "ensemble", "specified", "compiled", "logits_of"]
)
def test_images_that_were_not_prepared_are_refused_by_models(network, networks):
    floats = U8.float()
    assert networks[network](floats).shape == (2, 7)
    for batch in (U8, U8 > 0, U8.long(), U8.to(torch.cfloat), U8.to_sparse(), floats.to_sparse()):
        with pytest.raises(TypeError, match=r"medzoo\.predict.* medzoo\.create_transform\(model\)"):
            networks[network](batch)


def test_other_errors_of_a_network_are_pytorchs(networks):
    with pytest.raises(RuntimeError, match="channels"):
        networks["own"](torch.zeros(1, 5, 28, 28))


def test_a_model_without_values_is_named():
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4)).to("meta")
    with pytest.raises(ValueError, match="SimpleCNN has tensors on the device 'meta'"):
        predict(model, U8)
