"""A `Trainer` that is refused leaves the model exactly as it was."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from medzoo import Ensemble, create_model, finetune
from medzoo.training import Callback, Trainer
from tests.training.quick import QUICK, small

BALANCED = QUICK.with_changes(class_weights="balanced")
TAUGHT = QUICK.with_changes(distillation=0.5)
ATTRIBUTES = (
    "architecture", "model_args", "dataset", "temperature", "licence", "pretrained_cfg",
    "default_cfg", "num_classes", "spec",
)  # fmt: skip


class Uncopyable:
    def __deepcopy__(self, memo):
        raise RuntimeError("it holds a lock")


def opinionated(model):
    """Give a model unusual modes, frozen parameters, memory format and temperature."""
    model.to(memory_format=torch.contiguous_format)
    model.train()
    model.stages[0].eval()
    model.stem.requires_grad_(False)
    model.temperature = 1.5
    return model


def everything(model):
    """All that can be seen of a model from outside."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "values": {k: v.detach().clone() for k, v in model.state_dict().items()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "modules": {name: id(module) for name, module in model.named_modules()},
        "requires_grad": {k: v.requires_grad for k, v in model.named_parameters()},
        "devices": {k: v.device for k, v in tensors.items()},
        "strides": {k: v.stride() for k, v in tensors.items()},
        "tensors": {k: (id(v), v.data_ptr()) for k, v in tensors.items()},
        "gradients": {k: v.grad for k, v in model.named_parameters()},
        "attributes": {k: copy.deepcopy(getattr(model, k, None)) for k in ATTRIBUTES},
        "names": sorted(vars(model)),
        "hooks": {
            name: [len(v) for k, v in vars(module).items() if k.endswith("_hooks")]
            for name, module in model.named_modules()
        },
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.pop("values").items():
        assert torch.equal(value, other["values"][name]), name
    other.pop("values")
    assert one == other


def of_one_class(data):
    return replace(data, val=data.val.subset(data.val.labels == 4))


def larger(data):
    images = data.train.images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return replace(data, train=replace(data.train, images=images))


def uncopyable(model):
    model.extra = Uncopyable()
    return model


def plain(data):
    channels, size = data.info.channels, data.size
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, data.info.num_classes))


def shared(data):
    model = plain(data).append(nn.Identity())
    model[2].again = model[1]
    return model


def frozen(model):
    return model.requires_grad_(False)


# What makes the constructor refuse: arguments, the recipe, the data, the model.
REFUSALS = {
    "not data": (lambda d, p: {"data": "dermamnist"}, "no medzoo.Dataset|not a medzoo.Dataset"),
    "recipe": (lambda d, p: {"recipe": "quik"}, "unknown recipe"),
    "kind of recipe": (lambda d, p: {"recipe": 3}, "not a recipe"),
    "device": (lambda d, p: {"device": "abacus"}, "device"),
    "validation": (lambda d, p: {"data": of_one_class(d)}, "of one class"),
    "high_res kind": (lambda d, p: {"high_res": "dermamnist"}, "high_res='dermamnist'"),
    "high_res labels": (
        lambda d, p: {"high_res": replace(larger(d), train=d.val)},
        "labels differ",
    ),
    "high_res looks": (
        lambda d, p: {"high_res": replace(d, train=replace(d.train, images=255 - d.train.images))},
        "look different",
    ),
    "share without teacher": (lambda d, p: {"recipe": TAUGHT}, "needs a teacher"),
    "teacher without share": (lambda d, p: {"teacher": small(d)}, "would not use the teacher"),
    "teacher kind": (lambda d, p: {"recipe": TAUGHT, "teacher": "simple"}, "teacher='simple'"),
    "teacher classes": (
        lambda d, p: {
            "recipe": TAUGHT,
            "teacher": create_model("simple_cnn", num_classes=3, in_chans=3, widths=(4, 8, 16)),
        },
        "3 logits",
    ),
    "freeze": (lambda d, p: {"recipe": QUICK.with_changes(freeze=9)}, "has 2 stages"),
    "output is a file": (lambda d, p: {"output": p / "file" / "run"}, "cannot be written to"),
    "tensorboard": (lambda d, p: {"tensorboard": True}, "needs output="),
    "loss kind": (lambda d, p: {"loss": "mse"}, "loss='mse'"),
    "loss value": (lambda d, p: {"loss": lambda x, y: x - y}, r"gives \(2, 7\)"),
    "loss fails": (lambda d, p: {"loss": lambda x: x}, "fails on logits"),
    "loss and weights": (
        lambda d, p: {"loss": nn.functional.cross_entropy, "recipe": BALANCED},
        "class_weights",
    ),
    "callbacks": (lambda d, p: {"callbacks": [print]}, "subclasses of"),
    "callback class": (lambda d, p: {"callbacks": [Callback]}, "subclasses of"),
}
UNFIT_MODELS = {
    "head": (
        lambda d: create_model("simple_cnn", num_classes=3, in_chans=3),
        {},
        "expected logits",
    ),
    "channels": (
        lambda d: create_model("simple_cnn", num_classes=7, in_chans=1),
        {},
        "cannot take",
    ),
    "no layers": (plain, {"layer_decay": 0.5}, "layer_decay needs"),
    "nothing learns": (lambda d: frozen(small(d)), {}, "no parameter .* would learn"),
    "cannot be copied": (lambda d: uncopyable(small(d)), {}, "cannot be copied"),
    "a layer twice": (shared, {}, "'1.weight' and '2.again.weight' are the same"),
    "ensemble": (lambda d: Ensemble([small(d)]), {}, "train its members"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_arguments_leave_the_model_as_it_was(tiny, tmp_path, name):
    (tmp_path / "file").write_text("")
    make, match = REFUSALS[name]
    model = opinionated(small(tiny))
    before = everything(model)
    arguments = {"data": tiny, "recipe": QUICK} | make(tiny, tmp_path)
    with pytest.raises((TypeError, ValueError), match=match):
        Trainer(model, **arguments)
    assert_same(everything(model), before)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file"]


@pytest.mark.parametrize("name", UNFIT_MODELS)
def test_a_refused_model_is_left_as_it_was(tiny, name):
    make, changes, match = UNFIT_MODELS[name]
    model = make(tiny).to(memory_format=torch.contiguous_format).train()
    extra = model.__dict__.pop("extra", None)  # what cannot be copied is not compared
    before = everything(model)
    if extra:
        model.extra = extra
    with pytest.raises(ValueError, match=match):
        Trainer(model, tiny, QUICK.with_changes(**changes))
    model.__dict__.pop("extra", None)
    assert_same(everything(model), before)


@pytest.mark.parametrize("missing", ["compiler", "support"])
def test_where_nothing_can_be_compiled_the_model_is_left_as_it_was(tiny, monkeypatch, missing):
    def refuse(function):
        raise RuntimeError("not on this Python")

    if missing == "support":
        monkeypatch.setattr(torch, "compile", refuse)
    else:
        monkeypatch.setattr("shutil.which", lambda name: None)
    model = opinionated(small(tiny))
    before = everything(model)
    with pytest.raises(ValueError, match="compile=True does not work"):
        Trainer(model, tiny, QUICK, compile=True)
    assert_same(everything(model), before)


@pytest.mark.parametrize(
    ("batch_size", "images", "match"), [(15, 56, "cannot be divided"), (16, 1, "too few")]
)
def test_batches_that_processes_cannot_share(tiny, monkeypatch, batch_size, images, match):
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "29500")
    data = replace(tiny, train=tiny.train.subset(torch.arange(len(tiny.train)) < images))
    model = opinionated(small(tiny))
    before = everything(model)
    with pytest.raises(ValueError, match=match):
        Trainer(model, data, QUICK.with_changes(batch_size=batch_size), device="cpu")
    assert_same(everything(model), before)


@pytest.mark.parametrize("model", [len, "simple_cnn", None])
def test_what_is_not_a_module_is_refused(tiny, model):
    with pytest.raises(TypeError, match="not a PyTorch module"):
        Trainer(model, tiny, QUICK)


def test_a_refused_finetuning_gives_the_model_its_classifier_back(tiny):
    gray = create_model("simple_cnn", num_classes=4, in_chans=1, widths=(4, 8, 16))
    before = everything(gray)
    with pytest.raises(ValueError, match="cannot take an image"):
        finetune(gray, tiny, QUICK)
    assert_same(everything(gray), before)


def test_nothing_is_hashed_or_compiled_before_the_run(tiny, tmp_path, monkeypatch):
    def unexpected(*_, **__):
        raise AssertionError("too early")

    called = []
    monkeypatch.setattr("medzoo.training.records.fingerprint.digest_of", unexpected)
    monkeypatch.setattr(torch, "compile", lambda function: called.append(function) or unexpected)
    teacher = small(tiny)
    trainer = Trainer(
        small(tiny), tiny, TAUGHT, teacher=teacher, high_res=larger(tiny), output=tmp_path,
        compile=True,
    )  # fmt: skip
    with pytest.raises(ValueError, match="too early"):  # the compiler is tried first
        trainer.fit()
    with pytest.raises(AssertionError, match="too early"):
        Trainer(small(tiny), tiny, QUICK, output=tmp_path).fit()


def test_a_trainer_without_files_makes_no_fingerprint(tiny, monkeypatch):
    monkeypatch.setattr("medzoo.training.records.fingerprint.digest_of", None)
    assert Trainer(small(tiny), tiny, QUICK).fit().weights is None
