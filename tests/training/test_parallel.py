"""Two processes train and evaluate as one would, and speak and write as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.processes import run_two_programs
from tests.training import parallel_script
from tests.training.parallel_script import plain_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything that parallel_script.py does, done once."""
    path = tmp_path_factory.mktemp("parallel")
    run_two_programs(Path(parallel_script.__file__), str(path), folder=path)
    return path


@pytest.fixture(scope="module")
def found(folder):
    return [json.loads((folder / f"found{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def tensors(folder):
    return [load_file(folder / f"tensors{rank}.safetensors") for rank in (0, 1)]


def part(tensors, name):
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("name", ["best", "average", "resumed", "plain"])
def test_all_processes_end_with_the_same_bits(tensors, name):
    assert_same(part(tensors[0], name), part(tensors[1], name))


def test_one_process_writes_one_set_of_files(folder, tensors):
    files = sorted(p.relative_to(folder).as_posix() for p in (folder / "run").rglob("*.*"))
    assert files == [
        "run/metrics/run.jsonl",
        "run/models/run.checkpoint.safetensors",
        "run/models/run.safetensors",
    ]
    assert_same(load_file(folder / files[2]), part(tensors[0], "best"))


def test_processes_agree_on_the_figures_of_every_epoch(folder, found):
    lines = (folder / "run" / "metrics" / "run.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == found[0]["history"]
    for key in ("epoch", "loss", "val_loss", "val_auc", "val_acc"):
        one, other = ([row.get(key) for row in f["history"]] for f in found)
        assert one == other


def test_all_processes_follow_the_callbacks_of_process_0(found):
    one, other = (values["callback"] for values in found)
    assert one.pop("called") == [1]
    assert other.pop("called") == []
    assert one == other
    assert one["stopped"] == "process 0 says so"
    assert one["n"] == 1
    assert "val_auc" in one["row"]


def test_processes_draw_their_own_dropout(found):
    assert found[0]["own_draw"] != found[1]["own_draw"]


def test_resumed_run_equals_the_uninterrupted_one(tensors):
    assert_same(part(tensors[0], "resumed"), part(tensors[0], "best"))


def test_without_batch_norm_and_chance_the_weights_are_those_of_a_single_process(tensors):
    alone = plain_run().model.state_dict()
    together = part(tensors[0], "plain")
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-6)


def test_sharded_evaluation_gives_the_report_of_a_single_process(found):
    for values in found:
        assert values["sharded"] == values["alone"]
        assert values["sharded"] == found[0]["sharded"]
        # More processes than batches: one of them has nothing to do.
        assert values["one_batch"]["confusion"] == values["alone"]["confusion"]
    assert found[0]["alone"]["n"] == 31


def test_commands_print_once(found):
    for command in ("train", "evaluate"):
        code, out, _ = found[0][command]
        assert code == 0
        assert json.loads(out)
        assert found[1][command] == [0, "", ""]
    values = json.loads(found[0]["evaluate"][1])
    assert values["confusion"] == found[0]["alone"]["confusion"]


@pytest.mark.slow
def test_batch_that_cannot_be_divided_is_one_line_and_ends_all(tmp_path, tiny):
    arrays = {}
    for name, split in tiny.splits.items():
        arrays[f"{name}_images"] = split.images.permute(0, 2, 3, 1).numpy()
        arrays[f"{name}_labels"] = split.labels.numpy().astype(np.uint8)[:, None]
    np.savez(tmp_path / "own.npz", **arrays)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = ["-m", "medzoo", "train", "simple_cnn", "--dataset", "own.npz", "--batch-size", "15"]
    done = subprocess.run(
        [*torchrun, *command, "--output", "out"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode != 0
    # The second process says it, too, if torchrun is slow to end it.
    (line,) = {line for line in done.stderr.splitlines() if line.startswith("medzoo: error")}
    assert "batch_size=15 cannot be divided among 2 processes; use a multiple of 2" in line
    assert not (tmp_path / "out").exists()
