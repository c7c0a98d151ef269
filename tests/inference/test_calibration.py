"""Temperature scaling: found where the likelihood is highest, and used wherever it should be."""

import dataclasses
import importlib.util
import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import medzoo
from medzoo.datasets import Provenance, Split, dataset_info, synthetic
from medzoo.evaluation import compute_metrics, evaluate
from medzoo.inference import fit_temperature, probabilities
from medzoo.prediction import predict
from medzoo.spec import ModelSpec
from tests.evaluation.test_evaluate import Net

NAMES = ["dermamnist", "retinamnist", "breastmnist", "chestmnist"]
names = st.sampled_from(NAMES)


class Replay:
    """A model that gives these logits, row by row, however they are batched."""

    def __init__(self, logits, split):
        self.rows, self.position = torch.as_tensor(logits, dtype=torch.float32), 0
        self.spec = ModelSpec.for_data(split)

    def __call__(self, x):
        taken = self.rows[self.position : self.position + len(x)]
        self.position = (self.position + len(x)) % len(self.rows)
        return taken


def made_up(name, seed, images=400, truth=1.0, spread=2.0):
    """Random logits, and labels that come true as often as at the temperature `truth`."""
    info = dataset_info(name)
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (images, info.num_classes))
    chances = probabilities(torch.from_numpy(logits) / truth, info.task).numpy()
    if info.multi_label:
        labels = torch.from_numpy((rng.random(chances.shape) < chances).astype(np.float32))
    else:
        labels = torch.from_numpy(np.array([rng.choice(len(row), p=row) for row in chances]))
    empty = torch.zeros(images, info.channels, 2, 2, dtype=torch.uint8)
    split = Split(empty, labels, info, "val", Provenance(None, None, False, "made up"))
    return logits.astype(np.float32), split


def loss(logits, split, temperature):
    values = torch.from_numpy(logits).double() / temperature
    if split.info.multi_label:
        return float(F.binary_cross_entropy_with_logits(values, split.labels.double()))
    return float(F.cross_entropy(values, split.labels))


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("name", NAMES)
def test_it_finds_the_temperature_that_labels_were_drawn_at(name, truth):
    logits, split = made_up(name, 0, images=6000, truth=truth)
    assert fit_temperature(Replay(logits, split), split, device="cpu") == pytest.approx(
        truth, rel=0.08
    )


@settings(max_examples=40, deadline=None)
@given(names, st.integers(0, 2**32 - 1), st.floats(0.2, 5))
def test_no_other_temperature_is_more_likely(name, seed, truth):
    logits, split = made_up(name, seed, truth=truth)
    found = fit_temperature(Replay(logits, split), split, device="cpu")
    best = loss(logits, split, found)
    for factor in (0.5, 0.99, 1.01, 2.0):
        assert best <= loss(logits, split, found * factor)


@settings(max_examples=40, deadline=None)
@given(names, st.integers(0, 2**32 - 1), st.floats(1e-4, 1e4), st.integers(1, 500))
def test_it_grows_with_the_logits(name, seed, scale, batch_size):
    logits, split = made_up(name, seed)
    base = fit_temperature(Replay(logits, split), split, device="cpu")
    larger = Replay((logits * np.float32(scale)).astype(np.float32), split)
    found = fit_temperature(larger, split, device="cpu", batch_size=batch_size)
    assert found == pytest.approx(float(np.float32(scale)) * base, rel=1e-4)


def test_what_all_classes_share_does_not_matter():
    logits, split = made_up("dermamnist", 0)
    moved = logits + np.random.default_rng(1).normal(0, 50, (len(logits), 1)).astype(np.float32)
    base = fit_temperature(Replay(logits, split), split, device="cpu")
    assert fit_temperature(Replay(moved, split), split, device="cpu") == pytest.approx(
        base, rel=1e-3
    )


@pytest.mark.parametrize("name", NAMES)
def test_calibration_lowers_the_ece_and_keeps_the_accuracy_of_single_labels(name):
    logits, split = made_up(name, 0, images=3000)
    found = fit_temperature(Replay(4 * logits, split), split, device="cpu")
    raw, fitted = (
        evaluate(
            Replay(4 * logits, split), split, device="cpu", resamples=0, temperature=temperature
        )
        for temperature in (1.0, found)
    )
    assert fitted.ece < 0.05 < raw.ece
    assert fitted.acc == raw.acc


def without_maximum(name, right, images=50):
    logits, split = made_up(name, 0, images=images)
    if split.info.multi_label:
        labels = torch.from_numpy(((logits > 0) == right).astype(np.float32))
    else:
        labels = torch.from_numpy(logits.argmax(1) if right else logits.argmin(1))
    return logits, dataclasses.replace(split, labels=labels)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_best_temperature_it_warns_and_leaves_things_alone(name):
    logits, split = without_maximum(name, right=False)
    with pytest.warns(UserWarning, match="no more than guessing"):
        assert fit_temperature(Replay(logits, split), split, device="cpu") == 1.0
    with pytest.warns(UserWarning, match="no more than guessing"):
        assert fit_temperature(Replay(0 * logits, split), split, device="cpu") == 1.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("images", [1, 6, 50])
def test_a_small_split_without_mistakes_gives_the_certainty_that_it_can_show(name, images):
    logits, split = without_maximum(name, right=True, images=images)
    n = images * (split.info.num_classes if split.info.multi_label else 1)
    weak = logits / 100
    found = fit_temperature(Replay(weak, split), split, device="cpu")
    chances = probabilities(torch.from_numpy(weak).double() / found, split.info.task)
    if split.info.multi_label:
        sure = torch.maximum(chances, 1 - chances).mean()
    else:
        sure = chances.amax(dim=1).mean()
    assert float(sure) == pytest.approx((n + 1) / (n + 2), rel=1e-6)


def test_a_model_that_is_certain_already_is_left_as_it_is():
    logits = torch.tensor([[0.0, 5.0], [0.0, 6.0], [7.0, 0.0]])
    _, split = made_up("breastmnist", 0, images=3)
    split = dataclasses.replace(split, labels=torch.tensor([1, 1, 0]))
    assert fit_temperature(Replay(logits, split), split, device="cpu") == 1.0


@settings(max_examples=60, deadline=None)
@given(names, st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(1e-3, 1e3))
def test_it_never_makes_the_labels_less_likely(name, seed, images, scale):
    logits, split = made_up(name, seed, images=images)
    logits = (logits * np.float32(scale)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = fit_temperature(Replay(logits, split), split, device="cpu")
    assert 0 < found < math.inf
    as_is = loss(logits, split, 1.0)
    assert loss(logits, split, found) <= as_is + 1e-9 * max(1, as_is)


def test_a_few_images_do_not_take_all_certainty():
    # Right 3 times of 6, but a little surer when right: the likeliest temperature is enormous.
    margins = torch.tensor([4.001, 4, 4, 4, 4, 4])
    logits = torch.stack([torch.zeros(6), margins], dim=1)
    _, split = made_up("breastmnist", 0, images=6)
    split = dataclasses.replace(split, labels=torch.tensor([1, 1, 1, 0, 0, 0]))
    found = fit_temperature(Replay(logits, split), split, device="cpu")
    sure = (logits.double() / found).softmax(dim=1).amax(dim=1).mean()
    assert float(sure) == pytest.approx(1 / 2 + 1 / 2 / 8, rel=1e-6)


def test_one_mistake_among_sure_answers_is_enough_for_a_finite_temperature():
    logits, split = without_maximum("dermamnist", True)
    labels = split.labels.clone()
    labels[0] = (labels[0] + 1) % 7
    found = fit_temperature(
        Replay(1e4 * logits, split), dataclasses.replace(split, labels=labels), device="cpu"
    )
    assert 0 < found < math.inf


def test_the_models_own_temperature_does_not_count_and_stays():
    data = synthetic("dermamnist", n_val=200)
    model = Net(data.info)
    before = fit_temperature(model, data.val, device="cpu")
    model.temperature = 7.0
    assert fit_temperature(model, data.val, device="cpu") == before != 7.0
    assert model.temperature == 7.0


def test_probabilities_are_those_of_the_divided_logits():
    logits = torch.tensor([[3.0, -1.0, 0.5]])
    for task, expected in (
        ("multi-class", (logits.double() / 2).softmax(1)),
        ("multi-label, binary-class", (logits.double() / 2).sigmoid()),
    ):
        torch.testing.assert_close(probabilities(logits.double() / 2.0, task), expected)


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_and_predict_use_the_models_temperature(name):
    data = synthetic(name, n_train=8, n_val=8, n_test=60)
    model = Net(data.info)
    raw = evaluate(model, data.test, device="cpu", resamples=0)
    assert raw.temperature == 1.0
    assert "temperature" not in str(raw)
    model.temperature = 3.0
    own = evaluate(model, data.test, device="cpu", resamples=0)
    assert own.temperature == 3.0
    assert "temperature 3" in str(own)
    assert own.ece != raw.ece
    assert evaluate(model, data.test, device="cpu", resamples=0, temperature=1.0) == raw

    logits = medzoo.inference.predict_logits(model, data.test.images, device="cpu")
    raw_logits = medzoo.inference.predict_logits(
        model, data.test.images, device="cpu", temperature=1.0
    )
    torch.testing.assert_close(logits, raw_logits / 3.0)
    expected = probabilities(logits, data.info.task)
    assert own.ece == compute_metrics(data.test.labels, expected, data.info.task).ece
    one = predict(model, data.test.images[0], device="cpu")
    named = dict(zip(data.info.classes, expected[0].tolist(), strict=True))
    assert one.probabilities == pytest.approx(named, abs=1e-6)


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "onnxscript"))),
    reason="needs medzoo[onnx]",
)
def test_a_compiled_model_has_the_models_temperature_but_raw_logits(tiny):
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16)).eval()
    batch = torch.randn(2, 3, 28, 28)
    expected = model(batch).detach()
    for temperature in (1.0, 2.5):  # the second time, the cache has one of the other temperature
        model.temperature = temperature
        for precision in ("float32", "int8"):
            images = None if precision == "float32" else tiny.train
            compiled = medzoo.compile(model, precision=precision, calibration=images)
            assert compiled.temperature == temperature
            torch.testing.assert_close(compiled(batch), expected, atol=0.2, rtol=0)
        report = evaluate(compiled, tiny.test, resamples=0)
        assert report.temperature == temperature
    compiled.temperature = fit_temperature(compiled, tiny.val)
    assert evaluate(compiled, tiny.test, resamples=0).temperature == compiled.temperature


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf, "1", True])
def test_what_is_no_temperature_is_refused(temperature):
    split = synthetic("dermamnist", n_test=4).test
    model = Net(split.info)
    for run in (
        lambda: evaluate(model, split, temperature=temperature),
        lambda: medzoo.predict(model, split.images[0], temperature=temperature),
        lambda: setattr(model, "temperature", temperature),
    ):
        error = TypeError if isinstance(temperature, str | bool) else ValueError
        with pytest.raises(error, match=r"temperature=.* must be a finite number above 0"):
            run()


def test_what_does_not_fit_is_refused():
    data = synthetic("dermamnist", n_train=4, n_val=8, n_test=4)
    model = Net(data.info)
    with pytest.raises(TypeError, match=r"give one split, e\.g\. data\.test"):
        fit_temperature(model, data)
    for option in ({"temperature": 2.0}, {"tta": "flip"}):
        with pytest.raises(ValueError, match="does not apply to fit_temperature"):
            fit_temperature(model, data.val, **option)
    with pytest.raises(ValueError, match="is empty"):
        fit_temperature(model, data.val.subset(slice(0)))
    with pytest.raises(ValueError, match=r"made for .*multi-class.* is multi-label"):
        fit_temperature(model, synthetic("chestmnist", n_val=4).val)
    spec = ModelSpec.for_data(data.val)
    with pytest.raises(ValueError, match="gives 3 logits"):
        fit_temperature(lambda x: torch.zeros(len(x), 3), data.val, spec=spec)
    for value in (math.nan, math.inf):
        logits = torch.zeros(8, 7)
        logits[2, 1] = value
        with pytest.raises(ValueError, match=r"NaN or infinite logits .*\(first: image 2\)"):
            fit_temperature(Replay(logits, data.val), data.val, device="cpu")
