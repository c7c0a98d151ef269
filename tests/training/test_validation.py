"""When a run is validated, and how that decides when it stops and what is kept."""

from medzoo.training import Trainer
from tests.training.quick import QUICK, same, small


def scored(monkeypatch, scores):
    """Have every validation give the next of some scores."""
    scores = iter(scores)
    monkeypatch.setattr(
        "medzoo.training.trainer.validate",
        lambda *_, **__: {"val_loss": 0.0, "val_auc": next(scores), "val_acc": 0.0},
    )


def test_patience_stops_early(tiny, monkeypatch):
    scored(monkeypatch, [0.6, 0.9, 0.8, 0.7, 0.95, 0.9])
    run = Trainer(small(tiny), tiny, QUICK.with_changes(epochs=6, patience=2)).fit()
    assert [row["val_auc"] for row in run.history] == [0.6, 0.9, 0.8, 0.7]
    assert run.best_epoch == 2


def test_validation_only_when_due_and_at_the_end(tiny, monkeypatch):
    scored(monkeypatch, [0.6, 0.9, 0.8])
    run = Trainer(small(tiny), tiny, QUICK.with_changes(epochs=5, validate_every=2)).fit()
    assert [row.get("val_auc") for row in run.history] == [None, 0.6, None, 0.9, 0.8]
    assert all("val_loss" not in run.history[i] for i in (0, 2))
    assert run.best_epoch == 4


def test_patience_counts_epochs_up_to_the_last_validation(tiny, monkeypatch):
    scored(monkeypatch, [0.9, 0.8, 0.7, 0.6])
    recipe = QUICK.with_changes(epochs=8, validate_every=2, patience=3)
    run = Trainer(small(tiny), tiny, recipe).fit()
    # After epoch 5, epoch 4 was the last that could have been better: 2 epochs, less than 3.
    assert len(run.history) == 6
    assert run.best_epoch == 2


def test_how_often_is_validated_does_not_change_the_weights(tiny):
    recipe = QUICK.with_changes(epochs=3, validate_every=3)
    trainers = [
        Trainer(small(tiny), tiny, QUICK.with_changes(epochs=3)),
        Trainer(small(tiny), tiny, recipe),
    ]
    for trainer in trainers:
        trainer.fit()
    assert same(*(trainer.state.average.module for trainer in trainers))


def test_of_equal_epochs_the_last_is_kept(tiny, monkeypatch):
    scored(monkeypatch, [0.6, 1.0, 1.0, 0.9])
    run = Trainer(small(tiny), tiny, QUICK.with_changes(epochs=4)).fit()
    assert run.best_epoch == 3


def test_an_equal_epoch_is_kept_but_does_not_use_up_patience_anew(tiny, monkeypatch):
    scored(monkeypatch, [0.6, 0.9, 0.9, 0.9, 0.95, 0.95])
    run = Trainer(small(tiny), tiny, QUICK.with_changes(epochs=6, patience=2)).fit()
    assert len(run.history) == run.best_epoch == 4
    assert run.stopped == "no better validation AUC for 2 epochs"
