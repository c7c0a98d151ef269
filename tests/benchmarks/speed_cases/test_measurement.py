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


def test_rows_survive_json():
    original = row(target=2, note="n", limit="l", details={"a": [1]}, interval=(2.9, 3.2))
    assert original.to_dict()["met"] is True
    assert Measurement.from_dict(json.loads(json.dumps(original.to_dict()))) == original
