"""The operators of a profile: their arithmetic is that of the network."""

import pytest
import torch
from torch import nn

import medzoo
from benchmarks.speed_cases import profile
from benchmarks.timing.machine import mflop


def recorded(run):
    with profile.record(record_shapes=True, with_flops=True) as recorder:
        run()
    return profile.operators(recorder.events())


@pytest.mark.parametrize("is_autocast", [False, True])
def test_arithmetic_is_counted_once(is_autocast):
    model = medzoo.create_model("efficientnet", num_classes=7).eval()
    images = torch.zeros(2, 3, 28, 28)

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
            model(images)

    rows = recorded(run)
    total = sum(row.get("gflop", 0) for row in rows)
    assert total == pytest.approx(2 * mflop(model, images) / 1e3, rel=0.01)
    assert {"3x3 convolution", "1x1 convolution", "3x3 depthwise convolution"} <= {
        row["name"] for row in rows
    }


def test_gradients_take_twice_as_much_and_other_operators_move_memory():
    layers = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU())
    images = torch.randn(2, 4, 16, 16, requires_grad=True)
    rows = {row["name"]: row for row in recorded(lambda: layers(images).sum().backward())}
    forward = rows["3x3 convolution"]["gflop"]
    assert forward == pytest.approx(2 * 2 * 6 * 8 * 8 * 4 * 9 / 1e9)
    assert rows["3x3 convolution, backward"]["gflop"] == pytest.approx(2 * forward)
    assert rows["relu"]["gb"] == pytest.approx(2 * 4 * 2 * 6 * 8 * 8 / 1e9)
    assert all(row["seconds"] > 0 for row in rows.values())
