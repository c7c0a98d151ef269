"""Thresholds of prediction sets in a spec: checked, stored, and dropped when they are not valid."""

import json
import math
from dataclasses import replace

import pytest

import medzoo
from medzoo.spec import ConformalSpec, InputSpec, ModelSpec

SETS = ConformalSpec("lac", 0.9, (0.25,), 500)
SPEC = ModelSpec("", InputSpec(3, 28, (0.5,) * 3, (0.5,) * 3), classes=("a", "b"), conformal=SETS)


def test_it_survives_json_and_is_left_out_where_there_is_none():
    again = ModelSpec.from_dict(json.loads(json.dumps(SPEC.to_dict())))
    assert again == SPEC
    assert SETS.title == "90 % set"
    without = replace(SPEC, conformal=None)
    assert "conformal" not in without.to_dict()  # as in files of earlier versions
    assert ModelSpec.from_dict(without.to_dict()) == without
    with pytest.raises(ValueError, match=r"unknown \['other'\]"):
        ModelSpec.from_dict(SPEC.to_dict() | {"other": 1})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"method": "raps"}, "unknown method"),
        ({"method": ["lac"]}, "unknown method"),
        ({"coverage": 1.0}, "must be between 0 and 1"),
        ({"coverage": math.nan}, "must be between 0 and 1"),
        ({"coverage": "0.9"}, "must be a number"),
        ({"coverage": True}, "must be a number"),
        ({"thresholds": ()}, "expected one, or one per class"),
        ({"thresholds": 0.5}, "expected a tuple"),
        ({"thresholds": (math.nan,)}, "expected finite numbers"),
        ({"thresholds": ("0.5",)}, "expected finite numbers"),
        ({"thresholds": (-0.1,)}, "numbers from 0 to 1"),
        ({"thresholds": (1.5,)}, "numbers from 0 to 1"),
        ({"images": 0}, "images=0"),
        ({"images": 2.5}, "whole number"),
        ({"more": 1}, "unknown"),
    ],
)
def test_what_is_no_threshold_is_refused(change, error):
    with pytest.raises((TypeError, ValueError), match=error):
        ConformalSpec.from_dict(SETS.to_dict() | change)
    with pytest.raises((TypeError, ValueError), match=error):
        ModelSpec.from_dict(SPEC.to_dict() | {"conformal": SETS.to_dict() | change})


def test_thresholds_fit_the_model():
    each = replace(SETS, thresholds=(0.1, 0.2))
    assert replace(SPEC, conformal=each).conformal is each
    with pytest.raises(ValueError, match="has 3 thresholds, but the model has 2 classes"):
        replace(SPEC, conformal=replace(SETS, thresholds=(0.1, 0.2, 0.3)))
    with pytest.raises(ValueError, match="has 0 classes"):
        replace(SPEC, classes=(), num_classes=0)
    with pytest.raises(ValueError, match="'aps' is for single-label tasks"):
        replace(SPEC, task="multi-label, binary-class", conformal=replace(SETS, method="aps"))
    with pytest.raises(TypeError, match="expected a ConformalSpec"):
        replace(SPEC, conformal=SETS.to_dict())


def test_another_temperature_or_classifier_drops_them():
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 8, 16))
    model.spec = replace(model.spec, temperature=2.0, conformal=SETS)
    model.temperature = 2.0  # the same: they are still valid
    assert model.spec.conformal is SETS
    with pytest.raises(ValueError, match="finite number above 0"):
        model.temperature = -1.0
    assert model.spec.conformal is SETS
    with pytest.warns(UserWarning, match="gives none any more") as warned:
        model.temperature = 3.0
    assert model.spec.conformal is None
    assert warned[0].filename == __file__

    for other in (SPEC.with_num_classes(2), SPEC.with_num_classes(5)):
        assert other.conformal is None
    model.spec = replace(model.spec, conformal=SETS)
    model.reset_classifier(7)
    assert model.spec.conformal is None
