"""A run that was stopped goes on as if it had not been, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medzoo import TrainingError, create_model, synthetic
from medzoo.datasets import Dataset
from medzoo.files import sha256_of
from medzoo.training import Augmentation, Recipe, Trainer
from medzoo.training.records.checkpoint import load_checkpoint
from medzoo.training.records.fingerprint import digest_of_split
from medzoo.training.state import optimizer_state

RECIPE = Recipe(
    epochs=4,
    batch_size=16,
    ema_decay=0.9,
    precision="float32",
    augmentation=Augmentation(horizontal_flip=0.5, rotation=30, mixup=0.3, mix_probability=0.5),
)


def trainer(data, output=None, recipe=RECIPE, seed=0):
    torch.manual_seed(seed)
    model = create_model("simple_cnn", dataset=data, widths=(4, 8, 16), drop_rate=0.3)
    return Trainer(model, data, recipe, output=output, name="run")


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def without_times(history):
    return [{k: v for k, v in row.items() if "second" not in k} for row in history]


class Stop(BaseException):
    """As sudden as an interrupt."""


def interrupt(run, epoch, step=1):
    """Stop a run in the middle of an epoch."""
    batches = run.batches.epoch

    def stopping(index):
        for number, batch in enumerate(batches(index)):
            if (index, number) == (epoch, step):
                raise Stop
            yield batch

    run.batches.epoch = stopping
    with pytest.raises(Stop):
        run.fit()


@pytest.mark.parametrize(
    "optimizer", ["adamw", "sgd", "muon", "lion", "lamb", "adan", "adamp", "lookahead_adamw"]
)
def test_resumed_run_equals_the_uninterrupted_one(tiny, tmp_path, optimizer):
    recipe = RECIPE.with_changes(optimizer=optimizer, epochs=3)
    whole = trainer(tiny, recipe=recipe).fit()
    interrupt(trainer(tiny, tmp_path, recipe), epoch=2)
    resumed = trainer(tiny, tmp_path, recipe, seed=99).fit(resume=True)
    assert same(resumed.model, whole.model)
    assert without_times(resumed.history) == without_times(whole.history)
    assert resumed.best_epoch == whole.best_epoch


def test_resuming_a_finished_run_changes_nothing(tiny, tmp_path):
    recipe = RECIPE.with_changes(epochs=2)
    first = trainer(tiny, tmp_path, recipe).fit()
    digest = sha256_of(first.weights)
    again = trainer(tiny, tmp_path, recipe, seed=99).fit(resume=True)
    assert again.history == first.history
    assert sha256_of(again.weights) == digest


def test_resuming_a_run_out_of_patience_goes_no_further(tiny, tmp_path, monkeypatch):
    scores = iter([0.9, 0.8, 0.7, 0.99])
    monkeypatch.setattr(
        "medzoo.training.trainer.validate",
        lambda *_, **__: {"val_loss": 0.0, "val_auc": next(scores), "val_acc": 0.0},
    )
    recipe = RECIPE.with_changes(patience=2)
    first = trainer(tiny, tmp_path, recipe).fit()
    assert len(first.history) == 3
    again = trainer(tiny, tmp_path, recipe).fit(resume=True)
    assert again.history == first.history


def test_run_stopped_before_its_first_validation_is_resumed(tiny, tmp_path):
    recipe = RECIPE.with_changes(validate_every=3)
    whole = trainer(tiny, recipe=recipe).fit()
    interrupt(trainer(tiny, tmp_path, recipe), epoch=2)
    resumed = trainer(tiny, tmp_path, recipe, seed=99).fit(resume=True)
    assert same(resumed.model, whole.model)
    assert without_times(resumed.history) == without_times(whole.history)


def test_resume_without_a_checkpoint_starts(tiny, tmp_path):
    assert len(trainer(tiny, tmp_path, RECIPE.with_changes(epochs=1)).fit(resume=True).history) == 1


def test_checkpoint_of_another_recipe_is_refused(tiny, tmp_path):
    interrupt(trainer(tiny, tmp_path), epoch=1)
    other = trainer(tiny, tmp_path, RECIPE.with_changes(learning_rate=0.5))
    with pytest.raises(TrainingError, match=r"run\.checkpoint\.safetensors belongs to another"):
        other.fit(resume=True)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_checkpoint_older_than_the_factors_of_class_weights(tiny, tmp_path, weights):
    recipe = RECIPE.with_changes(class_weights=weights)
    stopped = trainer(tiny, tmp_path, recipe)
    interrupt(stopped, epoch=1)
    older = json.loads(json.dumps(stopped.fingerprint))
    del older["data"]["task"], older["data"]["classes"]
    stopped.files.write(stopped.state, older, last=True)
    again = trainer(tiny, tmp_path, recipe, seed=99)
    if weights == "none":
        assert same(again.fit(resume=True).model, trainer(tiny, recipe=recipe).fit().model)
    else:  # these were factors on something else
        with pytest.raises(TrainingError, match=r"belongs to another run \(other data\)"):
            again.fit(resume=True)


def test_checkpoint_older_than_a_field_of_recipes_is_resumed(tiny, tmp_path):
    stopped = trainer(tiny, tmp_path)
    interrupt(stopped, epoch=1)
    older = json.loads(json.dumps(stopped.fingerprint))
    del older["recipe"]["clip_gradient"], older["recipe"]["augmentation"]["corruptions"]
    stopped.files.write(stopped.state, older, last=True)
    assert len(trainer(tiny, tmp_path).fit(resume=True).history) == RECIPE.epochs


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 99])
def test_damaged_checkpoint_is_a_clear_error(tiny, tmp_path, damage):
    interrupt(trainer(tiny, tmp_path), epoch=1, step=0)
    path = tmp_path / "models" / "run.checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TrainingError, match=r"run\.checkpoint\.safetensors cannot be read"):
        trainer(tiny, tmp_path).fit(resume=True)


SCRIPT = """
import sys, time, torch
from medzoo import synthetic
from medzoo.training.records import run_files
from tests.training import test_resume
torch.set_num_threads(1)
run_files.CHECKPOINT_SECONDS = 0  # every epoch
write = run_files.RunFiles.write

def write_slowly(*arguments, **options):  # so that it is not done before the kill arrives
    write(*arguments, **options)
    time.sleep(0.2)

run_files.RunFiles.write = write_slowly
test_resume.trainer(test_resume.data(), sys.argv[1], test_resume.LONG, seed=7).fit(resume=True)
"""
LONG = RECIPE.with_changes(epochs=25)


def data():
    return synthetic("dermamnist", n_train=56, n_val=28, n_test=28)


def start(output: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(output)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finished_epochs(path: Path) -> int:
    """The epochs that a checkpoint holds; 0 if it was not there, or replaced while it was read."""
    try:
        return load_checkpoint(path)[0]["progress"]["epoch"]
    except TrainingError:
        return 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_process_is_resumed_bit_for_bit(tmp_path, set_threads):
    set_threads(1)
    checkpoint = Path("models") / "run.checkpoint.safetensors"
    trainer(data(), tmp_path / "whole", LONG, seed=7).fit()

    killed = start(tmp_path / "killed")
    deadline = time.monotonic() + 120
    path = tmp_path / "killed" / checkpoint
    while finished_epochs(path) < 2:
        assert killed.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert 2 <= load_checkpoint(path)[0]["progress"]["epoch"] < LONG.epochs
    assert not (tmp_path / "killed" / "models" / "run.safetensors").exists()

    trainer(data(), tmp_path / "killed", LONG, seed=8).fit(resume=True)
    expected, found = (
        load_checkpoint(tmp_path / name / checkpoint)[0] for name in ("whole", "killed")
    )
    one, other = expected.pop("progress"), found.pop("progress")
    assert expected.pop("optimizer_numbers") == found.pop("optimizer_numbers")
    assert one["best_epoch"] == other["best_epoch"]
    assert without_times(one["history"]) == without_times(other["history"])
    for group, tensors in expected.items():
        assert tensors.keys() == found[group].keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor, found[group][name]), f"{group}/{name}"


def test_checkpoint_of_other_data_is_refused(tiny, tmp_path):
    interrupt(trainer(tiny, tmp_path), epoch=1)
    other = synthetic("dermamnist", n_train=56, n_val=28, n_test=28, seed=1)
    with pytest.raises(TrainingError, match=r"another run \(other data\)"):
        trainer(other, tmp_path).fit(resume=True)


def change(data, name, **changes):
    return replace(data, **{name: replace(getattr(data, name), **changes)})


OTHERS = {
    "train labels": lambda d: change(d, "train", labels=d.train.labels.flip(0)),
    "val labels": lambda d: change(d, "val", labels=d.val.labels.flip(0)),
    "val images": lambda d: change(d, "val", images=255 - d.val.images),
    "train images": lambda d: change(d, "train", images=d.train.images.flip(3)),
    "own split": lambda d: replace(d, val=replace(d.test, name="val")),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_checkpoint_of_data_that_differ_a_little_is_refused(tiny, tmp_path, other):
    short = RECIPE.with_changes(epochs=1)
    trainer(tiny, tmp_path, short).fit()
    with pytest.raises(TrainingError, match=r"another run \(other data\)"):
        trainer(other(tiny), tmp_path, short).fit(resume=True)


def test_checkpoint_of_other_widths_is_refused(tiny, tmp_path):
    short = RECIPE.with_changes(epochs=1)
    trainer(tiny, tmp_path, short).fit()
    model = create_model("simple_cnn", dataset=tiny, widths=(4, 8, 8), drop_rate=0.3)
    with pytest.raises(TrainingError, match=r"another run \(other layers, recipe\)"):
        Trainer(model, tiny, short, output=tmp_path, name="run").fit(resume=True)


def test_a_large_mapped_set_is_told_apart_quickly(tmp_path):
    rows = 300_000  # 235 MB, of which the file holds only what was written
    array = np.lib.format.open_memmap(
        tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(rows, 28, 28)
    )
    part = (torch.from_numpy(array), torch.zeros(rows, dtype=torch.int64))
    small = (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([0, 1]))
    split = Dataset.from_arrays(part, small, small).train
    began = time.process_time()
    first = digest_of_split(split)
    assert time.process_time() - began < 1
    assert digest_of_split(split) == first
    split.labels[-1] = 1
    assert digest_of_split(split) != first


def test_the_layout_in_memory_does_not_make_other_data(tiny):
    planes = replace(tiny.train, images=tiny.train.images.contiguous())
    assert planes.images.stride() != tiny.train.images.stride()
    assert digest_of_split(planes) == digest_of_split(tiny.train)


def test_no_state_of_an_optimizer_is_dropped_silently():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer.state[weight] = {"Q": [torch.ones(2)]}
    with pytest.raises(TrainingError, match="'Q' as a list"):
        optimizer_state(optimizer)


def test_resume_needs_a_folder(tiny):
    with pytest.raises(ValueError, match="needs output="):
        trainer(tiny).fit(resume=True)


@pytest.mark.parametrize("options", [{}, {"resume": True}])
def test_a_trainer_that_was_interrupted_in_its_first_epoch_does_not_go_on(tiny, tmp_path, options):
    stopped = trainer(tiny, tmp_path)
    interrupt(stopped, epoch=0, step=2)  # two steps are for the estimate of the time
    with pytest.raises(TrainingError, match=r"ended in epoch 1, .* create model and Trainer again"):
        stopped.fit(**options)
    assert len(trainer(tiny, tmp_path).fit().history) == RECIPE.epochs


def test_a_trainer_without_a_folder_that_was_interrupted_does_not_go_on(tiny):
    stopped = trainer(tiny, None)
    interrupt(stopped, epoch=2)
    with pytest.raises(TrainingError, match="ended in epoch 3"):
        stopped.fit()
