"""One record per processor, the newest first."""

import pytest

from benchmarks.speed_cases import record
from tests.benchmarks.speed_cases.rows import row

ZEN = {
    "processor": "Zen",
    "instructions": "AVX2",
    "cores": 2,
    "date": "2026-01-02",
    "peak_gflops": 50.0,
    "versions": {"torch": "2"},
}


@pytest.fixture(autouse=True)
def _own_file(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "SPEED", tmp_path / "speed.json")


def test_nothing_is_measured_at_first():
    assert record.read() == []


def test_each_processor_has_one_record_whose_cases_are_replaced_one_by_one():
    record.save(ZEN, "loading", [row(achieved=1.0)])
    record.save(ZEN | {"processor": "H100", "instructions": "CUDA 9.0"}, "loading", [row()])
    record.save(ZEN | {"date": "2026-01-03", "peak_gflops": 40.0}, "training", [row(noisy=True)])
    record.save(ZEN | {"date": "2026-01-03", "peak_gflops": 60.0}, "loading", [row(achieved=2.0)])
    zen, gpu = record.read()
    assert gpu["machine"]["processor"] == "H100"
    assert zen["machine"] == ZEN | {"date": "2026-01-03", "peak_gflops": 60.0}
    assert record.measurements(zen, "loading", "training") == [row(achieved=2.0), row(noisy=True)]
    assert record.newest("loading") == (zen, [row(achieved=2.0)])


def test_what_was_measured_need_not_be_measured_again():
    assert record.measured(ZEN) == set()
    record.save(ZEN, "loading", [row()])
    assert record.measured(ZEN | {"date": "2027-01-01"}) == {"loading"}
    for other in ({"processor": "H100"}, {"versions": {"torch": "3"}}):
        assert record.measured(ZEN | other) == set()


@pytest.mark.parametrize("change", [{"versions": {"torch": "1"}}, {"note": "other weights"}])
def test_rows_that_cannot_be_compared_with_the_new_ones_go(change):
    record.save(ZEN | change, "training", [row()])
    record.save(ZEN, "loading", [row()])
    (only,) = record.read()
    assert list(only["works"]) == ["loading"]
    assert only["machine"] == ZEN
