import dataclasses
import os
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from medmnist.evaluator import Evaluator
from torch import nn

import medzoo
from medzoo.datasets import load_dataset, synthetic
from medzoo.evaluation import evaluate
from medzoo.inference import Ensemble, predict_logits, probabilities
from medzoo.models import Classifier, create_model, with_spec
from medzoo.spec import InputSpec, ModelSpec
from medzoo.transforms import prepare_batch

FLAGS = ["dermamnist", "retinamnist", "breastmnist", "chestmnist"]


class Net(Classifier):
    """A small untrained model that says what it is, as medzoo's do."""

    def __init__(self, info, channels=None, size=28):
        super().__init__()
        torch.manual_seed(0)
        channels = channels or info.channels
        expected = InputSpec(channels, size, (0.4,) * channels, (0.2,) * channels)
        self.spec = ModelSpec("", expected, dataset=info)
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.head = nn.Linear(4 * (size - 2) ** 2, info.num_classes)
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return self.head(self.body(x).flatten(1))


@pytest.fixture(scope="module", params=FLAGS)
def data(request):
    return synthetic(request.param, n_train=8, n_val=8, n_test=120, seed=1)


def test_auc_and_acc_are_those_of_medmnists_evaluator(data, tmp_path):
    split, model = data.test, Net(data.info)
    report = evaluate(model, split, device="cpu", resamples=0)

    flag = next(flag for flag in FLAGS if flag in data.info.name.lower())
    labels = split.labels.numpy().astype(np.uint8).reshape(len(split), -1)
    np.savez(tmp_path / f"{flag}.npz", test_labels=labels)
    with torch.no_grad():
        logits = model.eval()(prepare_batch(split.images, model.spec.input)).double()
    multi_label = data.info.multi_label
    scores = (logits.sigmoid() if multi_label else logits.softmax(1)).numpy()
    theirs = Evaluator(flag, "test", root=tmp_path).evaluate(scores)
    assert (report.auc, report.acc) == pytest.approx(tuple(theirs), abs=1e-9)


def test_a_report_says_what_was_measured(data):
    report = evaluate(Net(data.info), data.test, device="cpu", resamples=20, seed=3)
    assert (report.title, report.split, report.n) == (data.test.title, "test", 120)
    assert report.task == data.info.task
    assert report.provenance == data.test.provenance.to_dict()
    assert [row["name"] for row in report.per_class] == list(data.info.classes)
    assert (report.resamples, report.seed) == (20, 3)
    assert report.intervals["auc"][0] <= report.auc <= report.intervals["auc"][1]


def test_batches_change_nothing(data):
    model = Net(data.info)
    whole = predict_logits(model, data.test.images, device="cpu")
    parts = predict_logits(model, data.test.images, device="cpu", batch_size=7)
    assert [len(batch) for batch in model.seen] == [120, *[7] * 17, 1]
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-5)  # computed in float32
    assert whole.dtype == torch.float64
    assert not whole.is_inference()


def test_the_model_gets_images_as_its_own_spec_says():
    data = synthetic("breastmnist", n_test=4)
    model = Net(data.info, channels=3, size=40)
    evaluate(model, data.test, device="cpu", resamples=0)
    expected = prepare_batch(data.test.images, model.spec.input)
    assert torch.equal(model.seen[0], expected)


def test_a_plain_callable_needs_a_spec_and_gets_images_as_it_says():
    data = synthetic("dermamnist", size=36, n_test=12)
    info = dataclasses.replace(data.info, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    split = dataclasses.replace(data.test, info=info)
    seen = []

    def model(x):
        seen.append(x)
        return x.mean((2, 3)) @ torch.ones(3, 7)

    evaluate(model, split, device="cpu", resamples=0, spec=ModelSpec.for_data(split))
    expected = InputSpec(3, 36, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert torch.equal(seen[0], prepare_batch(data.test.images, expected))

    other = ModelSpec("", InputSpec(1, 20, (0.5,), (0.5,)), 7)
    evaluate(lambda x: x.flatten(1)[:, :7], data.test, spec=other, device="cpu", resamples=0)
    for run in (
        lambda: predict_logits(model, data.test.images),
        lambda: evaluate(model, data.test),
        lambda: evaluate(nn.Sequential(nn.Flatten(), nn.Linear(3 * 36**2, 7)), data.test),
    ):
        with pytest.raises(TypeError, match=r"does not say which images.*give spec="):
            run()


def test_a_spec_that_is_given_counts_instead_of_the_models_own():
    data = synthetic("dermamnist", n_test=30)
    model = Net(data.info)
    other = dataclasses.replace(model.spec, temperature=3.0)
    own, given = (
        evaluate(model, data.test, device="cpu", resamples=0, spec=spec) for spec in (None, other)
    )
    assert (own.temperature, given.temperature) == (1.0, 3.0)
    assert given == evaluate(model, data.test, device="cpu", resamples=0, temperature=3.0)
    with pytest.raises(TypeError, match="expected a ModelSpec"):
        evaluate(model, data.test, spec={"classes": 7})


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        torch.optim.swa_utils.AveragedModel,
        lambda model: torch.compile(model, backend="eager"),
        lambda model: nn.Sequential(nn.Identity(), model),
    ],
)
def test_a_wrapped_model_scores_what_the_model_scores(wrap):
    data = synthetic("dermamnist", n_test=60)
    model = Net(data.info)
    wrapped = wrap(model)
    expected = evaluate(model, data.test, device="cpu", resamples=0)
    assert evaluate(wrapped, data.test, device="cpu", resamples=0) == expected


def test_a_model_comes_back_in_the_modes_it_came_in():
    data = synthetic("dermamnist", n_test=12)
    model = Net(data.info).train()
    model.body[1].eval()  # a frozen batch norm
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = predict_logits(model, data.test.images, device="cpu")
    assert [m.training for m in (model, model.body[1], model.body[2])] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(first, predict_logits(model, data.test.images, device="cpu"))  # no dropout

    model.head = nn.Linear(1, 1)
    with pytest.raises(RuntimeError):
        predict_logits(model, data.test.images, device="cpu")
    assert [m.training for m in (model, model.body[1], model.body[2])] == [True, False, True]


def test_bfloat16_is_close():
    data = synthetic("dermamnist", n_test=12)
    model = Net(data.info)
    exact = predict_logits(model, data.test.images, device="cpu")
    coarse = predict_logits(model, data.test.images, device="cpu", precision="bfloat16")
    assert coarse.dtype == torch.float64
    assert not torch.equal(coarse, exact)
    torch.testing.assert_close(coarse, exact, atol=0.1, rtol=0.1)


def test_probabilities_keep_apart_what_float32_would_tie():
    close = probabilities(torch.tensor([[20.0, 0.0], [21.0, 0.0]]), "binary-class")
    assert close.dtype == torch.float64
    assert close[0, 0] < close[1, 0] < 1
    torch.testing.assert_close(close.sum(1), torch.ones(2, dtype=torch.float64))
    labels = probabilities(torch.zeros(1, 3), "multi-label, binary-class")
    assert labels.tolist() == [[0.5, 0.5, 0.5]]


def test_an_absent_class_is_nan_with_one_warning_for_all_of_evaluate():
    data = synthetic("dermamnist", n_test=60)
    split = data.test.subset(data.test.labels != 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = evaluate(Net(data.info), split, device="cpu", resamples=10)
    assert len(caught) == 1
    assert data.info.classes[3] in str(caught[0].message)
    aucs = [row["auc"] for row in report.per_class]
    assert np.isnan(aucs[3])
    assert report.auc == pytest.approx(np.nanmean(aucs))
    assert np.isfinite(report.intervals["auc"]).all()


@pytest.mark.parametrize(
    ("model_for", "split_of", "message"),
    [
        ("breastmnist", "dermamnist", "gives 2 logits, but DermaMNIST .* has 7 classes"),
        ("chestmnist", "breastmnist", r"made for ChestMNIST .*multi-label.*is binary-class"),
        ("breastmnist", "chestmnist", r"create_model\(\.\.\., dataset=data\)"),
    ],
)
def test_a_model_for_something_else_is_refused(model_for, split_of, message):
    model = Net(synthetic(model_for, n_test=4).info)
    split = synthetic(split_of, n_test=4).test
    named = dataclasses.replace(model.dataset, title="ChestMNIST")
    model.spec = dataclasses.replace(model.spec, dataset=named)
    info = dataclasses.replace(split.info, name=split_of, title="DermaMNIST")
    with pytest.raises(ValueError, match=message):
        evaluate(model, dataclasses.replace(split, info=info), device="cpu")


def test_an_ensemble_that_knows_no_task_is_refused_for_several_labels():
    split = synthetic("chestmnist", n_test=40).test
    members = [create_model("simple_cnn", num_classes=14, widths=(4, 8, 8), in_chans=1)]
    with pytest.raises(ValueError, match=r"softmax is averaged.*multi-label.*dataset=data"):
        evaluate(Ensemble(members), split, device="cpu")
    with_spec(members[0], dataclasses.replace(members[0].spec, classes=(), dataset=split.info))
    alone, together = (evaluate(m, split, resamples=0) for m in (members[0], Ensemble(members)))
    assert (alone.auc, alone.acc) == (pytest.approx(together.auc), together.acc)


def test_the_same_classes_in_another_order_are_refused_and_others_are_told():
    data = synthetic("breastmnist", n_test=20)
    model = Net(data.info)

    def renamed(*classes):
        return dataclasses.replace(data.test, info=dataclasses.replace(data.info, classes=classes))

    own = data.info.classes
    with pytest.raises(ValueError, match=r"the same in another order.*load the data with classes="):
        evaluate(model, renamed(*reversed(own)), device="cpu")
    with pytest.warns(UserWarning, match=r"'sick'.*compared by their places"):
        evaluate(model, renamed("sick", "well"), device="cpu", resamples=0)
    with pytest.warns(UserWarning, match=r"'1', '2'.*compared by their places"):
        evaluate(model, renamed("1", "2"), device="cpu", resamples=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(model, renamed("0", "1"), device="cpu", resamples=0)


@pytest.mark.parametrize("given", [("0", "1"), ("2", "3"), ("3", "1")])
def test_a_class_in_another_place_is_refused(given):
    data = synthetic("breastmnist", n_test=20)
    grades = Net(dataclasses.replace(data.info, name="", classes=("1", "2")))
    split = dataclasses.replace(data.test, info=dataclasses.replace(data.info, classes=given))
    with pytest.raises(ValueError, match=r"'[12]' in another place; load the data with classes="):
        evaluate(grades, split, device="cpu")


def test_a_name_stands_for_the_trained_model():
    split = synthetic("breastmnist", n_test=4).test
    model = create_model("simple_cnn.breastmnist", pretrained=True)
    report = evaluate("simple_cnn.breastmnist", split, device="cpu", resamples=0)
    by_name = report.to_dict()
    about = by_name.pop("model")
    assert about.keys() == {"architecture", "name", "sha256", "recipe"}
    by_model = evaluate(model, split, device="cpu", resamples=0).to_dict()
    assert by_model.pop("model") == {"architecture": about["architecture"]}
    assert by_name == by_model
    with pytest.raises(ValueError, match="did you mean 'simple_cnn"):
        evaluate("simple_cn.breastmnist", split)
    with pytest.raises(TypeError, match="model=7 is not a model"):
        evaluate(7, split)


def test_nan_is_refused_and_the_image_named():
    data = synthetic("dermamnist", n_test=20)

    def model(x):
        logits = torch.zeros(len(x), 7)
        logits[4, 2] = torch.nan
        return logits

    with pytest.raises(ValueError, match=r"1 of 20 images \(first: image 4\)"):
        evaluate(model, data.test, device="cpu", spec=ModelSpec.for_data(data))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: x, r"gave \(4, 3, 28, 28\) for a batch of 4 images"),
        (lambda x: torch.zeros(1, 7), r"expected a tensor of logits \(4, classes\)"),
        (lambda x: (torch.zeros(4, 7), None), "gave tuple"),
    ],
)
def test_what_is_no_logits_is_refused(output, message):
    split = synthetic("dermamnist", n_test=4).test
    with pytest.raises(ValueError, match=message):
        evaluate(output, split, device="cpu", spec=ModelSpec.for_data(split))


def test_bad_arguments_are_refused():
    split = synthetic("dermamnist", n_test=4).test
    model = Net(split.info)
    with pytest.raises(ValueError, match=r"test split of .* is empty"):
        evaluate(model, split.subset(slice(0)))
    with pytest.raises(ValueError, match="no images"):
        predict_logits(model, split.images[:0])
    with pytest.raises(
        ValueError, match=r"images are torch.float32 .*, expected uint8 \(N, C, H, W\)"
    ):
        predict_logits(model, split.images.float())
    with pytest.raises(ValueError, match="batch_size=0"):
        evaluate(model, split, batch_size=0)
    with pytest.raises(ValueError, match="resamples=-1"):
        evaluate(model, split, resamples=-1)
    with pytest.raises(ValueError, match="precision"):
        evaluate(model, split, precision="float17")
    with pytest.raises(TypeError, match="unknown option 'batchsize'; did you mean 'batch_size'"):
        evaluate(model, split, batchsize=8)


@pytest.mark.skipif("MEDZOO_DATA" not in os.environ, reason="needs MEDZOO_DATA with real data")
def test_real_images_of_another_size_and_with_other_channels():
    data = load_dataset("breastmnist", download=False)
    report = evaluate(Net(data.info, channels=3, size=32), data.test, resamples=50)
    assert report.title == data.title
    assert sum(row["support"] for row in report.per_class) == len(data.test)


def test_a_whole_data_set_is_refused_with_advice():
    data = synthetic("breastmnist", n_train=4, n_val=4, n_test=4)
    with pytest.raises(TypeError, match=r"give one split, e\.g\. data\.test"):
        evaluate(Net(data.info), data)


@pytest.mark.parametrize(
    ("function", "wrong", "right"),
    [
        (medzoo.evaluate, "grups", "groups"),
        (medzoo.evaluate_robustness, "lik", "like"),
        (medzoo.compare, "score", "scores"),
        (medzoo.calibrate, "coverages", "coverage"),
        (medzoo.choose_threshold, "min_sensitivty", "min_sensitivity"),
        (partial(medzoo.choose_confidence, max_risk=0.1), "confidence", "confidence_level"),
    ],
)
def test_a_misspelt_option_is_refused_before_anything_is_loaded(function, wrong, right):
    with pytest.raises(TypeError, match=f"unknown option '{wrong}'; did you mean '{right}'"):
        function("no model", None, **{wrong: 0})


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"resamples": "10"}, TypeError, "resamples='10' must be a whole number of at least"),
        ({"resamples": None}, TypeError, "resamples=None must be"),
        ({"resamples": 10.5}, TypeError, "resamples=10.5 must be"),
        ({"resamples": -1}, ValueError, "resamples=-1 must be"),
        ({"seed": -1}, ValueError, "seed=-1 must be a whole number of at least 0"),
        ({"seed": "a"}, TypeError, "seed='a' must be"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        medzoo.evaluate,
        partial(medzoo.evaluate_robustness, like="octmnist"),
        lambda model, split, **options: medzoo.compare([model, model], split, **options),
    ],
)
def test_resampling_is_checked_before_a_model_runs(function, options, kind, message):
    split = synthetic("octmnist", n_test=4).test
    with pytest.raises(kind, match=f"^{message}"):
        function(lambda x: pytest.fail("it ran"), split, **options)


def test_integers_of_numpy_are_integers():
    split = synthetic("breastmnist", n_test=8).test
    report = evaluate(Net(split.info), split, resamples=np.int64(2), seed=np.int64(3))
    assert (type(report.resamples), type(report.seed)) == (int, int)


def test_thresholds_of_different_lengths_are_refused():
    split = synthetic("chestmnist", n_test=4).test
    for wrong in ([[0.5], [0.5, 0.2]], [0.5, [0.2]]):
        with pytest.raises(TypeError, match=r"^threshold=.* number between 0 and 1, or one per"):
            evaluate(lambda x: pytest.fail("it ran"), split, threshold=wrong)


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_a_threshold_per_label_may_be_of_any_kind(kind):
    split = synthetic("chestmnist", n_test=4).test
    thresholds = [0.1 + 0.05 * k for k in range(14)]
    report = evaluate(Net(split.info), split, threshold=kind(thresholds), resamples=0)
    assert report.threshold == pytest.approx(thresholds)


def test_a_data_set_in_place_of_a_split_is_named_with_groups_too():
    data = medzoo.synthetic("breastmnist", n_train=4, n_val=4, n_test=4)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=[4, 4, 8])
    with pytest.raises(TypeError, match=r"split is a Dataset; give one split, e\.g\. data\.test"):
        medzoo.evaluate(model, data, groups=[1, 2])
