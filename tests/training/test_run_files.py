"""A run never replaces what an earlier one has written, unless it is told to."""

import json
import subprocess
import sys

import pytest

from medzoo import TrainingError, train
from medzoo.files import sha256_of
from medzoo.training import Trainer
from medzoo.training.records.checkpoint import load_checkpoint
from medzoo.training.records.run_files import RunFiles
from tests.training.quick import QUICK, same, small
from tests.training.test_resume import interrupt

ONCE = QUICK.with_changes(epochs=1)


def run(data, output, **options):
    return Trainer(small(data), data, ONCE, output=output, name="run").fit(**options)


def files_of(output):
    found = [*(output / "models").glob("*.safetensors"), *(output / "metrics").iterdir()]
    return {path.name: sha256_of(path) for path in found}


def test_a_finished_run_is_kept_and_the_next_one_gets_a_number(tiny, tmp_path):
    first = run(tiny, tmp_path)
    kept = files_of(tmp_path)
    runs = [first, run(tiny, tmp_path), run(tiny, tmp_path)]
    assert [one.weights.name for one in runs] == [
        "run.safetensors", "run-2.safetensors", "run-3.safetensors"
    ]  # fmt: skip
    assert all(one.weights.exists() for one in runs)
    assert len(list((tmp_path / "models").iterdir())) == 6  # no lock is left
    assert kept.items() <= files_of(tmp_path).items()
    assert (tmp_path / "metrics" / "run-3.jsonl").exists()
    assert same(first.model, runs[2].model)


def test_weights_alone_are_a_finished_run(tiny, tmp_path):
    first = run(tiny, tmp_path)
    (tmp_path / "models" / "run.checkpoint.safetensors").unlink()
    digest = sha256_of(first.weights)
    # There is no checkpoint to go on from, so this is a new run.
    assert run(tiny, tmp_path, resume=True).weights.name == "run-2.safetensors"
    assert sha256_of(first.weights) == digest


def test_overwrite_replaces_the_last_run(tiny, tmp_path):
    first = run(tiny, tmp_path)
    digest = sha256_of(first.weights)
    run(tiny, tmp_path)
    narrow = ONCE.with_changes(model_args={"widths": (4, 4, 4)})
    other = train("simple_cnn", tiny, narrow, output=tmp_path, name="run", overwrite=True)
    assert other.weights.name == "run-2.safetensors"
    assert set(files_of(tmp_path)) == {
        f"run{number}.{kind}"
        for number in ("", "-2")
        for kind in ("safetensors", "checkpoint.safetensors", "jsonl")
    }
    assert sha256_of(first.weights) == digest
    assert other.model.num_features != first.model.num_features


def test_a_run_that_is_replaced_stays_until_there_is_an_epoch(tiny, tmp_path):
    run(tiny, tmp_path)
    kept = files_of(tmp_path)
    again = Trainer(small(tiny), tiny, ONCE, output=tmp_path, name="run")
    fit, again.fit = again.fit, lambda: fit(overwrite=True)
    interrupt(again, epoch=0)
    assert files_of(tmp_path) == kept


def test_an_unfinished_run_is_an_error_that_says_how_to_go_on(tiny, tmp_path):
    recipe = QUICK.with_changes(epochs=3)

    def trainer():
        return Trainer(small(tiny), tiny, recipe, output=tmp_path, name="run")

    interrupt(trainer(), epoch=1)
    kept = files_of(tmp_path)
    with pytest.raises(TrainingError, match=r"ended early \(epoch 1 of 3\)") as error:
        trainer().fit()
    for way in ("resume=True", "--resume", "overwrite=True", "--overwrite"):
        assert way in str(error.value)
    assert files_of(tmp_path) == kept
    assert len(trainer().fit(overwrite=True).history) == 3
    assert trainer().fit().weights.name == "run-2.safetensors"

    # Of several runs the last one counts.
    interrupt(trainer(), epoch=2)
    with pytest.raises(TrainingError, match=r"run-3\.checkpoint\.safetensors .*epoch 2 of 3"):
        trainer().fit()
    assert trainer().fit(resume=True).weights.name == "run-3.safetensors"
    checkpoint = tmp_path / "models" / "run-3.checkpoint.safetensors"
    assert load_checkpoint(checkpoint)[0]["progress"]["epoch"] == 3


def test_a_damaged_checkpoint_is_not_replaced(tiny, tmp_path):
    path = tmp_path / "models" / "run.checkpoint.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="cannot be read"):
        run(tiny, tmp_path)
    assert path.read_bytes() == b"damaged"
    assert run(tiny, tmp_path, overwrite=True).weights.name == "run.safetensors"


def test_a_trainer_goes_on_with_its_own_run(tiny, tmp_path):
    trainer = Trainer(small(tiny), tiny, ONCE, output=tmp_path, name="run")
    first = trainer.fit()
    before = files_of(tmp_path)
    assert trainer.fit().weights == first.weights
    assert files_of(tmp_path) == before


def test_resume_and_overwrite_exclude_each_other(tiny, tmp_path):
    with pytest.raises(ValueError, match="give one"):
        run(tiny, tmp_path, resume=True, overwrite=True)


HOLD = """
import sys
from medzoo.training.records.run_files import RunFiles
with RunFiles(sys.argv[1], "run").claimed(resume=False, overwrite=False):
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_write_the_same_run(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "claimed\n"
        for options in ({}, {"resume": True}, {"overwrite": True}):
            arguments = {"resume": False, "overwrite": False} | options
            with (
                pytest.raises(
                    TrainingError,
                    match=rf"trained by process {holder.pid} on .* since 2",
                ),
                RunFiles(tmp_path, "run").claimed(**arguments),
            ):
                pass
    finally:
        holder.kill()  # a process that dies does not keep the run
        holder.wait()
    with RunFiles(tmp_path, "run").claimed(resume=False, overwrite=False):
        pass


def test_history_is_the_last_runs(tiny, tmp_path):
    run(tiny, tmp_path)
    run(tiny, tmp_path, overwrite=True)
    (line,) = (tmp_path / "metrics" / "run.jsonl").read_text().splitlines()
    assert json.loads(line)["epoch"] == 1
