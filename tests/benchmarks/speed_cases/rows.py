"""Rows of the speed table for tests."""

from benchmarks.speed_cases.measurement import OURS, Measurement


def row(**changes):
    values = {"work": "w", "unit": "images/s", "values": {OURS: 30.0, "peer": 10.0}}
    return Measurement(**{**values, "achieved": 3.0, **changes})
