"""Several processes and GPUs."""

import os
import subprocess
import sys

import torch

SCRIPT = """
import sys, medzoo
from medzoo.training import Recipe, Trainer
data = medzoo.synthetic("dermamnist", n_train=64, n_val=28, n_test=28)
model = medzoo.create_model("simple_cnn", dataset=data, widths=(8, 16, 32))
run = Trainer(model, data, Recipe(epochs=1, batch_size=16), device=sys.argv[1]).fit()
print("trained", run.model.spec.architecture)
"""


def torchrun(processes, device, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    return subprocess.run(
        [sys.executable, *launcher, f"--nproc-per-node={processes}", str(script), device.type],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_more_processes_than_gpus_are_refused_clearly(cuda, tmp_path):
    gpus = torch.cuda.device_count()
    done = torchrun(gpus + 1, cuda, tmp_path)
    assert done.returncode
    assert f"process {gpus} of this machine has no CUDA device, there are {gpus}" in done.stderr


def test_one_process_per_gpu_trains(device, tmp_path):
    done = torchrun(torch.cuda.device_count() or 2, device, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "trained simple_cnn" in done.stdout
