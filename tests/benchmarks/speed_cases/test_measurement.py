"""Rows of the speed table: targets and JSON."""

import json

import pytest

from benchmarks.speed_cases.measurement import Measurement
from tests.benchmarks.speed_cases.rows import row


@pytest.mark.parametrize(
    ("direction", "target", "met"),
    [("least", 3, True), ("least", 3.1, False), ("most", 3, True), ("most", 2.9, False)],
)
def test_a_target_is_met_on_its_own_side(direction, target, met):
    assert row(direction=direction, target=target).met is met
    assert row().met is None
    assert row(direction=direction, target=target, noisy=True).met is None
    narrow = {"interval": (2.95, 3.05), "timing": {"rounds": 7, "busy": False}}
    assert row(direction=direction, target=target, **narrow).met is (None if target == 3 else met)


@pytest.mark.parametrize(
    ("target", "timing", "met"),
    [
        (2.0, {"rounds": 7, "busy": False}, True),
        (4.1, {"rounds": 7, "busy": False}, False),
        (3.5, {"rounds": 7, "busy": False}, None),
        (2.0, {"rounds": 6, "busy": False}, None),
        (2.0, {"rounds": 7, "busy": True}, None),
        (2.0, {}, None),
    ],
)
def test_a_wide_interval_says_enough_if_the_target_is_outside(target, timing, met):
    assert row(target=target, noisy=True, interval=(2.1, 4.0), timing=timing).met is met


def test_rows_survive_json():
    original = row(target=2, note="n", limit="l", details={"a": [1]}, interval=(2.9, 3.2))
    assert original.to_dict()["met"] is True
    assert Measurement.from_dict(json.loads(json.dumps(original.to_dict()))) == original
