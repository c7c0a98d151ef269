"""The Trainer: it learns, repeats itself, keeps the best epoch, and stops when it diverges."""

import json
import math
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from medzoo import TrainingError, create_model, evaluate, synthetic, train
from medzoo.datasets import Dataset
from medzoo.inference import predict_logits
from medzoo.training import Augmentation, Recipe, Trainer
from medzoo.training.loss import class_weights
from medzoo.weights import read_config, sample_digests
from tests.training.quick import QUICK, same, small, specified


@pytest.mark.parametrize(
    ("name", "floor"),
    [("octmnist", 0.8), ("breastmnist", 0.8), ("chestmnist", 0.6), ("retinamnist", 0.6)],
)
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_it_learns_every_kind_of_task(name, floor, weights):
    data = synthetic(name, n_train=384, n_val=96, n_test=8)
    recipe = QUICK.with_changes(
        epochs=6, batch_size=32, learning_rate=1e-2, class_weights=weights, ema_decay=0.8
    )
    model = create_model("simple_cnn", dataset=data, widths=(8, 16, 32))
    run = Trainer(model, data, recipe).fit()
    assert run.val_auc > floor
    assert run.model is model
    assert not model.training


def test_same_seed_gives_the_same_bits_and_another_does_not(tiny):
    recipe = QUICK.with_changes(
        augmentation=Augmentation(rotation=20, mixup=0.2, mix_probability=0.5)
    )
    runs = [Trainer(small(tiny, drop_rate=0.5), tiny, recipe).fit() for _ in range(2)]
    assert same(runs[0].model, runs[1].model)
    other = Trainer(small(tiny, drop_rate=0.5), tiny, recipe.with_changes(seed=1)).fit()
    assert not same(runs[0].model, other.model)


def test_train_builds_the_model_from_the_recipes_seed_and_arguments(tiny):
    recipe = QUICK.with_changes(
        epochs=1, seed=3, model_args={"widths": [4, 8, 16], "drop_rate": 0.5}
    )
    torch.manual_seed(8)
    one = train("simple_cnn", tiny, recipe)
    torch.manual_seed(9)
    two = train("simple_cnn", tiny, recipe)
    assert same(one.model, two.model)
    assert one.model.head.drop.p == 0.5


def test_best_epoch_is_kept_and_described(tiny, tmp_path):
    recipe = QUICK.with_changes(epochs=4, learning_rate=0.02, warmup=0.1)
    run = Trainer(small(tiny), tiny, recipe, output=tmp_path, name="run").fit()
    scores = [row["val_auc"] for row in run.history]
    assert run.best_epoch == 1 + scores.index(max(scores))
    # Of the calibrated model; with more than two classes, a temperature changes the AUC a little.
    assert run.val_auc == evaluate(run.model, tiny.val, resamples=0).auc
    assert run.val_acc == run.history[run.best_epoch - 1]["val_acc"]

    lines = (tmp_path / "metrics" / "run.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == run.history
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4]
    assert set(run.history[0]) == {
        "epoch", "loss", "val_loss", "val_auc", "val_acc", "lr", "images_per_second", "seconds"
    }  # fmt: skip
    rates = [row["lr"] for row in run.history]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] <= recipe.learning_rate

    assert run.weights == tmp_path / "models" / "run.safetensors"
    again = create_model(run.weights)
    assert same(again, run.model)
    report = evaluate(again, tiny.val, resamples=2)
    assert report.auc == pytest.approx(run.val_auc, abs=1e-12)
    assert report.acc == pytest.approx(run.val_acc, abs=1e-12)
    training = read_config(run.weights).training
    built_with = {"model_args": {"widths": [4, 8, 16]}}
    assert Recipe.from_dict(training["recipe"]) == recipe.with_changes(**built_with)
    assert (training["best_epoch"], training["val_auc"]) == (run.best_epoch, run.val_auc)
    digests = {"image_digests": sample_digests(tiny.train)}
    assert training["data"] == tiny.provenance.to_dict() | digests


def test_without_output_nothing_is_written(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Trainer(small(tiny), tiny, QUICK).fit().weights is None
    assert list(tmp_path.iterdir()) == []


def test_compiled_run_gives_the_same_weights_under_the_same_names(tiny, tmp_path, monkeypatch):
    # Without code generation, which takes minutes: what is called and saved is the same.
    compiled = []
    whole = torch.compile

    def traced(network, **options):
        compiled.append(network)
        return whole(network, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    recipe = QUICK.with_changes(epochs=1)
    trainer = Trainer(small(tiny), tiny, recipe, output=tmp_path, name="run", compile=True)
    run = trainer.fit()
    assert compiled[-1] is run.model
    assert type(run.model) is type(small(tiny))
    plain = Trainer(small(tiny), tiny, recipe).fit()
    for name, value in create_model(run.weights).state_dict().items():
        assert "_orig_mod" not in name
        torch.testing.assert_close(value, plain.model.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_the_test_split_is_never_read(tiny, tmp_path):
    class Poisoned:
        def __getattr__(self, name):
            raise AssertionError(f"test.{name} was read")

        def __len__(self):
            raise AssertionError("the length of test was read")

    poisoned = replace(tiny, test=Poisoned())
    run = Trainer(small(tiny), poisoned, QUICK, output=tmp_path).fit()
    assert same(run.model, Trainer(small(tiny), tiny, QUICK).fit().model)


@pytest.mark.parametrize(("decay", "differs"), [(0.0, False), (0.9, True)])
def test_moving_average_is_what_is_kept(tiny, decay, differs):
    trainer = Trainer(small(tiny), tiny, QUICK.with_changes(epochs=1, ema_decay=decay))
    trained = {}

    def remember(state, fingerprint, *, last):
        trained.update({k: v.clone() for k, v in state.state_dict()["model"].items()})

    trainer.files.write = remember
    kept = trainer.fit().model.state_dict()
    assert all(
        torch.equal(v, kept[k]) for k, v in trainer.state.average.module.state_dict().items()
    )
    assert differs is any(not torch.equal(v, kept[k]) for k, v in trained.items())


def test_bfloat16(tiny):
    recipe = QUICK.with_changes(precision="bfloat16")
    trainer = Trainer(small(tiny), tiny, recipe)
    seen = []
    trainer.model.head.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    run = trainer.fit()
    assert torch.bfloat16 in seen
    assert all(p.dtype == torch.float32 for p in run.model.parameters())
    assert run.history[-1]["loss"] > 0


def test_clipping_limits_the_step(tiny):
    recipe = QUICK.with_changes(
        epochs=1, optimizer="sgd", weight_decay=0.0, learning_rate=1.0, warmup=0.0, ema_decay=0.0
    )
    before = small(tiny)
    moved = {}
    for clip in (None, 1e-6):
        run = Trainer(small(tiny), tiny, recipe.with_changes(clip_gradient=clip)).fit()
        pairs = zip(before.parameters(), run.model.parameters(), strict=True)
        moved[clip] = sum((a - b).norm().item() for a, b in pairs)
    assert moved[1e-6] < 1e-4 < moved[None]


def test_learning_rate_rises_linearly_and_falls_as_a_cosine_over_the_whole_run(tiny):
    recipe = QUICK.with_changes(epochs=4, batch_size=14, warmup=0.25, learning_rate=0.1)
    trainer = Trainer(small(tiny), tiny, recipe)
    rates = []
    step = trainer.state.optimizer.step

    def record():
        rates.append(trainer.state.optimizer.param_groups[0]["lr"])
        step()

    trainer.state.optimizer.step = record
    trainer.fit()
    rise = [0.1 * i / 4 for i in range(4)]
    fall = [0.05 * (1 + math.cos(math.pi * i / 12)) for i in range(12)]
    assert rates == pytest.approx(rise + fall)


def test_the_default_recipe_does_not_mirror_images_of_sides(tiny):
    info = replace(tiny.info, name="own", classes=(*tiny.info.classes[:6], "kidney-left"))
    assert Trainer(small(tiny), replace(tiny, info=info)).recipe.augmentation.horizontal_flip == 0


@pytest.mark.parametrize("warmup", [0.0, 0.5, 0.99])
def test_any_warmup_fits_a_run_of_one_step(tiny, warmup):
    recipe = QUICK.with_changes(epochs=1, batch_size=512, warmup=warmup)
    assert len(Trainer(small(tiny), tiny, recipe).fit().history) == 1


def test_constant_channel_is_no_obstacle(tiny):
    images = tiny.train.images.clone()
    images[:, 1] = 7
    part = (images, tiny.train.labels % 2)
    data = Dataset.from_arrays(part, part, part)
    run = Trainer(small(data), data, QUICK).fit()
    assert evaluate(run.model, data.val, resamples=2).auc == pytest.approx(run.val_auc, abs=1e-12)


def test_class_weights():
    labels = torch.tensor([0] * 6 + [1] * 2 + [2] * 4)
    part = (torch.zeros(12, 1, 4, 4, dtype=torch.uint8), labels)
    split = Dataset.from_arrays(part, part, part).train
    weights = class_weights(split)
    torch.testing.assert_close(weights, torch.tensor([12 / 18, 12 / 6, 12 / 12]))
    assert weights[labels].mean() == pytest.approx(1)
    many = synthetic("chestmnist", n_train=20, n_val=4, n_test=4).train  # 30 % positive
    torch.testing.assert_close(class_weights(many), torch.full((14,), 14 / 6))


def test_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tiny, tmp_path):
    trainer = Trainer(small(tiny), tiny, QUICK.with_changes(epochs=5), output=tmp_path, name="run")
    whole = trainer.loop.loss
    trainer.loop.loss = lambda logits, targets: (
        whole(logits, targets) * (float("nan") if trainer.state.progress.epoch == 2 else 1)
    )
    with pytest.raises(TrainingError, match=r"epoch 3 of run; the checkpoint after epoch 2") as e:
        trainer.fit()
    assert "learning_rate" in str(e.value)
    assert len((tmp_path / "metrics" / "run.jsonl").read_text().splitlines()) == 2
    again = Trainer(small(tiny, seed=5), tiny, trainer.recipe, output=tmp_path, name="run")
    run = again.fit(resume=True)
    assert same(run.model, Trainer(small(tiny), tiny, trainer.recipe).fit().model)


def test_weights_that_are_not_finite_stop_the_run(tiny, tmp_path):
    # The only step of the epoch spoils the weights: its loss was still fine.
    recipe = QUICK.with_changes(batch_size=56)
    trainer = Trainer(small(tiny), tiny, recipe, output=tmp_path, name="run")
    step = trainer.state.optimizer.step

    def spoil():
        step()
        with torch.no_grad():
            trainer.model.head.fc.bias.fill_(float("nan"))

    trainer.state.optimizer.step = spoil
    with pytest.raises(TrainingError, match="outputs became infinite or NaN in epoch 1 of run"):
        trainer.fit()
    assert not list((tmp_path / "models").glob("*.safetensors"))


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboard_events(tiny, tmp_path):
    Trainer(small(tiny), tiny, QUICK, output=tmp_path, name="run", tensorboard=True).fit()
    assert list((tmp_path / "tensorboard" / "run").glob("events*"))


def test_any_module_can_be_trained(tiny):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 7),
    )  # fmt: skip
    run = Trainer(net, tiny, QUICK).fit()
    assert evaluate(run.model, tiny.val, resamples=2).auc == pytest.approx(run.val_auc, abs=1e-12)


def sure_of_the_first(images):
    return torch.tensor([5.0, 0, 0, 0, 0, 0, 0]).expand(len(images), 7)


def test_a_student_comes_to_answer_as_its_teacher_does(tiny):
    def answers(share):
        recipe = QUICK.with_changes(
            epochs=8, validate_every=8, learning_rate=0.05, distillation=share
        )
        given = specified(sure_of_the_first, tiny) if share else None
        run = Trainer(small(tiny), tiny, recipe, teacher=given).fit()
        logits = predict_logits(run.model, tiny.train.images, temperature=1.0)
        return logits.softmax(dim=1)[:, 0]

    assert answers(1.0).mean() > 0.5 > answers(0.0).mean()


def test_training_starts_from_the_recipes_backbone(tiny, tmp_path):
    first = train("simple_cnn", tiny, QUICK.with_changes(epochs=1), output=tmp_path)
    other = synthetic("breastmnist", n_train=32, n_val=16, n_test=8)
    frozen = QUICK.with_changes(
        epochs=1, learning_rate=1e-12, weight_decay=0.0, backbone=str(first.weights)
    )
    run = train("simple_cnn", other, frozen)
    before, after = first.model.state_dict(), run.model.state_dict()
    assert torch.allclose(before["stages.1.1.conv.weight"], after["stages.1.1.conv.weight"])
    assert after["head.fc.weight"].shape == (2, 256)
    assert after["stem.conv.weight"].shape[1] == 1


def test_a_run_of_one_step_prints_nothing_of_its_own(tiny, caplog):
    recipe = QUICK.with_changes(epochs=1, batch_size=56)
    Trainer(small(tiny), tiny, recipe, progress=False).fit()
    assert caplog.records == []


class WithAuxiliaryOutput(nn.Module):
    """Gives a tuple in training mode, as torchvision's GoogLeNet does."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        logits = self.network(x)
        return (logits, logits) if self.training else logits


def test_outputs_that_are_no_logits_in_training_mode_are_an_error(tiny):
    with pytest.raises(TypeError, match=r"gives a tuple in training mode.*auxiliary outputs off"):
        Trainer(WithAuxiliaryOutput(small(tiny)), tiny, QUICK, progress=False).fit()
