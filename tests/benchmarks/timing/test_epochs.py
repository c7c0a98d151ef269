"""Trainings that wait for their turn."""

import pytest

from benchmarks.timing.epochs import EpochByEpoch


def test_each_call_is_one_epoch_and_the_end_reaches_the_training():
    seen = []

    def fit(pause):
        try:
            while True:
                seen.append("epoch")
                pause()
        finally:
            seen.append("end")

    with EpochByEpoch(fit) as epoch:
        assert seen == []
        epoch()
        assert seen == ["epoch"]
        epoch()
    assert seen == ["epoch", "epoch", "end"]
    with EpochByEpoch(fit):
        pass
    assert seen == ["epoch", "epoch", "end"]


def test_errors_reach_the_caller():
    def fit(pause):
        pause()
        raise ValueError("no such luck")

    with EpochByEpoch(fit) as epoch:
        epoch()
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no such luck"):
                epoch()


def test_a_training_that_ends_by_itself_is_an_error():
    with EpochByEpoch(lambda pause: None) as epoch, pytest.raises(RuntimeError, match="ended"):
        epoch()
