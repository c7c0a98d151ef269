"""Inference in several threads: same answers, and the model is left as it was."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from medzoo.datasets import synthetic
from medzoo.evaluation import evaluate
from medzoo.inference import Ensemble, modes
from medzoo.inference.modes import for_inference
from medzoo.models import create_model
from medzoo.prediction import explain, predict

CPU, META = torch.device("cpu"), torch.device("meta")
THREADS = 8


@pytest.fixture(scope="module")
def images():
    return synthetic("dermamnist", n_test=25).test.images


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = create_model("simple_cnn", dataset="dermamnist", widths=(4, 8, 16), drop_rate=0.5)
    made.train()
    made.stages[0].eval()  # a frozen part
    return made


def state_of(model):
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return tensors, [module.training for module in model.modules()]


def assert_unchanged(model, state):
    tensors, training = state
    assert all(torch.equal(tensors[name], one) for name, one in model.state_dict().items())
    assert [module.training for module in model.modules()] == training
    assert not modes._layers
    assert not modes._unregistered


def answers(call, images):
    """Run a call over all images in each of eight threads, which start together."""
    start = threading.Barrier(THREADS)

    def work(_):
        start.wait()
        return [call(image) for image in images]

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(THREADS)))


@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_predict_in_threads(model, images, tta):
    def call(image):
        return predict(model, image, device="cpu", tta=tta).probabilities

    expected, state = [call(image) for image in images], state_of(model)
    assert model.training
    assert answers(call, images) == [expected] * THREADS
    assert_unchanged(model, state)


def test_evaluate_and_explain_in_threads(model, images):
    # Its final map is too coarse, so what is explained is a layer inside the network.
    inner = create_model("timm/test_resnet", dataset="dermamnist").train()
    split = synthetic("dermamnist", n_test=20).test

    def call(image):
        shown = explain(inner, image)
        report = evaluate(model, split, device="cpu", resamples=0)
        return shown.label, shown.heatmap.tolist(), report.acc, report.auc, report.ece

    few, states = images[:4], [state_of(one) for one in (model, inner)]
    expected = [call(image) for image in few]
    assert answers(call, few) == [expected] * THREADS
    for one, state in zip((model, inner), states, strict=True):
        assert_unchanged(one, state)


def test_modules_that_share_layers(model, images):
    other = copy.deepcopy(model)
    ensemble = Ensemble([model, other])
    model.train()
    other.train()
    models = [model, other, ensemble, nn.DataParallel(model), nn.Sequential(model)]
    state = state_of(ensemble)

    def call(image):
        return [predict(one, image, device="cpu").probabilities for one in models]

    expected = [call(image) for image in images[:8]]
    assert answers(call, images[:8]) == [expected] * THREADS
    assert_unchanged(ensemble, state)


def test_an_error_in_a_thread_leaves_the_others_alone(model, images):
    def call(image):
        if torch.equal(image, images[1]):
            with pytest.raises(RuntimeError, match="in the middle"), for_inference(model, CPU):
                raise RuntimeError("in the middle")
            return None
        return predict(model, image, device="cpu").probabilities

    expected, state = [call(image) for image in images], state_of(model)
    assert answers(call, images) == [expected] * THREADS
    assert_unchanged(model, state)


def test_the_last_call_restores_the_modes(model):
    state = state_of(model)
    first, second = for_inference(model, CPU), for_inference(nn.Sequential(model.stem), CPU)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert model.training
    assert not any(module.training for module in model.stem.modules())
    second.__exit__(None, None, None)
    assert_unchanged(model, state)


@pytest.mark.parametrize("training", [False, True])
def test_a_model_in_use_is_not_moved(model, training):
    model.train(training)
    state = state_of(model)
    with (
        for_inference(model, CPU),
        pytest.raises(RuntimeError, match=r"cannot move .* from cpu to meta while another call"),
        for_inference(nn.Sequential(model.stem), META),
    ):
        pass
    assert_unchanged(model, state)


class Movable(nn.Module):
    """A module that can go to the device "meta" and come back."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Module(), nn.Module()])
        self.moves = []
        self.register_buffer("state", torch.zeros(1))

    def to(self, device):
        self.moves.append(str(device))
        self.state = torch.zeros(1, device=device)
        return self


def test_what_was_moved_goes_back_when_nothing_of_it_is_in_use():
    model = Movable()
    first, part = for_inference(model, META), for_inference(model.parts[0], META)
    again = for_inference(model, META)
    first.__enter__()
    part.__enter__()
    again.__enter__()
    first.__exit__(None, None, None)
    again.__exit__(None, None, None)
    assert model.moves == ["meta"]
    assert [one.training for one in model.parts] == [False, False]
    part.__exit__(None, None, None)
    assert model.moves == ["meta", "cpu"]
    assert all(module.training for module in model.modules())
    assert not modes._layers


def test_a_module_that_cannot_be_moved_is_left_as_it_was():
    class Stuck(Movable):
        def to(self, device):
            if str(device) == "meta":
                raise RuntimeError("out of memory")
            return super().to(device)

    model = Stuck()
    with pytest.raises(RuntimeError, match="out of memory"), for_inference(model, META):
        pass
    assert model.moves == ["cpu"]
    assert all(module.training for module in model.modules())
    assert not modes._layers
