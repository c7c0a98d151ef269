"""The study of the gate: what its variants do to the features, and what it measures."""

import pytest
import torch

import medzoo
from benchmarks.studies.architectures.gate_ablation import VARIANTS, accuracies, variant


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("octmnist", n_train=24, n_val=16, n_test=16)


@pytest.mark.parametrize(("name", "options"), VARIANTS.items())
def test_only_a_gate_that_multiplies_keeps_positions(data, name, options):
    torch.manual_seed(0)
    features = variant(data, *options).train().forward_features(torch.randn(4, 1, 28, 28))
    multiplies, _ = options
    # A residual path does not help: blocks that change the number of channels have none.
    assert (features.shape[-1] > 1) == multiplies, name
    assert not multiplies or features.std((2, 3)).max() > 1e-4


def test_measuring_leaves_the_model_as_it_was(data):
    model = variant(data, True, True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scores = {mode: accuracies(model, data, mode) for mode in ("train", "eval")}
    assert {*scores["eval"]} == {"training", "validation", "test"}
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
