"""A full disk or a folder that cannot be written is one clear error, wherever a file is written."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.cli import main
from medzoo.errors import WriteError
from medzoo.evaluation.plots import plot_confusion
from medzoo.files import write_atomically, writing
from medzoo.training import TensorBoard, Trainer
from medzoo.weights.hub import reason
from medzoo.weights.index import write_index
from tests.training.quick import QUICK, small

FULL = "free some space, or choose a folder that can be written to"


@pytest.fixture
def full_disk(monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)


@pytest.fixture
def below_a_file(tmp_path):
    """A path that not even root can write to."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "folder"


def save_weights(data, folder):
    return medzoo.save_weights(small(data), folder / "a.safetensors")


def save_plot(data, folder):
    report = medzoo.evaluate(small(data), data.test, resamples=0, device="cpu")
    return plot_confusion(report, folder / "a.png")


def save_export(data, folder):
    return medzoo.export(small(data), folder / "a.pt2")


def save_overlay(data, folder):
    model, image = small(data), Image.new("RGB", (28, 28))
    return medzoo.explain(model, image).save(folder / "a.png")


def save_index(data, folder):
    return write_index({}, folder / "a.json")


WRITERS = {
    "the weights": save_weights,
    "the plot": save_plot,
    "the exported model": save_export,
    "the heat map": save_overlay,
    "the index of weights": save_index,
}


@pytest.mark.parametrize(("what", "write"), WRITERS.items(), ids=WRITERS)
def test_a_full_disk_is_named_and_nothing_is_left(what, write, tiny, tmp_path, full_disk):
    with pytest.raises(WriteError, match=f"cannot write {what} to '.*No space left.*; {FULL}"):
        write(tiny, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("what", "write"), WRITERS.items(), ids=WRITERS)
def test_an_unwritable_folder_is_named(what, write, tiny, below_a_file):
    message = rf"cannot write {what} to '.*folder/a\.\w+': Not a directory; choose a folder that"
    with pytest.raises(WriteError, match=message) as caught:
        write(tiny, below_a_file)
    assert caught.value.errno == errno.ENOTDIR


def test_it_is_an_os_error_whatever_the_error_was(tmp_path):
    for kind in (errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO):
        with pytest.raises(OSError, match=os.strerror(kind)) as caught, writing(tmp_path, "it"):
            raise OSError(kind, os.strerror(kind))
        assert caught.value.errno == kind
        assert ("free some space" in str(caught.value)) == (kind == errno.EDQUOT)


def test_other_errors_pass(tmp_path):
    with pytest.raises(KeyError), writing(tmp_path, "it"):
        raise KeyError("x")
    with pytest.raises(WriteError, match=r"^cannot write one to") as caught, writing("b", "other"):
        write_atomically(Path(__file__) / "a", b"", "one")
    assert "other" not in str(caught.value)


def test_a_run_on_a_full_disk_keeps_its_last_checkpoint(tiny, tmp_path, monkeypatch):
    recipe = QUICK.with_changes(epochs=3)
    trainer = Trainer(small(tiny), tiny, recipe, output=tmp_path, device="cpu")
    monkeypatch.setattr("medzoo.training.records.run_files.CHECKPOINT_SECONDS", 0)
    sync, calls = os.fsync, []

    def fill(handle):
        if stat.S_ISREG(os.fstat(handle).st_mode):  # folders are synced as well
            calls.append(handle)
        if len(calls) > 3:  # lock, checkpoint and history of the first epoch
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(WriteError, match=f"cannot write the checkpoint to .*; {FULL}"):
        trainer.fit()
    monkeypatch.undo()
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["simple_cnn-seed0.checkpoint.safetensors", "simple_cnn-seed0.jsonl"]
    run = Trainer(small(tiny), tiny, recipe, output=tmp_path, device="cpu").fit(resume=True)
    assert len(run.history) == 3


def test_tensorboards_folder_is_named(tiny, below_a_file):
    pytest.importorskip("tensorboard")
    trainer = Trainer(small(tiny), tiny, QUICK, callbacks=[TensorBoard(below_a_file)], device="cpu")
    with pytest.raises(WriteError, match=r"cannot write TensorBoard's events to .*folder'"):
        trainer.fit()


def test_a_table_of_predictions(tmp_path, capsys, full_disk):
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(tmp_path / "a.png")
    table = tmp_path / "out" / "a.csv"
    command = ["predict", "simple_cnn.dermamnist", str(tmp_path / "a.png"), "--csv", str(table)]
    assert main([*command, "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert f"cannot write the predictions to '{table}': No space left on device; {FULL}" in error
    assert list(table.parent.iterdir()) == []


def test_the_hubs_cache_is_named():
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "cannot be written to ([Errno 28] No space" in reason(full)
    assert "set HF_HOME" in reason(PermissionError(errno.EACCES, "Permission denied", "/cache/x"))
    assert "check the connection" in reason(PermissionError(errno.EACCES, "Permission denied"))
