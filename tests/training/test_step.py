"""One training step queues work and never waits for its result, whatever the device.

A GPU runs behind the program that feeds it. Reading a number from it makes the program wait until
the GPU has caught up, and then the GPU wait for the program. On the CPU there is nothing to wait
for, but the operations are the same, so these tests look at those.
"""

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from medzoo import create_model, synthetic
from medzoo.training import Augmentation, Recipe, Trainer

# Operations whose result, or the size of it, the program has to know before it can go on.
WAITING = {
    "_local_scalar_dense", "item", "is_nonzero", "nonzero", "nonzero_numpy", "equal", "allclose",
    "masked_select", "unique", "unique2", "_unique2", "unique_dim", "bincount", "repeat_interleave",
}  # fmt: skip
TO_HOST = {"cpu", "numpy", "tolist", "item", "__bool__", "__float__", "__int__", "__index__"}

RECIPE = Recipe(
    epochs=1,
    batch_size=16,
    clip_gradient=1.0,
    class_weights="balanced",
    augmentation=Augmentation(
        horizontal_flip=0.5, vertical_flip=0.5, rotation=30, scale=0.2, shift=0.1, brightness=0.2,
        contrast=0.2, saturation=0.2, erasing=0.5, mixup=0.3, cutmix=0.3, mix_probability=0.5,
    ),
)  # fmt: skip


class Operations(TorchDispatchMode):
    """Keeps what makes the program wait for a tensor that is not among those `on_host`."""

    def __init__(self, on_host=()):
        super().__init__()
        self.on_host = {tensor.data_ptr() for tensor in on_host}
        self.names, self.waiting = [], []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        self.names.append(name)
        source = args[0] if args else None
        of_host = isinstance(source, torch.Tensor) and source.data_ptr() in self.on_host
        by_mask = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if (name in WAITING or by_mask) and not of_host:
            self.waiting.append(str(operation))
        return operation(*args, **(kwargs or {}))


class Calls(TorchFunctionMode):
    """Keeps calls of Tensor's methods that bring values to the program.

    On a CPU they cost no operation.
    """

    def __init__(self, on_host=()):
        super().__init__()
        self.on_host = {id(tensor) for tensor in on_host}
        self.waiting = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        to_host = name in TO_HOST or (name == "to" and "cpu" in args[1:])
        if to_host and id(args[0]) not in self.on_host:
            self.waiting.append(f"Tensor.{name}")
        return function(*args, **(kwargs or {}))


def counters(optimizer):
    """An optimiser's step counts, which PyTorch keeps on the CPU on every device."""
    states = optimizer.state.values()
    return [s["step"] for s in states if isinstance(s.get("step"), torch.Tensor)]


def watched_steps(name, recipe):
    """Train for an epoch's steps, from batch to moving average, and watch all but the first."""
    data = synthetic(name, n_train=48, n_val=8, n_test=8)
    model = create_model("simple_cnn", dataset=data, widths=(4, 8, 16), drop_rate=0.2)
    trainer = Trainer(model, data, recipe)
    trainer.model.train()
    batches = enumerate(trainer.batches.epoch(0))
    # The first makes the optimiser's state.
    step, (images, targets) = next(batches)
    trainer.loop.step(trainer.model, images, targets, step)
    on_host = counters(trainer.state.optimizer)
    with Operations(on_host) as operations, Calls(on_host) as calls:
        for step, (images, targets) in batches:
            trainer.loop.step(trainer.model, images, targets, step)
    return operations, calls


@pytest.mark.parametrize(
    ("name", "optimizer"), [("dermamnist", "adamw"), ("chestmnist", "sgd"), ("octmnist", "lion")]
)
def test_no_step_waits_for_the_device(name, optimizer):
    recipe = RECIPE.with_changes(optimizer=optimizer, learning_rate=1e-4)
    operations, calls = watched_steps(name, recipe)
    assert {"grid_sampler_2d", "native_batch_norm", "convolution"} <= {
        name.removeprefix("aten::") for name in operations.names
    }
    assert operations.waiting == []
    assert calls.waiting == []


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.isfinite().all()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: x.detach().numpy(),
        lambda x: float(x.sum()),
    ],
)
def test_waiting_would_be_seen(wait):
    with Operations() as operations, Calls() as calls:
        wait(torch.ones(3))
    assert operations.waiting or calls.waiting


def test_clipping_does_not_ask_whether_the_norm_is_finite(tiny, monkeypatch):
    asked = []
    whole = torch.nn.utils.clip_grad_norm_

    def watched(*args, **kwargs):
        asked.append(kwargs.get("error_if_nonfinite", False))
        return whole(*args, **kwargs)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watched)
    model = create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16))
    Trainer(model, tiny, RECIPE).fit()
    assert asked
    assert not any(asked)
