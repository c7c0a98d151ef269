"""The speed cases: rows, table, timing, and that the peers are what they claim to be."""

import pytest
import torch

import medzoo

pytest.importorskip("onnxruntime", reason="needs medzoo[bench]")

from benchmarks.speed import CASES
from benchmarks.speed_cases import memory, peers, report
from benchmarks.speed_cases.measurement import OURS, Measurement
from benchmarks.speed_cases.timing import (
    in_turn,
    mflop,
    per_second,
    ratio,
    run_python,
)


def row(**changes):
    values = {"work": "w", "unit": "images/s", "values": {OURS: 30.0, "peer": 10.0}}
    return Measurement(**{**values, "achieved": 3.0, **changes})


@pytest.mark.parametrize(
    ("direction", "target", "met"),
    [("least", 3, True), ("least", 3.1, False), ("most", 3, True), ("most", 2.9, False)],
)
def test_a_target_is_met_on_its_own_side(direction, target, met):
    assert row(direction=direction, target=target).met is met
    assert row().met is None


def test_rows_survive_json():
    original = row(target=2, note="n", limit="l", details={"a": [1]})
    assert original.to_dict()["met"] is True
    assert Measurement.from_dict(original.to_dict()) == original


def test_table_tells_limits_of_missed_targets_only_and_once():
    text = report.table(
        [
            row(work="good", target=2, limit="never told"),
            row(work="first", target=4, limit="bound by sums"),
            row(work="second", target=5, limit="bound by sums"),
        ]
    )
    assert "| good | 30 images/s | 10 peer | **3x**," in text
    assert "at least 4x | **no** |" in text
    assert "never told" not in text
    assert text.count("bound by sums") == 1
    assert "*first.* bound by sums" in text


def test_contestants_take_turns_after_a_warm_up():
    calls = []
    seconds = in_turn({name: lambda name=name: calls.append(name) for name in "ab"}, repeats=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    rates = per_second(8, {OURS: 2.0, "peer": 4.0})
    assert (set(seconds), rates, ratio(rates, "peer")) == ({"a", "b"}, {OURS: 4, "peer": 2}, 2)


def test_recorded_rows_belong_to_the_cases_and_name_the_machine():
    recorded = report.read()
    assert set(recorded["works"]) <= set(CASES)
    assert report.measurements(*CASES)
    assert str(recorded["machine"]["cores"]) in report.where()


def test_official_resnet18_is_the_one_of_the_baselines():
    model = peers.official_resnet18(num_classes=7)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(11.17e6, rel=0.01)
    assert model(torch.zeros(2, 3, 28, 28)).shape == (2, 7)


def test_timm_peer_has_the_size_and_arithmetic_of_our_efficientnet():
    ours, theirs = medzoo.create_model("efficientnet", num_classes=7), peers.timm_mbconv()
    parameters = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert parameters[1] == pytest.approx(parameters[0], rel=0.05)
    images = torch.zeros(1, 3, 28, 28)
    assert mflop(theirs, images) == pytest.approx(mflop(ours, images), rel=0.1)


def test_made_up_set_on_disk_can_be_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "SIZE", 16)
    memory.write_synthetic_file(tmp_path / "made_up.npz", 300)
    data = medzoo.load_dataset(tmp_path / "made_up.npz")
    assert data.train.images.shape == (300, 1, 16, 16)
    assert not torch.equal(data.train.images[0], data.train.images[256])


def test_a_failed_process_is_an_error_with_its_message():
    assert run_python("-c", "print(2)") == "2\n"
    with pytest.raises(RuntimeError, match="no such luck"):
        run_python("-c", "raise ValueError('no such luck')")
