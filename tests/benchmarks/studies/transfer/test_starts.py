"""The transfer study: the same images for every start; the table shows what is known."""

import pytest
import torch

import medzoo
from benchmarks.studies.folds import stratified_share
from benchmarks.studies.transfer import backbones
from benchmarks.studies.transfer import starts as transfer
from medzoo.files import sha256_of
from medzoo.models import save_weights


def test_a_share_keeps_the_classes_and_depends_on_the_seed_alone():
    data = medzoo.synthetic("retinamnist", n_train=200, n_val=10, n_test=10)
    one, again, other = (stratified_share(data, 0.3, seed).train for seed in (0, 0, 1))
    assert torch.equal(one.images, again.images)
    assert not torch.equal(one.images, other.images)
    assert one.labels.bincount().tolist() == [12] * 5
    assert stratified_share(data, 1.0, 0) is data


@pytest.mark.parametrize("method", transfer.METHODS)
def test_every_method_leaves_a_record_that_the_table_shows(method, monkeypatch):
    start = transfer.Start("a small one", "timm/test_resnet", trained=False)
    monkeypatch.setitem(transfer.STARTS, "timm", start)
    data = medzoo.synthetic("breastmnist", n_train=64, n_val=16, n_test=16)
    trial = transfer.TransferTrial("breastmnist", "timm", method, 1.0, 0)
    record = transfer.run(trial, data, steps=2)
    low, high = record["intervals"]["auc"]
    assert 0 <= low <= record["auc"] <= high <= 1
    table = transfer.table({trial.key: record})
    assert f"{record['auc']:.3f} ({low:.3f} to {high:.3f}), 1 of 3 seeds" in table
    if method == "finetune":
        assert record["recipe"]["epochs"] * (64 // transfer.BATCH) == 2


def test_a_record_is_old_when_weights_or_recipe_have_changed():
    data = medzoo.synthetic("breastmnist", n_train=64, n_val=16, n_test=16)
    trial = transfer.TransferTrial("breastmnist", "dermamnist", "finetune", 1.0, 0)
    sha256 = transfer.STARTS["dermamnist"].sha256("breastmnist")
    recipe = transfer.recipe_of(trial, data, steps=2)
    record = {"sha256": sha256, "recipe": recipe.to_dict()}
    assert transfer.is_current(record, trial, data, 2)
    assert not transfer.is_current(record, trial, data, 10)
    assert not transfer.is_current(record | {"sha256": "0"}, trial, data, 2)
    slower = recipe.with_changes(learning_rate=1e-4).to_dict()
    assert not transfer.is_current(record | {"recipe": slower}, trial, data, 2)


def test_seeds_are_averaged_and_what_is_missing_is_a_dash():
    base = transfer.TransferTrial("breastmnist", "scratch", "knn", 0.1, 0)
    row = {"data": "BreastMNIST", "parameters": 5e6, "intervals": {"auc": [0.5, 0.75]}}
    keys = [base.key.replace("seed0", f"seed{seed}") for seed in range(3)]
    found = {key: row | {"auc": auc} for key, auc in zip(keys, (0.5, 0.6, 0.7), strict=True)}
    line = next(line for line in transfer.table(found).splitlines() if "0.600" in line)
    assert line.endswith("| 5.00 M | k-NN | 0.600 ± 0.100 (0.500 to 0.750) | - | - |")
    assert "0.600" not in transfer.table({})


def test_a_start_without_a_name_is_the_backbone_that_has_not_seen_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = transfer.STARTS["others"]
    assert not start.exists("breastmnist")
    assert all(trial.start != "others" for trial in transfer.trials())
    path = backbones.path_of(without="breastmnist")
    backbone = medzoo.create_model("simple_cnn", num_classes=0, in_chans=3)
    save_weights(backbone, path)
    assert start.exists("breastmnist")
    assert not start.exists("retinamnist")
    assert start.sha256("breastmnist") == sha256_of(path)
    data = medzoo.synthetic("breastmnist", n_train=16, n_val=8, n_test=8)
    model = start.model("breastmnist", data, seed=0)
    assert model.num_classes == 2  # type: ignore[attr-defined]
    assert torch.equal(model.stages[0][1].conv.weight, backbone.stages[0][1].conv.weight)  # type: ignore
