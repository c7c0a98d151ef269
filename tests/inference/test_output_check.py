"""Models that give probabilities instead of logits are recognised, and others are not."""

import pytest
import torch
from torch import nn

from medzoo.datasets import Dataset, synthetic
from medzoo.deployment import export
from medzoo.evaluation import evaluate
from medzoo.inference import Ensemble, fit_temperature, predict_logits
from medzoo.inference.output_check import OutputCheck
from medzoo.models import create_model
from medzoo.prediction import explain, predict
from medzoo.spec import ModelSpec
from medzoo.training import Recipe, Trainer
from medzoo.training.checks.run import check_logits

TTAS = ["none", "flip", "dihedral"]
MESSAGE = "gives probabilities, not logits.* remove the {0} .* returns model"


class Inside(nn.Module):
    """A model with a last layer that should not be there."""

    def __init__(self, name, last):
        super().__init__()
        torch.manual_seed(0)
        self.data = synthetic(name, n_val=30, n_test=30)
        self.model = create_model("simple_cnn", dataset=self.data, widths=(4, 8, 16)).eval()
        with torch.no_grad():
            self.model.get_classifier().weight.mul_(20)  # as certain as after training
        self.spec = self.model.spec
        self.last = last

    def forward(self, x):
        return self.last(self.model(x))


@pytest.mark.parametrize("tta", TTAS)
@pytest.mark.parametrize(
    ("name", "last", "function"),
    [
        ("dermamnist", nn.Softmax(dim=1), "softmax"),
        ("breastmnist", nn.Softmax(dim=1), "softmax"),
        ("chestmnist", nn.Sigmoid(), "sigmoid"),
        ("chestmnist", nn.Softmax(dim=1), "sigmoid"),
    ],
)
def test_probabilities_are_refused(name, last, function, tta):
    model = Inside(name, last)
    test, options = model.data.test, {"device": "cpu", "tta": tta}
    message = MESSAGE.format(function)
    with pytest.raises(ValueError, match=message):
        evaluate(model, test, batch_size=7, **options)
    with pytest.raises(ValueError, match=message):
        predict_logits(model, test.images, temperature=1.0, **options)
    with pytest.raises(ValueError, match=message):
        predict(model, test.images[0], **options)
    with pytest.raises(ValueError, match=message):
        predict(lambda x: model(x), test.images, spec=model.spec, **options)


def test_calibration_refuses_probabilities_too():
    model = Inside("dermamnist", nn.Softmax(dim=1))
    with pytest.raises(ValueError, match=MESSAGE.format("softmax")):
        fit_temperature(model, model.data.val, device="cpu")


def test_explain_refuses_probabilities_too():
    model = create_model("simple_cnn", dataset="dermamnist", widths=(4, 8, 16)).eval()
    model.head.fc = nn.Sequential(model.head.fc, nn.Softmax(dim=1))
    with pytest.raises(ValueError, match=MESSAGE.format("softmax")):
        explain(model, synthetic("dermamnist", n_test=1).test.images[0])


LAST = [("dermamnist", nn.Softmax(dim=1), "softmax"), ("chestmnist", nn.Sigmoid(), "sigmoid")]


@pytest.mark.parametrize(("name", "last", "function"), LAST)
def test_a_member_of_an_ensemble_is_refused(name, last, function):
    model = Inside(name, last)
    Ensemble([model.model])
    with pytest.raises(ValueError, match=r"member 1 \(Inside\).*" + MESSAGE.format(function)):
        Ensemble([model.model, model])


@pytest.mark.parametrize(("name", "last", "function"), LAST)
def test_a_network_that_is_to_be_trained_is_refused(name, last, function):
    data = synthetic(name, n_train=16, n_val=16)
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(data.info.num_classes), last)
    model(torch.zeros(1, *data.train.images.shape[1:]))
    recipe = Recipe(epochs=1, batch_size=8)
    with pytest.raises(ValueError, match=MESSAGE.format(function)):
        Trainer(model, data, recipe, device="cpu")
    Trainer(model[:2], data, recipe, device="cpu")


@pytest.mark.parametrize(("name", "last", "function"), LAST)
def test_an_exported_file_would_not_be_what_it_says(name, last, function, tmp_path):
    path = tmp_path / "model.pt2"
    with pytest.raises(ValueError, match=MESSAGE.format(function)):
        export(Inside(name, last), path)
    assert not path.exists()


@pytest.mark.parametrize("tta", TTAS)
@pytest.mark.parametrize(
    ("name", "last", "undo"),
    [
        ("dermamnist", nn.Softmax(dim=1), torch.log),
        ("dermamnist", nn.Identity(), lambda x: x.log_softmax(1)),
        ("chestmnist", nn.Sigmoid(), torch.logit),
    ],
)
def test_what_the_error_advises_gives_the_right_probabilities(name, last, undo, tta):
    model = Inside(name, last)
    images, options = model.data.test.images, {"device": "cpu", "tta": tta}
    expected = predict(model.model, images, **options)
    found = predict(lambda x: undo(model(x)), images, spec=model.spec, **options)
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def is_refused(multi_label, *batches):
    check = OutputCheck(multi_label)
    for batch in batches:
        check.add(torch.as_tensor(batch))
    try:
        check.finish()
    except ValueError:
        return True
    return False


def test_all_rows_decide():
    rows = torch.randn(50, 7).softmax(1)
    assert is_refused(False, rows)
    assert is_refused(False, rows[:1])
    assert is_refused(False, rows[:20], rows[20:])
    assert is_refused(False, rows.half())
    assert is_refused(False, torch.randn(50, 7).bfloat16().softmax(1))
    logits = torch.randn(1, 7)
    assert not is_refused(False, rows, logits)
    assert not is_refused(False, torch.cat([rows, logits]))
    assert not is_refused(False, rows.log())
    assert not is_refused(False, rows[:, :1])
    assert not is_refused(False, rows * 1.01)
    assert not is_refused(False, rows - 1e-3)
    assert not is_refused(False, torch.full((4, 7), float("nan")))
    assert not is_refused(False)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_outputs_of_a_toy_model_are_logits(multi_label, value):
    assert not is_refused(multi_label, torch.full((4, 2), value))


def test_small_logits_of_few_labels_are_not_taken_for_a_sigmoid():
    assert not is_refused(True, [[0.02, 0.1], [0.03, 0.2]])  # before training
    assert not is_refused(True, [[0.41, 0.8], [0.43, 0.9]])  # only the labels' frequencies
    assert is_refused(True, [[0.02, 0.9], [0.43, 0.1]])
    assert is_refused(True, [[0.02] * 4 + [0.3] * 4])
    assert not is_refused(True, [[-0.02] + [0.3] * 7])
    assert not is_refused(True, [[1.02] + [0.3] * 7])


def test_models_that_give_logits_are_never_refused():
    for seed in range(20):
        torch.manual_seed(seed)
        for name in ("dermamnist", "breastmnist", "chestmnist"):
            data = synthetic(name, n_test=1, seed=seed)
            model = create_model("simple_cnn", dataset=data, widths=(4, 8, 16))
            predict(model, data.test.images[0], device="cpu", spec=ModelSpec.for_data(data))


def test_a_network_that_has_not_learned_yet_is_not_refused_by_chance():
    images = torch.zeros(24, 1, 28, 28, dtype=torch.uint8)
    labels = torch.ones(24, 8)
    split = (images, labels)
    data = Dataset.from_arrays(split, split, split, task="multi-label, binary-class")
    torch.manual_seed(150)
    model = create_model("simple_cnn", dataset=data).eval()
    with torch.no_grad():
        dark = model(torch.zeros(1, 1, 28, 28))
    assert 0 <= dark.min() <= dark.max() <= 1  # looks like probabilities
    check_logits(model, data, torch.device("cpu"))
    Ensemble([model])
