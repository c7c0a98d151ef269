import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from medzoo.datasets import TASKS, dataset_info, list_datasets, synthetic


@pytest.mark.parametrize("name", list_datasets())
def test_it_mimics_a_named_set(name):
    data, info = synthetic(name, n_train=30, n_val=15, n_test=15), dataset_info(name)
    assert (data.info.task, data.info.classes, data.info.channels) == (
        info.task,
        info.classes,
        info.channels,
    )
    assert [len(split) for split in data.splits.values()] == [30, 15, 15]
    assert data.title == f"SYNTHETIC {info.title}"
    assert data.provenance.note == "synthetic"
    assert not data.official


@pytest.mark.parametrize("task", TASKS)
def test_every_task_and_class_is_there(task):
    data = synthetic(task=task, channels=1, size=32)
    assert data.info.task == task
    assert data.train.images.shape == (512, 1, 32, 32)
    if data.info.multi_label:
        assert data.test.labels.sum(0).tolist() == [77] * 4
    else:
        counts = torch.bincount(data.test.labels)
        assert counts.max() - counts.min() <= 1
    assert torch.equal(synthetic(task, channels=1, size=32).train.images, data.train.images)


def test_seeds_differ_and_splits_do_not_repeat():
    first, second = synthetic(seed=1), synthetic(seed=2)
    assert torch.equal(first.val.images, synthetic(seed=1).val.images)
    assert not torch.equal(first.val.images, second.val.images)
    seen = {image.numpy().tobytes() for split in first.splits.values() for image in split.images}
    assert len(seen) == sum(map(len, first.splits.values()))


@pytest.mark.parametrize("size", [28, 64])
@pytest.mark.parametrize("task", ["multi-class", "binary-class", "ordinal-regression"])
def test_a_linear_model_learns_it_but_not_perfectly(task, size):
    data = synthetic(task, size=size, n_train=300)
    step = size // 14  # pooled, so that the probe is quick
    flat = {
        name: torch.nn.functional.avg_pool2d(split.images.float(), step).flatten(1).numpy() / 255
        for name, split in data.splits.items()
    }
    probe = LogisticRegression(C=0.1, max_iter=200).fit(flat["train"], data.train.labels)
    accuracy = probe.score(flat["test"], data.test.labels)
    assert 1.5 / data.info.num_classes < accuracy < 0.99


def test_patterns_survive_flips_and_quarter_turns():
    data = synthetic(n_train=2000)
    means = np.stack([data.train.images[data.train.labels == k].float().mean(0) for k in range(4)])
    for turned in (means[..., ::-1], means[..., ::-1, :], np.rot90(means, axes=(2, 3))):
        assert np.corrcoef(turned.ravel(), means.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "dermanist"}, "did you mean 'dermamnist'"),
        ({"task": "multi"}, "unknown task"),
        ({"name": "dermamnist", "task": "binary-class"}, "give either the name, or task"),
        ({"name": "dermamnist", "num_classes": 3}, "give either the name, or task"),
        ({"task": "binary-class", "num_classes": 3}, "exactly 2"),
        ({"channels": 2}, "channels=2 must be 1 or 3"),
        ({"n_val": 0}, "n_val=0 must be at least 1"),
        ({"size": 0}, "size=0 must be at least 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        synthetic(**options)
