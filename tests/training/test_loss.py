"""A loss of the user's own replaces the task's in training, and in nothing else."""

import pytest
import torch
import torch.nn.functional as F

from medzoo import TrainingError, synthetic
from medzoo.training import Trainer
from medzoo.training.loss import loss_of, soft_targets
from medzoo.weights import read_config
from tests.training.quick import QUICK, same, small


def focal(logits, targets):
    """Focal loss (Lin et al., 2017), of soft targets."""
    log = logits.log_softmax(dim=1)
    return -(targets * (1 - log.exp()).square() * log).sum(dim=1).mean()


def run(data, **options):
    return Trainer(small(data), data, QUICK, **options).fit()


def test_it_is_what_is_minimised(tiny):
    ordinary, own = run(tiny), run(tiny, loss=focal)
    assert not same(ordinary.model, own.model)
    assert own.history[0]["loss"] < ordinary.history[0]["loss"]


def test_the_tasks_own_loss_gives_the_same_weights(tiny):
    own = run(tiny, loss=F.cross_entropy)
    assert same(own.model, run(tiny).model)


def test_validation_keeps_the_tasks_loss(tiny):
    own = run(tiny, loss=lambda logits, targets: 0 * logits.sum())
    logits = torch.zeros(len(tiny.val), 7)
    chance = loss_of(logits, soft_targets(tiny.val), multi_label=False).item()
    assert own.history[-1]["loss"] == 0
    assert own.history[-1]["val_loss"] == pytest.approx(chance, rel=0.5)


def test_it_gets_soft_targets_in_float32(tiny):
    seen = []

    def watching(logits, targets):
        seen.append((logits.dtype, targets.dtype, targets.shape, targets.max().item()))
        return F.cross_entropy(logits, targets)

    recipe = QUICK.with_changes(label_smoothing=0.5, precision="bfloat16")
    Trainer(small(tiny), tiny, recipe, loss=watching).fit()
    assert seen[-1][:3] == (torch.float32, torch.float32, (16, 7))
    assert seen[-1][3] < 0.6


def test_it_works_for_multi_label_sets():
    data = synthetic("chestmnist", n_train=32, n_val=16, n_test=8)
    own = run(data, loss=torch.nn.BCEWithLogitsLoss())
    assert same(own.model, run(data).model)


def test_a_run_is_not_resumed_with_another_loss(tiny, tmp_path):
    run(tiny, loss=focal, output=tmp_path)
    assert run(tiny, loss=focal, output=tmp_path).weights
    for other in (None, F.cross_entropy):
        trainer = Trainer(small(tiny), tiny, QUICK, loss=other, output=tmp_path)
        with pytest.raises(TrainingError, match=r"another run \(other loss\)"):
            trainer.fit(resume=True)


def test_settings_and_weights_of_a_loss_belong_to_it(tiny, tmp_path):
    def weighted(factor):
        return torch.nn.CrossEntropyLoss(weight=factor * torch.ones(7), label_smoothing=0.1)

    run(tiny, loss=weighted(1), output=tmp_path)
    again = Trainer(small(tiny), tiny, QUICK, loss=weighted(1), output=tmp_path).fit(resume=True)
    assert len(again.history) == 2
    with pytest.raises(TrainingError, match="other loss"):
        Trainer(small(tiny), tiny, QUICK, loss=weighted(2), output=tmp_path).fit(resume=True)


def test_the_weights_file_names_it(tiny, tmp_path):
    own = run(tiny, loss=focal, output=tmp_path / "own")
    assert read_config(own.weights).training["loss"] == "focal"
    assert "loss" not in read_config(run(tiny, output=tmp_path).weights).training
