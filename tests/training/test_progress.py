"""What a person sees of a run, and what is said when it is interrupted."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import medzoo
from medzoo.errors import TrainingInterrupted
from medzoo.training import Callback
from medzoo.training.progress import ProgressDisplay

RECIPE = {"epochs": 3, "validate_every": 2, "batch_size": 8}


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Interrupt(Callback):
    """Press Ctrl-C after an epoch's checkpoint, in the next epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, state):
        if state.epoch == self.epoch + 1:
            # As if it came during the epoch, which is then not finished.
            state._state.progress.epoch -= 1
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("breastmnist", n_train=16, n_val=16, n_test=2)


def train(data, **options):
    return medzoo.train("simple_cnn", data, RECIPE, device="cpu", **options)


def test_a_pipe_gets_a_line_per_epoch(data, capsys):
    run = train(data)
    plan, *lines = re.split(r"\n(?=\S)", capsys.readouterr().err.rstrip())
    assert plan.startswith("simple_cnn-seed0\n  model")
    assert len(lines) == 3
    for line, row in zip(lines, run.history, strict=True):
        score = f", val AUC {row['val_auc']:.4f}" if "val_auc" in row else ""
        start = f"simple_cnn-seed0: epoch {row['epoch']}/3, loss {row['loss']:.4f}{score}, "
        assert line.startswith(start)
        assert re.fullmatch(r"\d+\.\d s, \d\d:\d\d left", line.removeprefix(start))
    assert lines[-1].endswith("00:00 left")
    assert "val AUC" not in lines[0]
    assert "val AUC" in lines[1]


def test_a_terminal_gets_a_bar(data, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    train(data)
    shown = terminal.getvalue()
    assert "\r" in shown
    assert "6/6" in shown  # steps
    assert "best val AUC" in shown
    assert "left" not in shown


@pytest.mark.parametrize(("shown", "bar"), [(True, True), (False, False)])
def test_the_caller_decides(shown, bar, data, capsys):
    train(data, progress=shown)
    said = capsys.readouterr().err
    assert ("6/6" in said) == bar
    assert "left" not in said


def test_other_processes_show_nothing(monkeypatch, capsys):
    monkeypatch.setattr("medzoo.training.progress.rank", lambda: 1)
    with ProgressDisplay("run", (0, 2), (0, 2), None) as display:
        display.step()
        display.epoch({"epoch": 1, "loss": 0.5}, None)
    assert capsys.readouterr().err == ""


def test_jupyter_gets_bars_of_its_own():
    # tqdm.auto chooses them there; a plain tqdm shows nothing, because the output is no terminal.
    sources = Path(medzoo.__file__).parent.rglob("*.py")
    imports = re.findall(r"from (tqdm\S*) import", "".join(map(Path.read_text, sources)))
    assert len(imports) > 3
    assert {*imports} == {"tqdm.auto"}


def test_time_left_counts_the_epochs_of_this_process_only(capsys, monkeypatch):
    clock = iter([100.0, 130.0])
    monkeypatch.setattr("medzoo.training.progress.time.perf_counter", lambda: next(clock))
    with ProgressDisplay("run", (6, 10), (6, 10), None) as display:
        display.epoch({"epoch": 7, "loss": 0.5}, None)
    assert capsys.readouterr().err == "run: epoch 7/10, loss 0.5000, 30.0 s, 01:30 left\n"


def test_an_interrupted_call_says_how_to_resume(data, tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        train(data, output=tmp_path, callbacks=[Interrupt(1)], progress=False)
    assert isinstance(caught.value, TrainingInterrupted)
    assert caught.value.resumable
    file = tmp_path / "models" / "simple_cnn-seed0.checkpoint.safetensors"
    assert str(caught.value) == (
        f"simple_cnn-seed0 was interrupted in epoch 2 of 3; {file} holds epoch 1; "
        "go on from there with the same call and resume=True"
    )
    whole = train(data, progress=False)
    resumed = train(data, output=tmp_path, resume=True, progress=False)
    assert resumed.val_auc == whole.val_auc


@pytest.mark.parametrize(
    ("output", "epoch", "how"), [(True, 0, "nothing was saved yet"), (False, 1, "give output=")]
)
def test_an_interrupted_call_that_left_nothing_says_so(output, epoch, how, data, tmp_path):
    options = {"output": tmp_path} if output else {}
    with pytest.raises(TrainingInterrupted, match=how) as caught:
        train(data, callbacks=[Interrupt(epoch)], progress=False, **options)
    assert not caught.value.resumable


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent in another way")
def test_ctrl_c_on_the_command_line(data, tmp_path):
    import numpy as np

    arrays = {}
    for name, split in data.splits.items():
        arrays[f"{name}_images"] = split.images[:, 0].numpy()
        arrays[f"{name}_labels"] = split.labels.numpy()[:, None]
    np.savez(tmp_path / "own.npz", **arrays)
    command = ["train", "simple_cnn", "--dataset", "own.npz", "--epochs", "100000"]
    log = (tmp_path / "log").open("w")
    run = subprocess.Popen(
        [sys.executable, "-m", "medzoo", *command],
        cwd=tmp_path,
        stderr=log,
        env={**os.environ, "PYTHONPATH": str(Path(medzoo.__file__).parents[1])},
        # A shell lets what it runs in the background ignore Ctrl-C, these tests too.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 100
        while "epoch 2/" not in (tmp_path / "log").read_text():
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    finally:
        run.kill()
    last = (tmp_path / "log").read_text().splitlines()[-1]
    assert last.strip() == f"medzoo {' '.join(command)} --resume"
