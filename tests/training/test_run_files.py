"""A run never replaces what an earlier one has written, unless it is told to."""

import errno
import json
import math
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from medzoo import Ensemble, TrainingError, train
from medzoo.errors import WriteError
from medzoo.files import sha256_of
from medzoo.models import create_model
from medzoo.training import Callback, Trainer
from medzoo.training.records.checkpoint import load_checkpoint
from medzoo.training.records.run_files import RunFiles, check_name, default_name
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


def test_a_history_alone_is_that_of_another_run(tiny, tmp_path):
    run(tiny, tmp_path)
    history = tmp_path / "metrics" / "run.jsonl"
    before = history.read_bytes()
    shutil.rmtree(tmp_path / "models")
    assert run(tiny, tmp_path, resume=True).weights.name == "run-2.safetensors"
    assert history.read_bytes() == before


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


@pytest.mark.parametrize("role", ["backbone", "teacher", "member", "loaded teacher"])
def test_a_run_does_not_replace_what_it_learns_from(role, tiny, tmp_path):
    weights = run(tiny, tmp_path).weights
    kept = files_of(tmp_path)
    recipe, options = ONCE.with_changes(backbone=str(weights)), {}
    if role != "backbone":
        teacher = create_model(weights) if role == "loaded teacher" else Ensemble([weights])
        if role == "member":
            teacher = Ensemble([small(tiny, seed=7), create_model(weights)])
        recipe, options = ONCE.with_changes(distillation=0.5), {"teacher": teacher}
    options |= {"output": tmp_path, "name": "run", "device": "cpu", "progress": False}
    with pytest.raises(TrainingError, match=rf"would remove {weights}, from which this run learns"):
        train("simple_cnn", tiny, recipe, overwrite=True, **options)
    assert files_of(tmp_path) == kept
    assert train("simple_cnn", tiny, recipe, **options).weights.name == "run-2.safetensors"


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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "name",
    [
        *("../../x", "a/b", "a\\b", "/x", "..", ".hidden", "", " ", "a ", "a.", "a\n", "a\0"),
        *("a:b", "a*", "x" * 200, "\ud800", "run.checkpoint"),
    ],
)
def test_a_name_is_not_a_path(name, tiny, tmp_path):
    with pytest.raises(ValueError, match="cannot name the files of a run"):
        Trainer(small(tiny), tiny, ONCE, output=tmp_path / "out", name=name)
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_text(tiny, tmp_path):
    with pytest.raises(TypeError, match="name=3 is a int, expected text"):
        Trainer(small(tiny), tiny, ONCE, output=tmp_path, name=3)


@pytest.mark.parametrize("name", ["run", "lesions, fold 1 (läsion)", "a.b-c_d+e", "x" * 150])
def test_usual_names_are_taken(name, tmp_path):
    for number in ("", "-2"):
        with RunFiles(tmp_path, name).claimed(resume=False, overwrite=False):
            pass
        (tmp_path / "models" / f"{name}{number}.safetensors").touch()
    with RunFiles(tmp_path, name).claimed(resume=False, overwrite=False):
        pass


@pytest.mark.parametrize("architecture", ["timm/resnet18", "../../x", "a b\\c", "x" * 999])
def test_the_name_by_default_can_be_used(architecture):
    assert check_name(default_name(architecture, 7)).endswith("-seed7")
    assert default_name("timm/resnet18", 0) == "timm_resnet18-seed0"


def test_a_run_is_not_started_twice_in_a_process(tmp_path):
    with RunFiles(tmp_path, "run").claimed(resume=False, overwrite=False):
        again = RunFiles(tmp_path, "run")
        with (
            ThreadPoolExecutor(1) as pool,
            pytest.raises(TrainingError, match=rf"trained by process {os.getpid()} on"),
        ):
            pool.submit(again.claimed(resume=True, overwrite=False).__enter__).result()
        with (
            pytest.raises(TrainingError, match=rf"trained by process {os.getpid()} on"),
            again.claimed(resume=False, overwrite=True),
        ):
            pass
        with RunFiles(tmp_path, "other").claimed(resume=False, overwrite=False):
            pass
    assert list((tmp_path / "models").iterdir()) == []


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path):
    digits = "0123456789abcdef" * 2
    models, metrics = tmp_path / "models", tmp_path / "metrics"
    models.mkdir()
    metrics.mkdir()
    left = [
        models / f".run.safetensors.{digits}",
        models / f".run.checkpoint.safetensors.{digits}",
        models / f"..run.lock.json.{digits}",
        metrics / f".run.jsonl.{digits}",
    ]
    others = [
        models / f".other.safetensors.{digits}",
        models / f".run.safetensors.{digits}0",
        models / f"run.safetensors.{digits}",
        models / ".run.safetensors.backup",
        metrics / f".run.jsonl.{'z' * 32}",
    ]
    for path in (*left, *others):
        path.touch()
    with RunFiles(tmp_path, "run").claimed(resume=False, overwrite=False):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


@pytest.mark.parametrize(
    "file", ["models/run.safetensors", "models/run.checkpoint.safetensors", "metrics/run.jsonl"]
)
def test_files_that_cannot_be_written_are_found_before_the_first_epoch(tiny, tmp_path, file):
    trainer = Trainer(small(tiny), tiny, ONCE, output=tmp_path, name="run")
    (tmp_path / file).mkdir(parents=True)
    trainer.loop = None  # no step is taken
    with pytest.raises(WriteError, match=rf"cannot write a file of the run to .*{file}"):
        trainer.fit(overwrite=True)


def test_a_folder_that_becomes_a_file_is_found_before_the_first_epoch(tiny, tmp_path):
    trainer = Trainer(small(tiny), tiny, ONCE, output=tmp_path / "out", name="run")
    (tmp_path / "out").touch()
    with pytest.raises(WriteError, match=r"cannot write the lock of the run to .*out"):
        trainer.fit()


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_the_events_of_a_run_that_is_replaced_go_with_it(tiny, tmp_path):
    def train_once(**options):
        model = small(tiny)
        Trainer(model, tiny, ONCE, output=tmp_path, name="run", tensorboard=True).fit(**options)
        return set((tmp_path / "tensorboard" / "run").iterdir())

    first = train_once()
    (tmp_path / "tensorboard" / "run" / "notes.txt").touch()
    second = train_once(overwrite=True)
    assert not first & second
    assert len(second) == 2


class Breaks(Callback):
    def on_fit_end(self, state):
        raise OSError("no connection")


def test_a_trained_run_is_returned_whatever_cannot_be_written(tiny, tmp_path, monkeypatch):
    expected = Trainer(small(tiny), tiny, QUICK, name="run").fit()
    trainer = Trainer(small(tiny), tiny, QUICK, output=tmp_path, name="run", callbacks=[Breaks()])
    monkeypatch.setattr(trainer.files, "_written", math.inf)  # no checkpoint before the last

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    epoch = trainer.loop.epoch
    trainer.loop.epoch = lambda *args: monkeypatch.setattr(os, "fsync", fail) or epoch(*args)
    with pytest.warns(UserWarning, match="is trained, and the run returned, but") as caught:
        found = trainer.fit()
    assert same(found.model, expected.model)
    assert found.weights is None
    warned = "\n".join(str(one.message) for one in caught)
    for what in (
        r"checkpoint to '.*run\.checkpoint",
        r"weights to '.*run\.safetensors'",
        "no connection",
    ):
        assert re.search(what, warned)
    assert len(caught) == 3
    assert {one.filename for one in caught} == {__file__}
