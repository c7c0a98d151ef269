"""Ensembles: the mean of what the members say, whatever they are."""

import contextlib
import copy
import importlib.util
from dataclasses import replace

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

import medzoo
from medzoo.datasets import dataset_info, synthetic
from medzoo.inference import Ensemble, average_logits, predict_logits, probabilities
from medzoo.inference.output_check import refuse_probabilities
from medzoo.models import Classifier, Specified, create_model
from medzoo.spec import InputSpec, ModelSpec
from medzoo.transforms import input_spec, prepare_batch

WIDTHS = (4, 8, 16)
INFOS = {info.task: info for info in map(dataset_info, ("retinamnist", "breastmnist"))}
CHEST = dataset_info("chestmnist")
tasks = st.sampled_from([*INFOS, CHEST.task])
temperatures = st.floats(0.05, 20)


class Says(Classifier):
    """A model that says the same whatever it sees."""

    def __init__(self, logits, info, temperature=1.0):
        super().__init__()
        self.logits = torch.as_tensor(logits)
        self.num_classes = info.num_classes
        half = (0.5,) * info.channels
        expected = InputSpec(info.channels, 4, half, half)
        self.spec = ModelSpec("", expected, dataset=info, temperature=temperature)

    def forward(self, x):
        return self.logits[torch.arange(len(x)) % len(self.logits)]


def info_of(task):
    return INFOS.get(task, CHEST)


@st.composite
def given_logits(draw, members):
    """Extreme logits of `members` models for three images, and their task."""
    info = info_of(draw(tasks))
    values = st.floats(-1e4, 1e4, width=32)
    shape = (members, 3, info.num_classes)
    logits = torch.from_numpy(draw(arrays.arrays("float32", shape, elements=values)))
    for member in logits:
        with contextlib.suppress(ValueError):
            refuse_probabilities(member, info.multi_label)  # as an ensemble does
            continue
        reject()
    return logits, info


def chances(model, info):
    """The model's probabilities of three images that it does not look at."""
    logits = model(torch.zeros(3, info.channels, 4, 4))
    assert logits.isfinite().all()
    return probabilities(logits.double() / model.temperature, info.task)


def member(dataset, seed=0, name="simple_cnn", **arguments):
    torch.manual_seed(seed)
    if name == "simple_cnn":
        arguments = {"widths": WIDTHS} | arguments
    return create_model(name, dataset=dataset, **arguments).eval()


def mean_of(models, images, task):
    """What each says of the raw images by itself, averaged."""
    own = [probabilities(predict_logits(m, images, device="cpu"), task) for m in models]
    return torch.stack(own).mean(0)


@settings(deadline=None)
@given(given_logits(1), temperatures, st.integers(1, 4))
def test_one_model_however_often_is_that_model(logits, temperature, count):
    values, info = logits
    model = Says(values[0], info, temperature)
    found = chances(Ensemble([model] * count), info)
    torch.testing.assert_close(found, chances(model, info), atol=1e-5, rtol=0)


@settings(deadline=None)
@given(given_logits(3), st.lists(temperatures, min_size=3, max_size=3))
def test_probabilities_are_the_mean_of_the_calibrated_ones(logits, degrees):
    values, info = logits
    models = [Says(rows, info, degree) for rows, degree in zip(values, degrees, strict=True)]
    found = chances(Ensemble(models), info)
    expected = torch.stack([chances(model, info) for model in models]).mean(0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    if not info.multi_label:
        torch.testing.assert_close(found.sum(1), torch.ones(3).double())


def test_the_order_of_members_does_not_matter_but_their_number_does():
    one, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for multi_label in (False, True):
        means = [
            average_logits(logits, multi_label)
            for logits in ([one, other], [other, one], [one, other, other])
        ]
        torch.testing.assert_close(means[0], means[1])
        assert (means[0] - means[2]).abs().max() > 0.1


def test_averages_keep_apart_what_is_nearly_certain():
    logits = torch.tensor([[30.0, -30.0], [31.0, -31.0]])
    for task, multi_label in (("multi-class", False), (CHEST.task, True)):
        chance = probabilities(average_logits([logits, logits], multi_label), task)
        assert 0 < chance[1, 1] < chance[0, 1] < 1e-12


def test_members_get_images_in_their_own_normalisation():
    data = synthetic("dermamnist", n_train=16, n_val=4, n_test=20)
    other = synthetic("dermamnist", n_train=16, n_val=4, n_test=4, seed=5)
    models = [member(data), member(other.info, 1), member(other, 2, "timm/test_resnet")]
    assert len({m.pretrained_cfg["mean"] for m in models}) == 3
    ensemble = Ensemble(models)
    found = probabilities(predict_logits(ensemble, data.test.images, device="cpu"), "multi-class")
    expected = mean_of(models, data.test.images, "multi-class")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    # The test could not fail if normalisation made no difference.
    batch = prepare_batch(data.test.images, input_spec(models[0]))
    wrong = torch.stack([m(batch).softmax(1) for m in models]).mean(0).double()
    assert (wrong - expected).abs().max() > 1e-4


@pytest.mark.parametrize("sizes", [(20, 28), (28, 20)])
def test_members_get_images_in_their_own_size(sizes):
    info = dataset_info("breastmnist")
    models = [member(info, seed, size=size) for seed, size in enumerate(sizes)]
    expected = replace(models[1].spec.input, mean=(0.3,), std=(0.2,))
    models[1].spec = replace(models[1].spec, input=expected)
    ensemble = Ensemble(models)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(
        0, 256, (5, 1, sizes[0], sizes[0]), dtype=torch.uint8, generator=generator
    )
    seen = []
    for model in models:
        model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = predict_logits(ensemble, images, device="cpu")
    for batch, model, size in zip(seen, models, sizes, strict=True):
        assert batch.shape == (5, 1, size, size)
        assert torch.equal(batch, prepare_batch(images, input_spec(model)))
    expected = mean_of(models, images, "binary-class")
    torch.testing.assert_close(probabilities(logits, "binary-class"), expected, atol=1e-5, rtol=0)


def test_names_and_files_are_loaded(tmp_path):
    names = ["simple_cnn.dermamnist", "efficientnet.dermamnist"]
    if not set(names) <= set(medzoo.list_models(pretrained=True)):
        pytest.skip("these weights are not bundled")
    own = member(dataset_info("dermamnist"))
    own.temperature = 2.5
    path = medzoo.save_weights(own, tmp_path / "own.safetensors")
    ensemble = medzoo.Ensemble([*names, path])
    assert [m.architecture for m in ensemble.members] == [
        "simple_cnn",
        "efficientnet",
        "simple_cnn",
    ]
    assert ensemble.members[2].temperature == 2.5
    images = synthetic("dermamnist", n_test=9).test.images
    found = probabilities(predict_logits(ensemble, images, device="cpu"), "multi-class")
    expected = mean_of(ensemble.members, images, "multi-class")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["dermamnist", "chestmnist"])
def test_it_is_used_like_any_model(name):
    data = synthetic(name, n_train=8, n_val=4, n_test=40)
    models = [member(data, seed) for seed in range(2)]
    ensemble = Ensemble(models)
    assert ensemble.architecture == "ensemble"
    assert ensemble.dataset == models[0].dataset
    assert ensemble.num_classes == data.info.num_classes
    assert ensemble.spec.input == models[0].spec.input
    assert ensemble.members == tuple(models)
    assert medzoo.create_transform(ensemble) == medzoo.create_transform(models[0])
    expected = mean_of(models, data.test.images, data.info.task)
    report = medzoo.evaluate(ensemble, data.test, device="cpu", resamples=0)
    scores = medzoo.evaluation.compute_metrics(data.test.labels, expected, data.info.task)
    assert (report.auc, report.ece) == pytest.approx((scores.auc, scores.ece), abs=5e-3)
    one = medzoo.predict(ensemble, data.test.images[0], device="cpu")
    named = dict(zip(data.info.classes, expected[0].tolist(), strict=True))
    assert one.probabilities == pytest.approx(named, abs=1e-5)


def test_its_own_temperature_comes_on_top():
    values = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    ensemble = Ensemble([Says(values, info_of("ordinal-regression"), 2.0)])
    before = chances(ensemble, ensemble.dataset)
    ensemble.temperature = 3.0
    torch.testing.assert_close(
        chances(ensemble, ensemble.dataset), probabilities(values.double() / 6.0, "multi-class")
    )
    assert not torch.allclose(chances(ensemble, ensemble.dataset), before)


def test_an_ensemble_of_ensembles(tiny):
    models = [member(tiny, seed) for seed in range(3)]
    nested = Ensemble([Ensemble(models[:2]), models[2]])
    images = tiny.test.images
    found = probabilities(predict_logits(nested, images, device="cpu"), "multi-class")
    expected = mean_of(models[:2], images, "multi-class") / 2
    expected += mean_of(models[2:], images, "multi-class") / 2
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_it_infers(tiny):
    model = member(tiny, drop_rate=0.5).train()
    ensemble = Ensemble([model])
    batch = torch.randn(4, 3, 28, 28)
    assert torch.equal(ensemble(batch), ensemble(batch))
    with pytest.raises(ValueError, match=r"medzoo\.create_model"):
        medzoo.save_weights(ensemble, "ensemble.safetensors")


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "onnxscript"))),
    reason="needs medzoo[onnx]",
)
@pytest.mark.slow
def test_it_can_be_compiled_and_members_temperatures_are_part_of_the_graph(tiny):
    models = [member(tiny, seed) for seed in range(2)]
    ensemble = Ensemble(models)
    ensemble.temperature = 1.5
    batch = torch.randn(3, 3, 28, 28)
    results = []
    for temperature in (1.0, 4.0):
        models[0].temperature = temperature
        compiled = medzoo.compile(ensemble)  # kept, but not under one name for both
        assert compiled.temperature == 1.5
        torch.testing.assert_close(compiled(batch), ensemble(batch).detach(), atol=1e-4, rtol=0)
        results.append(compiled(batch))
    assert not torch.allclose(*results, atol=1e-3)


def other_task():
    info = dataset_info("retinamnist")
    return medzoo.DatasetInfo(
        info.name, info.title, "multi-class", info.classes, info.channels, info.licence
    )


def other_classes():
    info = dataset_info("retinamnist")
    names = tuple(f"grade {number}" for number in range(5))
    return medzoo.DatasetInfo(info.name, info.title, info.task, names, 3, info.licence)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: member(dataset_info("dermamnist")), "another data set .*'dermamnist', not 'reti"),
        (lambda: member(other_task()), "another task .*'multi-class', not 'ordinal-regression'"),
        (lambda: member(other_classes()), "another classes .*'grade 0'"),
        (lambda: member(None, num_classes=4), "has 4 classes, but member 0 .* has 5"),
        (lambda: member("retinamnist", in_chans=1), "has 1 channels, but member 0 .* has 3"),
        (lambda: member(None, num_classes=0), "has no classifier"),
        (lambda: member("retinamnist", features_only=True), "has no classifier"),
        (lambda: lambda x: x, "is not a PyTorch module"),
    ],
)
def test_a_member_that_does_not_fit_is_named(make, message):
    with pytest.raises((TypeError, ValueError), match=rf"member 1 \(\w+\).*{message}"):
        Ensemble([member("retinamnist"), make()])


def test_a_member_that_says_nothing_of_its_input_is_named():
    silent = nn.Linear(2, 2)
    silent.num_classes = 2
    with pytest.raises(TypeError, match=r"member 0 \(Linear\): .*does not say which images"):
        Ensemble([silent])
    half = (0.5,) * 3
    spec = ModelSpec("", InputSpec(3, 28, half, half), 7, licence="CC BY 4.0")
    together = Ensemble([Specified(nn.Sequential(nn.Flatten(), nn.Linear(3 * 28**2, 7)), spec)])
    assert together(torch.zeros(2, 3, 28, 28)).shape == (2, 7)
    assert (together.spec.input, together.licence) == (spec.input, "CC BY 4.0")


@pytest.mark.parametrize("members", ["simple_cnn.dermamnist", [], None, nn.Linear(1, 1)])
def test_what_is_no_list_of_members_is_refused(members):
    with pytest.raises((TypeError, ValueError), match="give a list of models or names"):
        Ensemble(members)


def test_an_unknown_name_is_refused_with_close_ones():
    with pytest.raises(ValueError, match="did you mean 'simple_cnn"):
        Ensemble(["simple_cn.dermamnist"])


def test_what_was_fitted_to_the_members_as_they_were_is_dropped():
    data = synthetic("breastmnist", n_train=4, n_val=40, n_test=4)
    members = [create_model("simple_cnn", dataset=data, widths=(4, 4, 4)) for _ in range(3)]
    inner = Ensemble(members[:2])
    ensemble = Ensemble([inner, nn.DataParallel(members[2])])

    def is_calibrated():
        medzoo.calibrate(ensemble, data.val)
        return medzoo.predict(ensemble, data.test.images[0]).prediction_set is not None

    def check_dropped():
        before = copy.deepcopy(ensemble)
        with pytest.warns(UserWarning, match="a member's temperature or input has changed"):
            one = medzoo.predict(ensemble, data.test.images[0])
        assert (one.prediction_set, one.risk) == (None, None)
        assert medzoo.predict(ensemble, data.test.images[0]) == one  # and no second warning
        with pytest.warns(UserWarning, match="a member's temperature"):
            assert medzoo.evaluate(before, data.test).prediction_sets is None

    assert is_calibrated()
    fitted = ensemble.spec
    members[0].temperature = 2.0
    check_dropped()
    ensemble.spec = replace(fitted, licence="MIT")  # what was dropped is not fitted again
    check_dropped()
    assert is_calibrated()
    members[2].temperature = 3.0
    check_dropped()
    assert is_calibrated()
    inner.temperature = 0.5
    check_dropped()
    assert is_calibrated()
    ensemble.licence = "MIT"
    assert ensemble.spec.conformal is not None
    assert ensemble.spec.licence == "MIT"


def test_members_fit_each_other_if_the_first_says_nothing_of_its_data():
    silent = member(None, num_classes=5)
    with pytest.raises(ValueError, match=r"member 2 .* another task than member 1 .*'multi-class'"):
        Ensemble([silent, member("retinamnist"), member(other_task())])
    Ensemble([silent, member("retinamnist"), member("retinamnist")])


@pytest.mark.parametrize("order", [1, -1])
def test_any_member_may_say_what_the_others_leave_open(order):
    half, classes = InputSpec(3, 28, (0.5,) * 3, (0.5,) * 3), ("x", "y", "z")
    specs = [
        ModelSpec("", half, num_classes=3),
        ModelSpec("", half, classes=classes, task="multi-label, binary-class"),
    ]
    nets = [Specified(nn.Sequential(nn.Flatten(), nn.Linear(2352, 3)), spec) for spec in specs]
    ensemble = Ensemble(nets[::order])
    assert (ensemble.spec.task, ensemble.spec.classes) == (specs[1].task, classes)
    image = torch.zeros(1, 3, 28, 28)
    with torch.no_grad():
        expected = torch.stack([net(image).sigmoid() for net in nets]).mean(0)
        assert torch.allclose(ensemble(image).sigmoid(), expected, atol=1e-6)


def test_inputs_that_change_later_are_followed():
    data = synthetic("breastmnist", n_train=4, n_test=1)
    alone, other = (member("breastmnist", seed, widths=WIDTHS) for seed in (0, 1))
    ensemble, image = Ensemble([alone]), data.test.images[0]
    before = medzoo.predict(alone, image).probabilities

    def same(one, expected):
        found = medzoo.predict(one, image).probabilities
        return found == pytest.approx(expected, abs=1e-5)

    half = replace(alone.spec.input, mean=(0.5,), std=(0.25,))
    ensemble.spec = replace(ensemble.spec, input=half)  # how batches arrive
    assert same(ensemble, before)
    ensemble.spec = replace(ensemble.spec, input=replace(half, size=56))
    assert ensemble.parts[0].restarts
    ensemble.spec = replace(ensemble.spec, input=half)
    alone.spec = replace(alone.spec, input=half)  # what the member expects
    changed = medzoo.predict(alone, image).probabilities
    assert changed != pytest.approx(before, abs=1e-4)
    batch = prepare_batch(image[None], half)
    with torch.no_grad():  # at once, although nobody has asked for the spec
        assert torch.allclose(ensemble(batch).softmax(1), alone(batch).softmax(1), atol=1e-6)
    assert same(ensemble, changed)
    both = Ensemble([ensemble, other])
    alone.spec = replace(alone.spec, input=replace(half, mean=(0.1,)))
    expected = [medzoo.predict(one, image).probabilities for one in (alone, other)]
    mean = {name: (expected[0][name] + expected[1][name]) / 2 for name in before}
    assert same(both, mean)
