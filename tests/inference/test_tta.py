"""Test-time augmentation: the mean of what a model says of several views of an image."""

import importlib.util

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import medzoo
from medzoo.datasets import synthetic
from medzoo.evaluation import compute_metrics, evaluate
from medzoo.inference import predict_logits, probabilities
from medzoo.inference.tta import ViewAverage, views
from medzoo.prediction import predict
from medzoo.spec import InputSpec, ModelSpec
from medzoo.transforms import input_spec, prepare_batch
from tests.evaluation.test_evaluate import Net

COUNTS = {"none": 1, "flip": 2, "dihedral": 8}
MULTI_LABEL = "multi-label, binary-class"


@pytest.fixture(scope="module", params=["dermamnist", "chestmnist"])
def data(request):
    return synthetic(request.param, n_train=4, n_val=4, n_test=30, seed=1)


@pytest.fixture(scope="module")
def model(data):
    return Net(data.info)


def by_hand(model, images, task, tta, temperature=None):
    """Mean probabilities over views of the raw images, each predicted by itself."""
    turns = [images] if tta != "dihedral" else [images.rot90(k, (2, 3)) for k in range(4)]
    raw = turns + ([turned.flip(-1) for turned in turns] if tta != "none" else [])
    assert len(raw) == COUNTS[tta]
    own = [
        probabilities(predict_logits(model, one, device="cpu", temperature=temperature), task)
        for one in raw
    ]
    return torch.stack(own).mean(0)


@pytest.mark.parametrize("tta", COUNTS)
def test_views_are_all_different_and_begin_with_the_image_itself(tta):
    images = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
    seen = list(views(images, tta))
    assert torch.equal(seen[0], images)
    assert len({view.numpy().tobytes() for view in seen}) == COUNTS[tta]
    assert all(view.shape == images.shape for view in seen)


@pytest.mark.parametrize("tta", ["flip", "dihedral"])
def test_a_mirrored_image_has_the_same_views(tta):
    images = torch.randn(2, 3, 5, 5)
    seen, mirrored = (
        {view.contiguous().numpy().tobytes() for view in views(x, tta)}
        for x in (images, images.flip(-1))
    )
    assert seen == mirrored


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    tta=st.sampled_from(["flip", "dihedral"]),
    multi_label=st.booleans(),
    temperature=st.floats(0.05, 20),
    scale=st.sampled_from([1.0, 1e2, 1e4]),
)
def test_views_change_nothing_for_a_model_that_cannot_tell_them_apart(
    seed, tta, multi_label, temperature, scale
):
    generator = torch.Generator().manual_seed(seed)
    weight = scale * torch.randn(3, 4, generator=generator)
    images = torch.randn(6, 3, 5, 5, generator=generator)

    def model(x):  # the sum of pixels, whatever their order
        return x.double().sum((2, 3)).float() @ weight

    logits = ViewAverage(model, tta, multi_label, temperature)(images)
    assert logits.isfinite().all()
    task = MULTI_LABEL if multi_label else "multi-class"
    found = probabilities(logits, task)
    expected = probabilities(model(images).double() / temperature, task)
    torch.testing.assert_close(found, expected, atol=3e-6, rtol=0)
    if not multi_label:
        torch.testing.assert_close(found.sum(1), torch.ones(6).double())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("tta", ["flip", "dihedral"])
def test_probabilities_are_the_mean_over_the_views(data, model, tta, temperature):
    images, task = data.test.images, data.info.task
    logits = predict_logits(
        model, images, device="cpu", tta=tta, temperature=temperature, batch_size=7
    )
    expected = by_hand(model, images, task, tta, temperature)
    found = probabilities(logits, task)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    logits = predict_logits(model, images, device="cpu", temperature=temperature)
    plain = probabilities(logits, task)
    assert (plain - expected).abs().max() > 1e-3  # or this test could not fail


@pytest.mark.parametrize("tta", COUNTS)
def test_evaluate_and_predict_average_and_say_so(data, tta):
    model = Net(data.info)
    model.temperature = 2.0
    report = evaluate(model, data.test, device="cpu", resamples=0, tta=tta)
    expected = by_hand(model, data.test.images, data.info.task, tta, 2.0)
    scores = compute_metrics(data.test.labels, expected, data.info.task)
    assert (report.auc, report.ece) == pytest.approx((scores.auc, scores.ece), abs=5e-3)
    assert report.tta == tta
    assert (f"views of each image ({tta})" in str(report)) is (tta != "none")
    one = predict(model, data.test.images[3], device="cpu", tta=tta)
    named = dict(zip(data.info.classes, expected[3].tolist(), strict=True))
    assert one.probabilities == pytest.approx(named, abs=1e-5)


def test_without_it_the_model_runs_once_on_the_very_image(data):
    model = Net(data.info)
    logits = predict_logits(model, data.test.images, device="cpu", tta="none")
    assert len(model.seen) == 1
    batch = prepare_batch(data.test.images, input_spec(model))
    assert torch.equal(model.seen[0], batch)
    assert torch.equal(logits, model.eval()(batch).detach().double())


def test_views_are_channels_last_as_models_are():
    seen = []

    def model(x):
        seen.append(x)
        return torch.zeros(len(x), 7)

    split = synthetic("dermamnist", n_test=30).test
    evaluate(model, split, resamples=0, tta="dihedral", spec=ModelSpec.for_data(split))
    assert len(seen) == 8
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in seen)


def test_a_plain_function_takes_its_task_from_the_split(data):
    weight = torch.randn(data.info.channels * 28 * 28, data.info.num_classes) / 10

    def model(x):
        return x.flatten(1) @ weight

    half = (0.5,) * data.info.channels
    spec = ModelSpec("", InputSpec(data.info.channels, 28, half, half), data.info.num_classes)
    report = evaluate(
        model, data.test, device="cpu", resamples=0, tta="flip", temperature=2.0, spec=spec
    )
    batch = prepare_batch(data.test.images, spec.input)
    both = [probabilities(model(x) / 2.0, data.info.task) for x in (batch, batch.flip(-1))]
    scores = compute_metrics(data.test.labels, (both[0] + both[1]) / 2, data.info.task)
    assert (report.auc, report.ece) == pytest.approx((scores.auc, scores.ece), abs=5e-3)


def test_an_ensemble_is_averaged_over_views_too(tiny):
    torch.manual_seed(0)
    models = [
        medzoo.create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16)).eval() for _ in range(2)
    ]
    ensemble = medzoo.Ensemble(models)
    images = tiny.test.images
    found = predict_logits(ensemble, images, device="cpu", tta="dihedral").softmax(1)
    each = [by_hand(model, images, "multi-class", "dihedral") for model in models]
    torch.testing.assert_close(found.double(), torch.stack(each).mean(0), atol=1e-5, rtol=0)


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "onnxscript"))),
    reason="needs medzoo[onnx]",
)
def test_a_compiled_model_is_averaged_over_views_too(tiny):
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16)).eval()
    model.temperature = 1.7
    compiled = medzoo.compile(model, cache=False)
    image = tiny.test.images[0]
    found, expected = (predict(m, image, device="cpu", tta="dihedral") for m in (compiled, model))
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_a_model_comes_back_in_the_modes_it_came_in(data):
    model = Net(data.info).train()
    model.body[1].eval()
    first = predict_logits(model, data.test.images, device="cpu", tta="flip")
    assert [m.training for m in (model, model.body[1], model.body[2])] == [True, False, True]
    # Dropout is off, so the same comes out again.
    assert torch.equal(first, predict_logits(model, data.test.images, device="cpu", tta="flip"))


def test_an_unknown_name_is_refused_with_close_ones(data, model):
    for run in (
        lambda: evaluate(model, data.test, tta="dihedra"),
        lambda: predict(model, data.test.images[0], tta="dihedra"),
        lambda: predict_logits(model, data.test.images, tta="dihedra"),
    ):
        with pytest.raises(ValueError, match="unknown tta 'dihedra'; did you mean 'dihedral'"):
            run()


def test_classes_that_tell_left_from_right_are_not_mirrored():
    data = synthetic("organamnist", n_train=4, n_val=4, n_test=12)
    model = Net(data.info)
    for run in (
        lambda: evaluate(
            lambda x: torch.zeros(len(x), 11),
            data.test,
            tta="flip",
            spec=ModelSpec("", model.spec.input, 11),
        ),
        lambda: evaluate(model, data.test, tta="dihedral"),
        lambda: predict(model, data.test.images[0], tta="flip"),
    ):
        with pytest.raises(ValueError, match="distinguish left from right"):
            run()


@pytest.mark.parametrize("output", [lambda x: x, lambda x: (torch.zeros(len(x), 7), None)])
def test_what_is_no_logits_is_refused(output):
    split = synthetic("dermamnist", n_test=4).test
    with pytest.raises(ValueError, match=r"gave .* for a batch of 4 images"):
        evaluate(output, split, device="cpu", tta="flip", spec=ModelSpec.for_data(split))


def test_nan_is_refused_and_the_image_named():
    split = synthetic("dermamnist", n_test=20).test

    class Broken(nn.Module):
        def forward(self, x):
            logits = torch.zeros(len(x), 7)
            logits[4, 2] = torch.nan
            return logits

    with pytest.raises(ValueError, match=r"1 of 20 images \(first: image 4\)"):
        evaluate(Broken(), split, device="cpu", tta="flip", spec=ModelSpec.for_data(split))
