"""What a run is about to do is printed before it does it."""

import copy

import torch

from medzoo import synthetic
from medzoo.training import Trainer
from medzoo.training.plan import describe_plan, estimate_epoch
from tests.training.quick import QUICK, same, small


def plan_of(trainer, **options):
    return describe_plan(
        trainer.model,
        trainer.data,
        trainer.recipe,
        trainer.files,
        trainer.batches,
        device=trainer.device,
        **options,
    )


def test_the_plan_says_everything_that_is_about_to_happen(tmp_path):
    data = synthetic("breastmnist", n_train=40, n_val=20, n_test=8)
    large = synthetic("breastmnist", size=64, n_train=40, n_val=20, n_test=8)
    recipe = QUICK.with_changes(epochs=10, batch_size=16)
    trainer = Trainer(
        small(data), data, recipe, output=tmp_path, name="run", high_res=large, device="cpu"
    )
    parameters = sum(p.numel() for p in trainer.model.parameters())
    assert plan_of(trainer, seconds=30.0).splitlines() == [
        "run",
        f"  model   simple_cnn, {parameters:,} parameters",
        "  data    SYNTHETIC BreastMNIST",
        "          images             train       val",
        "          malignant             20        10",
        "          normal, benign        20        10",
        "          all                   40        20",
        "  size    28 x 28 pixels, gray, as the data were loaded (size= or --size gives another)",
        "          random changes at 64 x 64 pixels (high_res)",
        "  steps   25 steps of 16 images",
        "          10 epochs of 2.5 steps",
        "          few to learn from: more epochs or smaller batches usually help",
        "  device  cpu, float32",
        "  time    about 5 min (an estimate from one timed step)",
        f"  files   {tmp_path / 'models' / 'run.safetensors'}",
        f"          {tmp_path / 'models' / 'run.checkpoint.safetensors'}",
        f"          {tmp_path / 'metrics' / 'run.jsonl'}",
    ]


def test_the_plan_counts_labels_and_names_what_differs():
    data = synthetic("chestmnist", n_train=40, n_val=20, n_test=8)
    data.train.labels[0, 0] = float("nan")  # unknown
    recipe = QUICK.with_changes(batch_size=64, freeze="stem")
    trainer = Trainer(small(data), data, recipe)
    trainer.state.frozen.freeze()  # as fit does before it shows the plan
    text = plan_of(trainer, done=1)
    positive = int((data.train.labels[:, 0] == 1).sum())
    (row,) = [line.split() for line in text.splitlines() if "atelectasis" in line]
    assert row[1] == str(positive)
    assert "steps of 40 images (there are no more; the recipe's" in text
    assert "done already: 1 epoch" in text
    assert "of them learn" in text
    assert "time" not in text
    assert "none (output= or --output names a folder)" in text


def test_it_is_printed_with_progress_and_changes_nothing(tiny, capsys):
    shown = Trainer(small(tiny, drop_rate=0.5), tiny, QUICK, progress=True).fit()
    printed = capsys.readouterr()
    assert "  steps   7 steps of 16 images" in printed.err
    assert "(an estimate from one timed step)" in printed.err
    assert printed.out == ""
    hidden = Trainer(small(tiny, drop_rate=0.5), tiny, QUICK, progress=False).fit()
    assert capsys.readouterr().err == ""
    assert same(shown.model, hidden.model)


def test_the_estimate_does_not_touch_the_model(tiny):
    trainer = Trainer(small(tiny), tiny, QUICK)
    before = copy.deepcopy(trainer.model)
    seconds = estimate_epoch(trainer.model, tiny, QUICK, trainer.batches, torch.device("cpu"))
    assert 0 < seconds < 60
    assert same(before, trainer.model)
    assert all(p.grad is None for p in trainer.model.parameters())
