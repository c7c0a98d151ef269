"""Callbacks see every epoch, may stop the run, and a stopped run is a finished run."""

from importlib.util import find_spec

import pytest
import torch

from medzoo import TrainingError, create_model, train
from medzoo.errors import WriteError
from medzoo.training import Callback, EarlyStopping, TensorBoard, Trainer
from medzoo.weights import read_config
from tests.training.quick import QUICK, same, small

LONG = QUICK.with_changes(epochs=5)


class Recorder(Callback):
    """Records the calls, in order."""

    def __init__(self):
        self.calls = []

    def on_fit_start(self, state):
        self.calls.append(("start", state.epoch, dict(state.row), state.best))

    def on_epoch_end(self, state):
        self.calls.append(("epoch", state.epoch, dict(state.row), state.best))
        assert state.history[-1] is state.row
        assert len(state.history) == state.epoch

    def on_fit_end(self, state):
        self.calls.append(("end", state.epoch, dict(state.row), state.best))


class StopAfter(Callback):
    def __init__(self, epoch, reason="enough"):
        self.epoch, self.reason = epoch, reason

    def on_epoch_end(self, state):
        if state.epoch == self.epoch:
            state.stop(self.reason)


def run(data, callbacks=(), recipe=LONG, resume=False, seed=0, **options):
    options = {"name": "run"} | options
    trainer = Trainer(small(data, seed), data, recipe, callbacks=callbacks, **options)
    return trainer.fit(resume=resume)


def test_a_callback_sees_every_epoch(tiny):
    recorder = Recorder()
    finished = run(tiny, [recorder], QUICK)
    assert [call[:2] for call in recorder.calls] == [
        ("start", 0), ("epoch", 1), ("epoch", 2), ("end", 2),
    ]  # fmt: skip
    assert recorder.calls[0][2:] == ({}, None)
    assert [call[2] for call in recorder.calls[1:3]] == finished.history
    assert recorder.calls[-1][3] == finished.history[finished.best_epoch - 1]


def test_callbacks_do_not_change_the_weights(tiny):
    assert same(run(tiny, [Recorder()]).model, run(tiny).model)


def test_the_state_gives_name_recipe_and_averaged_model(tiny):
    seen = {}

    class Look(Callback):
        def on_epoch_end(self, state):
            with torch.no_grad():
                seen[state.epoch] = state.model(torch.ones(1, 3, 28, 28)).clone()
            assert not state.model.training
            assert state.name == "run"
            assert state.recipe == QUICK.with_changes(model_args={"widths": [4, 8, 16]})

    finished = run(tiny, [Look()], QUICK)
    best = finished.model(torch.ones(1, 3, 28, 28))
    torch.testing.assert_close(seen[finished.best_epoch], best)


def test_a_stopped_run_is_finished(tiny, tmp_path):
    recorder = Recorder()
    stopped = run(tiny, [StopAfter(2), recorder], output=tmp_path)
    assert stopped.stopped == "enough"
    assert [row["epoch"] for row in stopped.history] == [1, 2]
    assert recorder.calls[-1][:2] == ("end", 2)
    assert not stopped.model.training
    assert same(create_model(stopped.weights), stopped.model)
    training = read_config(stopped.weights).training
    assert (training["best_epoch"], training["val_auc"]) == (stopped.best_epoch, stopped.val_auc)
    assert run(tiny).stopped == ""


def test_resuming_a_stopped_run_changes_nothing(tiny, tmp_path):
    first = run(tiny, [StopAfter(2)], output=tmp_path)
    again = run(tiny, output=tmp_path, resume=True, seed=9)  # even without the callback
    assert again.history == first.history
    assert again.stopped == "enough"
    assert same(again.model, first.model)


def test_an_interrupted_run_is_stopped_where_it_would_have_been(tiny, tmp_path):
    class Interrupt(Callback):
        def on_epoch_end(self, state):
            if state.epoch == 2:
                raise KeyboardInterrupt

    whole = run(tiny, [StopAfter(3)])
    with pytest.raises(KeyboardInterrupt):
        run(tiny, [StopAfter(3), Interrupt()], output=tmp_path)
    resumed = run(tiny, [StopAfter(3)], output=tmp_path, resume=True, seed=9)
    assert same(resumed.model, whole.model)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]
    assert resumed.stopped == whole.stopped == "enough"


@pytest.mark.parametrize("epoch", [1, 3])
def test_the_last_epoch_of_a_stopped_run_is_validated(tiny, tmp_path, epoch):
    recipe = LONG.with_changes(validate_every=2)
    stopped = run(tiny, [StopAfter(epoch)], recipe, output=tmp_path)
    assert "val_auc" in stopped.history[-1]
    again = run(tiny, recipe=recipe, output=tmp_path, resume=True)
    assert again.history == stopped.history
    assert again.best_epoch == stopped.best_epoch


def test_a_stop_in_the_last_epoch_is_no_early_end(tiny):
    assert run(tiny, [StopAfter(2)], QUICK).stopped == ""


def test_the_first_reason_counts(tiny):
    assert run(tiny, [StopAfter(1, "first"), StopAfter(1, "second")]).stopped == "first"


def test_a_stop_needs_a_reason(tiny):
    with pytest.raises(ValueError, match="reason=''"):
        run(tiny, [StopAfter(1, "")])


def test_patience_says_why_it_stopped(tiny, monkeypatch):
    scores = iter([0.9, 0.8, 0.7, 0.6])
    monkeypatch.setattr(
        "medzoo.training.trainer.validate",
        lambda *_, **__: {"val_loss": 0.0, "val_auc": next(scores), "val_acc": 0.0},
    )
    stopped = run(tiny, recipe=LONG.with_changes(patience=2))
    assert stopped.stopped == "no better validation AUC for 2 epochs"


def test_a_run_stopped_before_its_first_epoch_is_an_error(tiny):
    class Never(Callback):
        def on_fit_start(self, state):
            state.stop("no time")

    with pytest.raises(TrainingError, match="before its first epoch: no time"):
        run(tiny, [Never()])


def test_train_hands_callbacks_and_name_on(tiny, tmp_path):
    recipe = QUICK.with_changes(model_args={"widths": (4, 8, 16)})
    finished = train(
        "simple_cnn", tiny, recipe, output=tmp_path, name="mine", callbacks=[StopAfter(1)]
    )
    assert finished.weights == tmp_path / "models" / "mine.safetensors"
    assert len(finished.history) == 1


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboard_gets_every_figure(tiny, tmp_path):
    finished = run(tiny, [TensorBoard(tmp_path / "events")], QUICK)
    found = events(tmp_path / "events")
    assert found.keys() == finished.history[0].keys()
    for row in finished.history:
        for name, value in row.items():
            assert dict(found[name])[row["epoch"]] == pytest.approx(value, rel=1e-5)


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_a_resumed_run_goes_on_with_its_events(tiny, tmp_path):
    class Interrupt(Callback):
        def on_epoch_end(self, state):
            if state.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # after the events of epoch 2, before its checkpoint
        run(tiny, [TensorBoard(tmp_path / "events"), Interrupt()], output=tmp_path)
    run(tiny, [TensorBoard(tmp_path / "events")], output=tmp_path, resume=True)
    assert [step for step, _ in events(tmp_path / "events")["loss"]] == [1, 2, 3, 4, 5]


def test_tensorboard_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("medzoo.training.callbacks.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"medzoo\[tensorboard\]"):
        TensorBoard(tmp_path)


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboards_folder_is_tried_before_the_first_epoch(tiny, tmp_path):
    (tmp_path / "file").touch()
    recorder = Recorder()
    with pytest.raises(WriteError, match="TensorBoard's events"):
        run(tiny, [TensorBoard(tmp_path / "file" / "events"), recorder])
    assert recorder.calls == []


@pytest.mark.parametrize(("epochs", "every", "warns"), [(4, 4, 1), (4, 2, 1), (5, 2, 0), (2, 1, 0)])
def test_early_stopping_says_that_it_cannot_stop(tiny, recwarn, epochs, every, warns):
    recipe = QUICK.with_changes(epochs=epochs, validate_every=every)
    run(tiny, [EarlyStopping(1)], recipe)
    found = [one for one in recwarn.list if "set validate_every=1" in str(one.message)]
    assert len(found) == warns


def test_a_run_is_returned_if_a_callback_fails_at_its_end(tiny):
    class Fails(Callback):
        def on_fit_end(self, state):
            raise RuntimeError("no connection")

    recorder = Recorder()
    with pytest.warns(UserWarning, match="RuntimeError: no connection"):
        finished = run(tiny, [Fails(), recorder], QUICK)
    assert same(finished.model, run(tiny, recipe=QUICK).model)
    assert recorder.calls[-1][0] == "end"


@pytest.mark.parametrize("callbacks", [EarlyStopping(3), [EarlyStopping], ["early"], 5])
def test_what_is_not_a_list_of_callbacks_is_refused(tiny, callbacks):
    with pytest.raises(TypeError, match=r"callbacks has .*expected a list of objects"):
        Trainer(small(tiny), tiny, QUICK, callbacks=callbacks)


def test_patience_is_a_number_of_epochs():
    with pytest.raises(TypeError, match="patience='3' must be a whole number"):
        EarlyStopping("3")
    with pytest.raises(ValueError, match="patience=0 must be a whole number of at least 1"):
        EarlyStopping(0)
