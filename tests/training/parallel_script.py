"""What each of two processes does for test_parallel.py; started with a folder."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from medzoo import cli, create_model, distributed, evaluate, synthetic
from medzoo.training import Augmentation, Callback, Recipe, Trainer

RECIPE = Recipe(
    epochs=3, batch_size=16, ema_decay=0.5, precision="float32", augmentation=Augmentation()
)
RICH = RECIPE.with_changes(
    augmentation={"rotation": 20.0, "mixup": 0.3, "mix_probability": 0.5},
    class_weights="balanced",
    validate_every=2,
)


def data():
    """23 validation images and 31 test images, which no two processes can divide evenly_spaced."""
    return synthetic("dermamnist", n_train=48, n_val=23, n_test=31)


def with_batch_norm(seed):
    torch.manual_seed(seed)
    return create_model("simple_cnn", dataset=data(), widths=(4, 8, 16), drop_rate=0.2)


def without_batch_norm():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(32, 7),
    )  # fmt: skip


def plain_run():
    recipe = RECIPE.with_changes(optimizer="sgd", learning_rate=0.1, clip_gradient=0.5)
    return Trainer(without_batch_norm(), data(), recipe).fit()


class StopAfterFirst(Callback):
    """Stops after an epoch, and keeps which processes called it."""

    def __init__(self):
        self.called = []

    def on_epoch_end(self, state):
        self.called.append(state.epoch)
        state.stop(f"process {distributed.rank()} says so")


def stopped_run():
    """A run that a callback stops before its first validation; what came of it."""
    callback = StopAfterFirst()
    run = Trainer(with_batch_norm(seed=0), data(), RICH, callbacks=[callback]).fit()
    row = {k: v for k, v in run.history[-1].items() if "second" not in k}
    return {"called": callback.called, "stopped": run.stopped, "row": row, "n": len(run.history)}


def command(*arguments):
    """Run the command line; return its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(list(arguments))
    return code, out.getvalue(), err.getvalue()


def main(folder):
    """Write what this process found into its own JSON and safetensors files."""
    rank, sets = distributed.rank(), data()
    # Other initial weights in each process: those of process 0 are to count.
    trainer = Trainer(with_batch_norm(seed=rank), sets, RICH, output=folder / "run", name="run")
    run = trainer.fit()
    tensors = {f"best.{k}": v for k, v in run.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in trainer.state.average.module.state_dict().items()}
    found = {"history": run.history, "own_draw": torch.rand(1).item()}

    # The same run, stopped in its second epoch and resumed.
    stopped = Trainer(with_batch_norm(seed=rank), sets, RICH, output=folder / "stopped", name="run")
    batches = stopped.batches.epoch
    stopped.batches.epoch = lambda epoch: batches(epoch) if epoch < 2 else iter(())[1]
    try:
        stopped.fit()
    except TypeError:
        again = Trainer(with_batch_norm(seed=9), sets, RICH, output=folder / "stopped", name="run")
        tensors |= {f"resumed.{k}": v for k, v in again.fit(resume=True).model.state_dict().items()}

    found["callback"] = stopped_run()

    with distributed.process_group(torch.device("cpu")):
        reports = [
            evaluate(run.model, sets.test, batch_size=4, resamples=20, sharded=sharded).to_dict()
            for sharded in (True, False)
        ]
        few = evaluate(run.model, sets.test, batch_size=64, resamples=0, sharded=True).to_dict()
    found |= {"sharded": reports[0], "alone": reports[1], "one_batch": few}

    tensors |= {f"plain.{k}": v for k, v in plain_run().model.state_dict().items()}

    arrays = {}
    for name, split in sets.splits.items():
        arrays[f"{name}_images"] = split.images.permute(0, 2, 3, 1).numpy()
        arrays[f"{name}_labels"] = split.labels.numpy().astype(np.uint8)[:, None]
    file = folder / f"own{rank}.npz"  # the same bytes
    np.savez(file, **arrays)
    weights = str(folder / "run" / "models" / "run.safetensors")
    found["train"] = command(
        "train", weights, "--pretrained", "--dataset", str(file), "--epochs", "1",
        "--batch-size", "8", "--output", str(folder / "cli"), "--json",
    )  # fmt: skip
    found["evaluate"] = command("evaluate", weights, "--dataset", str(file), "--json")

    (folder / f"found{rank}.json").write_text(json.dumps(found))
    save_file(
        {k: v.contiguous() for k, v in tensors.items()}, folder / f"tensors{rank}.safetensors"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
