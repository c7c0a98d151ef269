"""Models in other precisions, compiled or traced, infer as the model itself does."""

import copy
import pickle

import pytest
import torch

from medzoo.datasets import synthetic
from medzoo.evaluation import evaluate
from medzoo.inference import Ensemble, predict_logits
from medzoo.models import create_model
from medzoo.prediction import explain, predict

DTYPES = {"half": 5e-3, "bfloat16": 5e-2, "double": 1e-5}


@pytest.fixture(scope="module")
def data():
    return synthetic("dermamnist", n_test=20)


@pytest.fixture
def model(data):
    torch.manual_seed(0)
    return create_model("simple_cnn", dataset=data, widths=(4, 8, 16)).eval()


@pytest.mark.parametrize("tta", ["none", "flip"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_batches_follow_the_precision_of_the_model(data, model, dtype, tta):
    other = getattr(copy.deepcopy(model), dtype)()
    images = data.test.images
    expected = predict_logits(model, images, device="cpu", tta=tta)
    found = predict_logits(other, images, device="cpu", tta=tta)
    torch.testing.assert_close(found, expected, atol=DTYPES[dtype], rtol=DTYPES[dtype])
    assert not torch.equal(found, expected)
    assert evaluate(other, data.test, device="cpu", tta=tta, resamples=0).n == 20
    label = explain(model, images[0]).label
    shown = explain(other, images[0], target=label)
    assert shown.heatmap == pytest.approx(explain(model, images[0]).heatmap, abs=0.2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_members_of_an_ensemble_have_their_own_precision(data, model, dtype):
    other = getattr(copy.deepcopy(model), dtype)()
    expected = predict_logits(Ensemble([model, model]), data.test.images, device="cpu")
    for members in ([model, other], [other, model]):
        found = predict_logits(Ensemble(members), data.test.images, device="cpu")
        torch.testing.assert_close(found, expected, atol=DTYPES[dtype], rtol=DTYPES[dtype])


FORMS = {
    "compile": lambda model, x: torch.compile(model, backend="eager"),
    "trace": torch.jit.trace,
    "frozen": lambda model, x: torch.jit.freeze(torch.jit.trace(model, x)),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["simple_cnn", "timm/test_resnet"])
@pytest.mark.parametrize("training", [True, False])
def test_compiled_and_traced_models(data, form, name, training):
    model = create_model(name, dataset=data).eval()
    made = FORMS[form](model, torch.rand(2, 3, 28, 28))
    if form != "frozen":  # which has no mode any more
        made.train(training)
    images = data.test.images
    expected = predict_logits(model, images, device="cpu")
    found = predict_logits(made, images, device="cpu", spec=model.spec)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    one = predict(made, images[0], device="cpu", spec=model.spec)
    assert one.label == predict(model, images[0], device="cpu").label
    assert getattr(made, "training", None) is (None if form == "frozen" else training)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_an_ensemble(data, model, copied):
    ensemble = Ensemble([model, create_model("timm/test_resnet", dataset=data).eval()])
    again = copied(ensemble)
    assert again.spec == ensemble.spec
    expected = predict_logits(ensemble, data.test.images, device="cpu")
    assert torch.equal(predict_logits(again, data.test.images, device="cpu"), expected)
