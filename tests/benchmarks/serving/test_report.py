"""The rows of the comparison of services."""

import pytest

pytest.importorskip("fastapi", reason="needs medzoo[bench]")

from benchmarks.serving import report
from benchmarks.serving.contestants import ASYNC, CONTESTANTS, LITSERVE, THREADS
from benchmarks.serving.measure import CLIENTS
from benchmarks.speed_cases.measurement import OURS


def loads(rate, alone, median, tail):
    load = {"rate": rate, "p50": alone, "p99": tail, "failed": 0}
    return {**{str(count): load for count in CLIENTS}, "steady": load | {"p50": median}}


@pytest.fixture
def measured():
    services = {
        OURS: loads(300, 12, 20, 60),
        LITSERVE: loads(200, 20, 40, 90),
        ASYNC: loads(80, 13, 20, 50),
        THREADS: loads(100, 15, 25, 70),
    }
    assert services.keys() == CONTESTANTS.keys()
    return {"predict": 10, "services": services}


def test_medzoo_is_compared_with_the_faster_plain_route(measured):
    plain, batched, alone, steady = report.rows(measured)
    assert plain.achieved == 3
    assert plain.note == f"against {THREADS}"
    assert batched.achieved == 1.5
    assert alone.achieved == 1.2
    assert steady.achieved == 3
    assert [row.met for row in (plain, batched, alone, steady)] == [True] * 4


def test_targets_can_be_missed(measured):
    measured["services"][OURS] = loads(150, 14, 20, 81)
    assert [row.met for row in report.rows(measured)] == [False] * 4


def test_failed_requests_are_shown(measured):
    machine = report.speed.read()[0]["machine"]
    assert "failed" not in report.tables(measured | {"machine": machine})
    measured["services"][LITSERVE]["64"]["failed"] = 7
    assert "**7 failed**" in report.tables(measured | {"machine": machine})
