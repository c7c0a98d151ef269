"""A checkpoint that is not as it was written is refused, and written no more often than needed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from medzoo import TrainingError
from medzoo.training import Trainer
from medzoo.training.records import run_files
from medzoo.training.records.checkpoint import Checkpoint, load_checkpoint
from tests.training.quick import QUICK, same, small
from tests.training.test_resume import Stop, interrupt


def trainer(data, output, recipe=QUICK, seed=0):
    model = small(data, seed)
    return Trainer(model, data, recipe, output=output, name="run", device="cpu", progress=False)


@pytest.fixture(scope="module")
def content(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    interrupt(trainer(tiny, folder), epoch=1)
    return (folder / "models" / "run.checkpoint.safetensors").read_bytes()


@pytest.fixture
def path(content, tmp_path):
    path = tmp_path / "models" / "run.checkpoint.safetensors"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def test_every_flipped_bit_is_found(path, content):
    rng = np.random.default_rng(0)
    for position in [*range(8), *rng.integers(len(content), size=80)]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=r"run\.checkpoint\.safetensors cannot be read"):
            load_checkpoint(path)


def test_what_is_verified_is_what_is_loaded(path, content, tmp_path, monkeypatch):
    """The run replaces the file while it is read."""
    state, fingerprint = load_checkpoint(path)
    state["optimizer_numbers"]["more"] = [0.0] * 100  # the tensors are elsewhere in the file
    other = tmp_path / "other"
    other.write_bytes(Checkpoint.of(state, fingerprint).content())
    opened, mapped = Path.open, torch.UntypedStorage.from_file

    def replace():
        shutil.copy(other, tmp_path / "new").replace(path)

    def open_then_replace(self, *args, **kwargs):
        stream = opened(self, *args, **kwargs)
        replace()
        return stream

    def replace_then_map(*args, **kwargs):  # safetensors has read the header before
        replace()
        return mapped(*args, **kwargs)

    monkeypatch.setattr(Path, "open", open_then_replace)
    monkeypatch.setattr(torch.UntypedStorage, "from_file", replace_then_map)
    loaded = load_checkpoint(path)
    monkeypatch.undo()
    assert path.read_bytes() != content
    assert Checkpoint.of(*loaded).content() == content


def test_a_size_that_is_only_declared_takes_no_memory(path):
    with path.open("ab") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(TrainingError, match=r"cannot be read .*1,099,511,627,776 bytes, expected"):
        load_checkpoint(path)


def test_a_cut_file_is_found(path, content):
    for length in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(TrainingError, match=r"overwrite=True \(--overwrite\)"):
            load_checkpoint(path)


CHANGES = {
    "epochs": lambda s: s["progress"].update(epoch=10**9),
    "epoch as text": lambda s: s["progress"].update(epoch="1"),
    "no epoch": lambda s: s["progress"].update(epoch=0, history=[], best_epoch=0),
    "history": lambda s: s["progress"].update(history=[]),
    "history of text": lambda s: s["progress"].update(history=["a"]),
    "no loss": lambda s: s["progress"]["history"][0].pop("loss"),
    "loss": lambda s: s["progress"]["history"][0].update(loss=float("nan")),
    "best epoch": lambda s: s["progress"].update(best_epoch=2),
    "best AUC": lambda s: s["progress"]["history"][0].pop("val_auc"),
    "stopped": lambda s: s["progress"].update(stopped=1),
    "unknown field": lambda s: s["progress"].update(other=1),
    "no model": lambda s: s.pop("model"),
    "no average": lambda s: s.pop("average"),
    "no best": lambda s: s.pop("best"),
    "a tensor less": lambda s: s["model"].popitem(),
    "a tensor more": lambda s: s["best"].update(other=torch.ones(1)),
    "shape": lambda s: s["average"].update({k: v[None] for k, v in s["average"].items()}),
    "dtype": lambda s: s["model"].update({k: v.double() for k, v in s["model"].items()}),
    "owner": lambda s: s["optimizer"].update({"999.exp_avg": torch.ones(1)}),
    "owner as text": lambda s: s["optimizer"].update({"a.exp_avg": torch.ones(1)}),
    "group": lambda s: s["optimizer_numbers"].update({"group99.lr": 1.0}),
    "numbers": lambda s: s.update(optimizer_numbers=[1]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_no_run_writes_is_refused_even_with_a_digest(change, path, tiny):
    state, fingerprint = load_checkpoint(path)
    change(state)
    path.write_bytes(Checkpoint.of(state, fingerprint).content())
    other = trainer(tiny, path.parents[1], seed=9)
    with pytest.raises(TrainingError, match=r"run\.checkpoint\.safetensors .*overwrite=True"):
        other.fit(resume=True)
    assert same(other.model, small(tiny, seed=9))


@pytest.mark.parametrize("epochs", [10**12, 10**30])
def test_epochs_beyond_every_history_are_refused_at_once(epochs, path):
    state, fingerprint = load_checkpoint(path)
    state["progress"]["epoch"] = fingerprint["recipe"]["epochs"] = epochs
    path.write_bytes(Checkpoint.of(state, fingerprint).content())
    with pytest.raises(TrainingError, match=f"not that of {epochs} epochs"):
        load_checkpoint(path)


def test_the_same_state_gives_the_same_bytes(path, content):
    assert Checkpoint.of(*load_checkpoint(path)).content() == content


def test_what_json_cannot_hold_is_named():
    state = {"progress": {"history": [{"loss": torch.ones(1)}]}, "optimizer_numbers": {}}
    with pytest.raises(TypeError, match=r"history or an argument of the model cannot .*Tensor"):
        Checkpoint.of(state, {})


def test_short_epochs_do_not_write_a_checkpoint_each(tiny, tmp_path, monkeypatch):
    written = []
    flush = run_files.RunFiles.flush
    monkeypatch.setattr(
        run_files.RunFiles,
        "flush",
        lambda self: written.append(self._pending is not None) or flush(self),
    )
    trainer(tiny, tmp_path, QUICK.with_changes(epochs=6)).fit()
    assert written == [True, True]  # the first and the last
    monkeypatch.setattr(run_files, "CHECKPOINT_SECONDS", 0)
    trainer(tiny, tmp_path, QUICK.with_changes(epochs=6)).fit()
    assert len(written) == 8


def test_an_interrupt_keeps_the_last_finished_epoch(tiny, tmp_path):
    recipe = QUICK.with_changes(epochs=5, optimizer="adamw")
    whole = trainer(tiny, None, recipe).fit()
    interrupt(trainer(tiny, tmp_path, recipe), epoch=3)
    path = tmp_path / "models" / "run.checkpoint.safetensors"
    assert load_checkpoint(path)[0]["progress"]["epoch"] == 3
    lines = (tmp_path / "metrics" / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    assert same(trainer(tiny, tmp_path, recipe, seed=9).fit(resume=True).model, whole.model)


def test_an_interrupted_write_is_repeated(tiny, tmp_path, monkeypatch):
    content, calls = Checkpoint.content, []

    def interrupted(self):
        calls.append(self)
        if len(calls) == 1:
            raise Stop
        return content(self)

    monkeypatch.setattr(Checkpoint, "content", interrupted)
    with pytest.raises(Stop):
        trainer(tiny, tmp_path).fit()
    assert len(trainer(tiny, tmp_path, seed=9).fit(resume=True).history) == 2
