"""The study of searches: what is drawn of them, and that an interrupted one goes on."""

from types import SimpleNamespace

import pytest

import medzoo
from benchmarks.studies.search import better_than_luck
from benchmarks.studies.search.better_than_luck import METHODS, SearchTrial, curve, seconds_to
from medzoo.search.trial import objective
from tests.search.formula import train


class Source:
    """Gives made-up images under any name."""

    def load(self, name):
        return medzoo.synthetic(name, n_train=24, n_val=12, n_test=8)


def test_the_curve_counts_the_seconds_of_trials_that_ended_early():
    points = curve([(10, 0.5), (2, None), (10, 0.4), (5, 0.7)])
    assert points == [(10, 0.5), (27, 0.7)]
    assert [seconds_to(points, value) for value in (0.5, 0.6, 0.8)] == [10, 27, None]


@pytest.mark.parametrize("method", METHODS)
def test_a_search_is_recorded_and_goes_on(monkeypatch, tmp_path, method):
    clock = SimpleNamespace(now=0.0)

    def slow(*arguments, **options):
        clock.now += 10
        return train(*arguments, **options)

    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    monkeypatch.setattr(objective, "train", slow)
    monkeypatch.setattr(better_than_luck, "STORAGE", tmp_path / "study.db")
    trial, counts = SearchTrial("retinamnist", method, 0), []
    for seconds in (5, 25):
        monkeypatch.setitem(better_than_luck.DATASETS["retinamnist"], "seconds", seconds)
        record = better_than_luck.run(trial, Source())
        counts.append(sum(record["trials"].values()))
        assert [value for _, value in record["curve"]] == sorted(
            value for _, value in record["curve"]
        )
    assert 0 < counts[0] < counts[1]


def test_the_table_says_how_soon_the_value_of_luck_was_reached():
    curves = {
        "medzoo.search": [(10, 0.8), (60, 0.95)],
        "random, no pruning": [(10, 0.8), (90, 0.9)],
    }
    records = {
        SearchTrial("retinamnist", method, 0).key: {"curve": points}
        for method, points in curves.items()
    }
    row = better_than_luck.table(records).splitlines()[-1]
    assert row == "| retinamnist | 0 | 0.8000 | 0.9000 | 0.9500 | 25 % |"
    labels = [axes.get_title() for axes in better_than_luck.plot(records).axes]
    assert labels == ["dermamnist", "retinamnist"]
