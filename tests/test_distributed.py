"""Being one of several processes: who am I, what is my part, what do all have together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medzoo import distributed
from tests.processes import run_two_programs

ALONE = torch.device("cpu")


@pytest.fixture
def second_of_three(monkeypatch):
    """What torchrun passes to the second of three processes."""
    values = {"RANK": 1, "WORLD_SIZE": 3, "LOCAL_RANK": 1, "MASTER_ADDR": "x", "MASTER_PORT": 1}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def test_a_single_process_is_the_first_of_one():
    assert not distributed.is_torchrun()
    assert not distributed.is_initialized()
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.shard(7) == slice(0, 7)
    assert distributed.all_ranks_equal(3)
    model = torch.nn.Linear(2, 2)
    assert distributed.data_parallel(model, ALONE) is model
    with distributed.process_group(ALONE):
        assert not distributed.is_initialized()


def test_a_single_process_has_all_there_is():
    rows = torch.rand(3, 2)
    assert torch.equal(distributed.gather_rows(rows, slice(0, 3), 3), rows)
    assert torch.equal(distributed.process_mean(rows), rows)
    before = rows.clone()
    distributed.all_reduce_mean([rows])
    assert torch.equal(rows, before)


def test_torchrun_tells_a_process_its_rank_before_they_are_connected(second_of_three):
    assert distributed.is_torchrun()
    assert (distributed.rank(), distributed.world_size()) == (1, 3)


def test_one_variable_alone_is_no_launch(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")  # some schedulers set it for every job
    assert distributed.world_size() == 1


def test_asking_for_the_rank_does_not_load_torch():
    code = (
        "import sys; from medzoo import distributed; distributed.rank(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_each_process_has_a_cuda_device_of_its_own(second_of_three, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed.device_of_process("auto") == torch.device("cuda", 1)
    assert distributed.device_of_process("cuda") == torch.device("cuda", 1)
    assert distributed.device_of_process("cuda:0") == torch.device("cuda", 0)
    assert distributed.device_of_process("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"process 1 .* there are 1; .*--nproc-per-node"):
        distributed.device_of_process("auto")


def test_several_processes_do_not_share_mps(second_of_three, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert distributed.device_of_process("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="'mps' takes one process only"):
        distributed.device_of_process("mps")


# What two processes have together

SCRIPT = """
import json, pathlib, sys, torch
from medzoo import distributed
from tests.processes import run_two_programs

cpu, found = torch.device("cpu"), {}
for again in range(2):  # a second group after the first
    with distributed.process_group(cpu):
        rank = distributed.rank()
        parts = {count: distributed.shard(count) for count in (0, 1, 5, 6)}
        found["shards"] = {count: [part.start, part.stop] for count, part in parts.items()}
        rows = torch.tensor(
            [[-1.5, float("inf")], [0.1, 2.0], [3.0, float("nan")], [4.0, 5.0], [6.0, 7.0]]
        )
        found["gathered"] = str(distributed.gather_rows(rows[parts[5]], parts[5], 5).tolist())
        found["expected"] = str(rows.tolist())
        found["agree"] = [distributed.all_ranks_equal(4), distributed.all_ranks_equal(rank)]
        found["mean"] = distributed.process_mean(torch.tensor(float(rank))).item()
        buffers = [torch.full((2, 2), 1.0 + rank), torch.tensor(3.0 * rank)]
        distributed.all_reduce_mean(buffers)
        distributed.all_reduce_mean([])
        found["average"] = [b.tolist() for b in buffers]
        model = torch.nn.BatchNorm1d(1)
        model.running_mean.fill_(rank + 5)
        wrapped = distributed.data_parallel(model, cpu)
        wrapped(torch.tensor([[0.0], [4.0 + rank]])).sum().backward()
        found["buffer"] = model.running_mean.item()
        del wrapped  # it holds on to the group, which otherwise may abort the process as it ends
        distributed.wait_for_all()
    found["open"] = distributed.is_initialized()
pathlib.Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(found))
"""


def written(folder):
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("group") / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def found(script):
    run_two_programs(script, str(script.parent), folder=script.parent)
    return written(script.parent)


@pytest.mark.slow
def test_torchrun_starts_such_processes(script, found, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(distributed.__file__).parents[1])},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert written(tmp_path) == found


def test_shards_cover_everything_once(found):
    assert found[0]["shards"] == {"0": [0, 0], "1": [0, 1], "5": [0, 3], "6": [0, 3]}
    assert found[1]["shards"] == {"0": [0, 0], "1": [1, 1], "5": [3, 5], "6": [3, 6]}


def test_gathered_rows_are_exact_and_in_order_for_all(found):
    for values in found:
        assert values["gathered"] == values["expected"]


def test_agreement_and_averages(found):
    for values in found:
        assert values["agree"] == [True, False]
        assert values["mean"] == 0.5
        assert values["average"] == [[[1.5, 1.5], [1.5, 1.5]], 1.5]
        assert not values["open"]


def test_buffers_start_as_those_of_the_first_and_then_are_each_processs_own(found):
    assert found[0]["buffer"] == pytest.approx(0.9 * 5 + 0.1 * 2.0)
    assert found[1]["buffer"] == pytest.approx(0.9 * 5 + 0.1 * 2.5)
