"""Training on from trained weights: what is kept, what is frozen, what learns more slowly."""

import json
from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

import medzoo
from medzoo.models import create_model
from medzoo.training import Augmentation, Callback, Recipe, Trainer, finetune, load_recipe, train
from medzoo.training.optim import Frozen, create_optimizer, frozen_names, layers_of
from medzoo.training.records.checkpoint import Checkpoint, load_checkpoint

CPU = torch.device("cpu")
QUICK = Recipe(
    epochs=2,
    batch_size=14,
    learning_rate=0.01,
    ema_decay=0.0,
    precision="float32",
    augmentation=Augmentation(horizontal_flip=0.5),
)
SMALL = {"widths": (4, 8, 16)}


def small(data, seed=0):
    torch.manual_seed(seed)
    return create_model("simple_cnn", dataset=data, **SMALL)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A weights file of a small network, trained on another task than `tiny`."""
    other = medzoo.synthetic("pneumoniamnist", n_train=32, n_val=16, n_test=1)
    folder = tmp_path_factory.mktemp("backbone")
    recipe = QUICK.with_changes(epochs=1, model_args=SMALL)
    return train("simple_cnn", other, recipe, output=folder).weights


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before, model):
    after = model.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("freeze", ["none", "stem", 1, "backbone"])
@pytest.mark.parametrize("name", ["simple_cnn", "timm/test_resnet"])
def test_only_what_is_not_frozen_changes(tiny, name, freeze):
    torch.manual_seed(0)
    model = create_model(name, dataset=tiny, **(SMALL if name == "simple_cnn" else {}))
    layers = layers_of(model, "freeze")
    head = {id(parameter) for parameter in model.get_classifier().parameters()}
    last = {"none": -1, "stem": 0, 1: 1, "backbone": max(layers.values())}[freeze]
    fixed = {
        key
        for key, tensor in model.state_dict(keep_vars=True).items()
        if layers[key if key in layers else key.rpartition(".")[0]] <= last
        and id(tensor) not in head
    }
    before = state(model)
    run = Trainer(model, tiny, QUICK.with_changes(freeze=freeze)).fit()
    # The statistics of batch norms are in the state, too: they are to be among what is fixed.
    assert changed(before, run.model) == before.keys() - fixed
    assert all(parameter.requires_grad for parameter in run.model.parameters())
    assert not any(module.training for module in run.model.modules())


def test_the_backbone_is_all_but_the_classifier(tiny):
    model = create_model("attention_unet", dataset=tiny, widths=(4, 8, 8, 8), head_width=8)
    Frozen(model, "backbone")
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learns == {"head.fc.weight", "head.fc.bias"}


def test_parameters_that_the_user_froze_stay_frozen(tiny):
    model = small(tiny)
    model.stem.requires_grad_(False)
    Trainer(model, tiny, QUICK.with_changes(epochs=1, freeze=1)).fit()
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learns
    assert not any(name.startswith("stem") for name in learns)


@pytest.mark.parametrize("hook", ["on_fit_start", "on_epoch_end"])
def test_nothing_stays_frozen_after_an_interruption(tiny, hook):
    def interrupt(state):
        raise KeyboardInterrupt

    callback = Callback()
    setattr(callback, hook, interrupt)
    model, recipe = small(tiny), QUICK.with_changes(freeze="backbone")
    with pytest.raises(KeyboardInterrupt):
        Trainer(model, tiny, recipe, callbacks=[callback]).fit()
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("name", ["advanced_cnn", "timm/test_resnet"])
def test_earlier_layers_learn_more_slowly(tiny, name, optimizer):
    model = create_model(name, dataset=tiny)
    recipe = Recipe(optimizer=optimizer, layer_decay=0.5, freeze="stem", epochs=1, batch_size=14)
    trainer = Trainer(model, tiny, recipe)
    trainer.state.scheduler.step_update(trainer.state.scheduler.warmup_t)  # the peak
    rates = {
        id(parameter): group["lr"]
        for group in trainer.state.optimizer.param_groups
        for parameter in group["params"]
    }
    layers = layers_of(model, "layer_decay")
    by_layer = {}
    for key, parameter in model.named_parameters():
        if layers[key] == 0:
            assert id(parameter) not in rates
        else:
            by_layer.setdefault(layers[key], []).append(rates[id(parameter)])
    peaks = [max(by_layer[layer]) for layer in sorted(by_layer)]
    assert peaks == sorted(peaks)
    assert peaks[-1] == pytest.approx(recipe.learning_rate)
    if name == "advanced_cnn":  # a layer is a stage; timm's own may count blocks
        assert peaks == pytest.approx([2e-3 * 0.5**k for k in (4, 3, 2, 1, 0)])


def test_without_either_the_parameter_groups_are_those_of_before(tiny):
    groups = create_optimizer(
        small(tiny),
        QUICK.optimizer,
        learning_rate=QUICK.learning_rate,
        weight_decay=QUICK.weight_decay,
        layer_decay=QUICK.layer_decay,
        device=CPU,
    ).param_groups
    assert [group["weight_decay"] for group in groups] == [0.0, QUICK.weight_decay]
    assert all("lr_scale" not in group for group in groups)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_resumed_run_equals_the_uninterrupted_one(tiny, tmp_path, optimizer):
    recipe = QUICK.with_changes(optimizer=optimizer, freeze="stem", layer_decay=0.5, ema_decay=0.9)
    whole = Trainer(small(tiny), tiny, recipe).fit()
    stopped = Trainer(small(tiny), tiny, recipe, output=tmp_path, name="run")
    batches = stopped.batches.epoch
    stopped.batches.epoch = lambda epoch: batches(epoch) if epoch < 1 else interrupted()
    with pytest.raises(KeyboardInterrupt):
        stopped.fit()
    resumed = Trainer(small(tiny, seed=9), tiny, recipe, output=tmp_path, name="run").fit(
        resume=True
    )
    assert not changed(state(whole.model), resumed.model)


def interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize("changes", [{"freeze": "stem"}, {"layer_decay": 0.5}])
def test_both_belong_to_the_fingerprint_of_a_run(tiny, tmp_path, changes):
    Trainer(small(tiny), tiny, QUICK, output=tmp_path, name="run").fit()
    other = Trainer(small(tiny), tiny, QUICK.with_changes(**changes), output=tmp_path, name="run")
    with pytest.raises(medzoo.TrainingError, match=r"other recipe"):
        other.fit(resume=True)


def test_a_checkpoint_from_before_both_existed_goes_on(tiny, tmp_path):
    trainer = Trainer(small(tiny), tiny, QUICK, output=tmp_path, name="run")
    first = trainer.fit()
    state, fingerprint = load_checkpoint(trainer.files.checkpoint)
    for name in ("freeze", "layer_decay"):
        del fingerprint["recipe"][name]
    trainer.files.checkpoint.write_bytes(Checkpoint.of(state, fingerprint).content())
    again = Trainer(small(tiny, seed=9), tiny, QUICK, output=tmp_path, name="run")
    assert again.fit(resume=True).history == first.history


def test_old_recipes_load():
    old = {
        k: v for k, v in QUICK.to_dict().items() if k not in ("freeze", "layer_decay", "backbone")
    }
    assert Recipe.from_dict(json.loads(json.dumps(old))) == QUICK


@pytest.mark.parametrize("freeze", ["all", 0, -1, True, 1.5, None])
def test_bad_freeze_is_named(freeze):
    with pytest.raises(
        ValueError, match=r"Recipe\.freeze=.*'none', 'stem', 'backbone', or a number"
    ):
        Recipe(freeze=freeze)


@pytest.mark.parametrize("decay", [0, -0.5, 1.1, "x"])
def test_bad_layer_decay_is_named(decay):
    with pytest.raises(ValueError, match=r"Recipe\.layer_decay="):
        Recipe(layer_decay=decay)


def test_more_stages_than_there_are_is_an_error(tiny):
    with pytest.raises(ValueError, match=r"freeze=9, but SimpleCNN has 2 stages; .* 1 to 2"):
        Trainer(small(tiny), tiny, QUICK.with_changes(freeze=9))


@pytest.mark.parametrize("changes", [{"freeze": "backbone"}, {"layer_decay": 0.5}])
def test_a_model_that_does_not_tell_its_layers_is_an_error(tiny, changes):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 7))
    with pytest.raises(ValueError, match=rf"{next(iter(changes))} needs.*group_matcher"):
        Trainer(model, tiny, QUICK.with_changes(**changes))


def test_finetuning_keeps_the_backbone_and_renews_the_classifier(tiny, backbone):
    still = QUICK.with_changes(epochs=1, learning_rate=1e-12, weight_decay=0.0, freeze="stem")
    run = finetune(backbone, tiny, still)
    before = create_model(backbone).state_dict()
    assert run.recipe.backbone == str(backbone)
    after = run.model.state_dict()
    torch.testing.assert_close(after["stages.1.1.conv.weight"], before["stages.1.1.conv.weight"])
    assert after["head.fc.weight"].shape == (7, 16)
    # Gray became RGB: the sum over the channels is what a gray image meets.
    summed = after["stem.conv.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(summed, before["stem.conv.weight"], rtol=1e-4, atol=1e-5)


def test_finetuning_is_training_from_the_recipes_backbone(tiny, backbone):
    one = finetune(backbone, tiny, QUICK)
    other = train("simple_cnn", tiny, QUICK.with_changes(backbone=str(backbone)))
    assert not changed(state(one.model), other.model)


def test_the_backbone_decides_the_architectures_arguments(backbone, monkeypatch):
    data = medzoo.synthetic("breastmnist", n_train=32, n_val=16, n_test=1)
    bundled = {"default": {"model_args": {"widths": [2, 2, 2]}}, "finetune": {"epochs": 1}}
    monkeypatch.setattr("medzoo.training.recipes.bundled._bundled", lambda: bundled)
    run = finetune(backbone, data)
    assert run.model.num_features == SMALL["widths"][-1]
    assert run.recipe.epochs == 1
    assert load_recipe({"backbone": "x"}, "simple_cnn", "breastmnist").model_args == {}
    with pytest.raises(medzoo.WeightsError, match="do not fit"):
        finetune(backbone, data, {"model_args": {"widths": [2, 2, 2]}})


def test_a_model_is_trained_in_place(tiny):
    other = medzoo.synthetic("octmnist", channels=None, n_train=8, n_val=8, n_test=1)
    model = create_model("simple_cnn", num_classes=4, in_chans=3, **SMALL)
    model.spec = replace(model.spec, classes=other.info.classes, dataset=other.info)
    before = state(model)
    run = finetune(model, tiny, {"epochs": 1, "freeze": "backbone"})
    assert run.model is model
    assert run.recipe.backbone == ""
    assert model.get_classifier().weight.shape == (7, 16)
    assert changed({k: v for k, v in before.items() if "head" not in k}, model) == set()


def test_a_models_classifier_of_the_same_set_is_kept(tiny):
    model = small(tiny)
    before = model.get_classifier().weight.detach().clone()
    still = QUICK.with_changes(epochs=1, learning_rate=1e-12, weight_decay=0.0)
    finetune(model, tiny, still)
    torch.testing.assert_close(model.get_classifier().weight, before)


def test_what_cannot_be_finetuned_is_an_error(tiny):
    with pytest.raises(ValueError, match=r"Linear without reset_classifier.*create_model"):
        finetune(nn.Linear(2, 2), tiny)
    gray = create_model("simple_cnn", num_classes=7, in_chans=1, **SMALL)
    with pytest.raises(ValueError, match=r"cannot take an image.*create_model"):
        finetune(gray, tiny, QUICK)


def test_train_refuses_names_of_trained_weights(tiny, backbone):
    for name in (str(backbone), "simple_cnn.dermamnist"):
        with pytest.raises(ValueError, match=r"random weights.*medzoo\.finetune\("):
            train(name, tiny, QUICK)


def test_the_bundled_recipe_fits_published_weights_on_every_small_set():
    for dataset in ("breastmnist", "retinamnist", "pneumoniamnist"):
        recipe = load_recipe(
            "finetune", "advanced_cnn", dataset, backbone="advanced_cnn.dermamnist"
        )
        assert recipe.model_args == {}
        assert recipe.backbone == "advanced_cnn.dermamnist"


def test_the_bundled_recipe_is_gentle_with_networks_of_timms_alone():
    own = [load_recipe("finetune", name, "breastmnist") for name in medzoo.list_models()]
    timms = load_recipe("finetune", "timm/resnet18", "breastmnist")
    assert {(recipe.learning_rate, recipe.layer_decay) for recipe in own} == {(0.005, 1.0)}
    assert timms.learning_rate < 0.005
    assert timms.layer_decay < 1
    assert own[0].augmentation == timms.augmentation


def test_a_trainer_that_is_never_fitted_freezes_nothing_for_the_next(tiny):
    model = small(tiny).train()
    Trainer(model, tiny, QUICK.with_changes(epochs=1, freeze="backbone"))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    before = {name: value.clone() for name, value in model.named_parameters()}
    Trainer(model, tiny, QUICK.with_changes(epochs=1)).fit()
    assert not any(value.equal(before[name]) for name, value in model.named_parameters())


def test_all_heads_of_a_network_with_several_learn():
    model = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=2)
    names = frozen_names(model, "backbone")
    learns = {name for name, _ in model.named_parameters()} - names
    assert learns == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}
