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
    record.save(ZEN, "loading", [row(achieved=1.0)], 60)
    record.save(ZEN | {"processor": "H100", "instructions": "CUDA 9.0"}, "loading", [row()], 60)
    record.save(
        ZEN | {"date": "2026-01-03", "peak_gflops": 40.0}, "training", [row(noisy=True)], 60
    )
    record.save(
        ZEN | {"date": "2026-01-03", "peak_gflops": 60.0}, "loading", [row(achieved=2.0)], 60
    )
    zen, gpu = record.read()
    assert gpu["machine"]["processor"] == "H100"
    assert zen["machine"] == ZEN | {"date": "2026-01-03", "peak_gflops": 60.0}
    assert record.measurements(zen, "loading", "training") == [row(achieved=2.0), row(noisy=True)]
    assert record.newest("loading") == (zen, [row(achieved=2.0)])


def test_what_was_measured_need_not_be_measured_again():
    assert record.measured(ZEN) == set()
    record.save(ZEN, "loading", [row()], 60)
    assert record.measured(ZEN | {"date": "2027-01-01"}) == {"loading"}
    for other in ({"processor": "H100"}, {"versions": {"torch": "3"}}):
        assert record.measured(ZEN | other) == set()


@pytest.mark.parametrize("change", [{"versions": {"torch": "1"}}, {"note": "other weights"}])
def test_rows_that_cannot_be_compared_with_the_new_ones_go(change):
    record.save(ZEN | change, "training", [row()], 60)
    record.save(ZEN, "loading", [row()], 60)
    (only,) = record.read()
    assert list(only["works"]) == ["loading"]
    assert only["machine"] == ZEN


def test_records_of_another_machine_replace_those_of_the_same_processor(tmp_path):
    record.save(ZEN, "loading", [row(achieved=1.0)], 60)
    gpu = ZEN | {"processor": "H100", "instructions": "CUDA 9.0", "date": "2026-01-03"}
    record.save(gpu, "loading", [row(achieved=2.0)], 60)
    away = tmp_path / "away.json"
    record.save(gpu, "training", [row(achieved=3.0)], 60, away)
    assert record.measured(gpu, away) == {"training"}
    assert record.merge(away) == ["H100"]
    first, second = record.read()
    assert first["machine"] == gpu
    assert record.measurements(first, "training", "loading") == [
        row(achieved=3.0),
        row(achieved=2.0),
    ]
    assert record.measurements(second, "loading") == [row(achieved=1.0)]
    record.save(gpu | {"versions": {"torch": "3"}, "date": "2026-02-01"}, "loading", [row()], 60)
    with pytest.raises(ValueError, match="measured on 2026-01-03 with other versions"):
        record.merge(away)
    with pytest.raises(ValueError, match=r"nothing\.json holds no measurements"):
        record.merge(tmp_path / "nothing.json")


def test_durations_are_those_of_this_processor_if_it_has_any():
    assert record.durations(ZEN) == {}
    record.save(ZEN, "loading", [row()], 60)
    record.save(ZEN | {"versions": {"torch": "3"}}, "training", [row()], 120)
    record.save(ZEN | {"processor": "Ice", "date": "2026-02-02"}, "loading", [row()], 30)
    record.save(ZEN | {"processor": "Ice", "date": "2026-02-02"}, "memory", [row()], 90)
    assert record.durations(ZEN) == {"loading": 60, "training": 120, "memory": 90}
