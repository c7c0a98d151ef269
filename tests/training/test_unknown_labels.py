"""Unknown labels in training: they are targets that the loss leaves out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import medzoo
from medzoo.datasets import Split, synthetic
from medzoo.training import Augmentation, Trainer
from medzoo.training import loss as loss_module
from medzoo.training.augment import BatchAugmenter
from medzoo.training.distillation import Teacher
from medzoo.training.loss import class_weights, loss_of, soft_targets, task_loss
from tests.training.quick import QUICK, same, small

CPU = torch.device("cpu")
NAN = torch.nan


def with_unknown(split, share=0.4, seed=0):
    """A split of which some labels are unknown."""
    hidden = torch.rand(split.labels.shape, generator=torch.manual_seed(seed)) < share
    labels = split.labels.masked_fill(hidden, NAN)
    return Split(split.images, labels, split.info, split.name, split.provenance)


def chest(share=0.4):
    data = synthetic("chestmnist", n_train=48, n_val=32, n_test=8)
    splits = (with_unknown(split, share, seed) for seed, split in enumerate(data.splits.values()))
    return medzoo.Dataset(data.info, *splits, data.provenance)


def logits_for(split, seed=1):
    return torch.randn(split.labels.shape, generator=torch.manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_the_loss_is_the_mean_over_known_labels(smoothing, weights):
    split = chest().train
    logits, targets = logits_for(split), soft_targets(split, smoothing)
    known = ~split.labels.isnan()
    factors = torch.ones(14) if weights == "none" else class_weights(split)
    all_losses = F.binary_cross_entropy_with_logits(
        logits,
        targets.nan_to_num(0.3),
        torch.where(split.labels == 1, factors, 1.0),
        reduction="none",
    )
    value = task_loss(split, weights, smoothing, CPU)(logits, targets)
    torch.testing.assert_close(value, all_losses[known].mean())
    value.backward()
    assert (logits.grad[~known] == 0).all()
    assert (logits.grad[known] != 0).all()


def test_a_batch_without_a_known_label_has_no_loss():
    logits = torch.randn(4, 3, requires_grad=True)
    value = loss_of(logits, torch.full((4, 3), NAN), True, unknown=True)
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


def test_processes_divide_by_the_labels_known_to_all_of_them(monkeypatch):
    split = chest().train
    logits, targets = logits_for(split), soft_targets(split)
    counts = [(~half.isnan()).sum().float() for half in (targets[:16], targets[16:])]
    monkeypatch.setattr(loss_module, "process_mean", lambda count: torch.stack(counts).mean())
    halves = [
        loss_of(logits[part], targets[part], True, unknown=True)
        for part in (slice(16), slice(16, None))
    ]
    monkeypatch.undo()
    whole = loss_of(logits, targets, True, unknown=True)
    torch.testing.assert_close(sum(halves) / 2, whole)


def test_balanced_weights_count_known_labels():
    split = chest().train
    weights = class_weights(split)
    for k in range(14):
        column = split.labels[:, k]
        positive, negative = (column == 1).sum(), (column == 0).sum()
        expected = float(negative / positive) if positive and negative else 1.0
        assert weights[k] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["mixup", "cutmix"])
def test_a_blend_with_an_unknown_label_is_unknown(method):
    images = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    targets = torch.zeros(64, 2)
    targets[::2, 0] = NAN
    augmentation = Augmentation(**{method: 1.0}, mix_probability=0.5)
    augmenter = BatchAugmenter(augmentation, (0.5,), (0.5,))
    _, plain = augmenter(images, targets.nan_to_num(1.0), np.random.default_rng(0))
    _, mixed = augmenter(images, targets, np.random.default_rng(0))
    # With 1 for unknown, the target is their share; without them it is 0.
    assert torch.equal(mixed[:, 0].isnan(), plain[:, 0] > 0)
    assert 0 < int((mixed[:, 0] == 0).sum()) < 64
    assert torch.equal(mixed[:, 1], plain[:, 1])


def test_a_teacher_answers_where_labels_are_unknown():
    data = chest()
    teacher = Teacher(small(data), data, 0.25, CPU)
    targets = soft_targets(data.train)
    images = torch.randn(len(targets), 1, data.size, data.size)
    blended = teacher.blend(images, targets)
    answers = Teacher(small(data), data, 1.0, CPU).blend(images, targets.nan_to_num(0))
    known = ~targets.isnan()
    torch.testing.assert_close(blended[~known], answers[~known])
    torch.testing.assert_close(blended[known], (0.75 * targets + 0.25 * answers)[known])


RECIPES = {
    "plain": {},
    "balanced": {"class_weights": "balanced"},
    "numbers": {"class_weights": [1.0 + k for k in range(14)]},
    "mixed": {"augmentation": {"mixup": 0.4, "cutmix": 1.0, "mix_probability": 0.7}},
}


@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_a_training_with_unknown_labels_stays_finite(changes):
    data = chest()
    run = Trainer(small(data), data, QUICK.with_changes(**changes), device="cpu").fit()
    figures = [row[name] for row in run.history for name in ("loss", "val_loss", "val_auc")]
    assert np.isfinite(figures).all()
    assert all(value.isfinite().all() for value in run.model.state_dict().values())


def test_what_stands_in_their_place_does_not_matter():
    data, known = chest(), synthetic("chestmnist", n_train=48, n_val=32, n_test=8)
    marked = [
        (split.images, split.labels.nan_to_num(-1).to(torch.int8)) for split in data.splits.values()
    ]
    own = medzoo.Dataset.from_arrays(*marked, classes=data.info.classes)
    runs = [
        Trainer(small(sets), sets, QUICK, device="cpu").fit().history[-1]["val_loss"]
        for sets in (data, own, known)
    ]
    assert runs[0] == pytest.approx(runs[1], rel=1e-4)
    assert runs[2] != pytest.approx(runs[0], rel=1e-4)


def test_a_run_with_unknown_labels_is_resumed(tmp_path):
    data = chest()
    first = Trainer(small(data), data, QUICK, output=tmp_path, device="cpu").fit()
    again = Trainer(small(data), chest(), QUICK, output=tmp_path, device="cpu").fit(resume=True)
    assert same(first.model, again.model)


def test_larger_images_may_have_the_same_unknown_labels():
    data = chest()
    images = data.train.images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    train = Split(images, data.train.labels.clone(), data.info, "train", data.provenance)
    high_res = medzoo.Dataset(data.info, train, data.val, data.test, data.provenance)
    Trainer(small(data), data, QUICK, high_res=high_res, device="cpu")
    train.labels[0, 0] = 0.0 if train.labels[0, 0].isnan() else NAN
    with pytest.raises(ValueError, match="their labels differ"):
        Trainer(small(data), data, QUICK, high_res=high_res, device="cpu")


def test_a_validation_split_needs_known_labels_of_both_kinds():
    data = chest()
    data.val.labels[data.val.labels == 0] = NAN
    with pytest.raises(ValueError, match="has no AUC to choose the epoch by"):
        Trainer(small(data), data, QUICK, device="cpu")


def test_ones_own_loss_that_does_not_expect_them_is_refused_before_training():
    data = chest(0.0)
    data.train.labels[5, 3] = NAN
    loss = torch.nn.BCEWithLogitsLoss()
    with pytest.raises(ValueError, match=r"loss= gives NaN.*known = ~targets.isnan"):
        Trainer(small(data), data, QUICK, loss=loss, device="cpu")

    def masked(logits, targets):
        known = ~targets.isnan()
        return F.binary_cross_entropy_with_logits(logits[known], targets[known])

    own = Trainer(small(data), data, QUICK, loss=masked, device="cpu").fit()
    ordinary = Trainer(small(data), data, QUICK, device="cpu").fit()
    for one, other in zip(own.model.parameters(), ordinary.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
