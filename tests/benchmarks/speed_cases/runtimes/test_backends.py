"""Folded networks compute what the original does."""

from pathlib import Path

import pytest
import torch
from timm.layers import BatchNormAct2d

import medzoo
from benchmarks.speed_cases.measurement import Setting
from benchmarks.speed_cases.report import table
from benchmarks.speed_cases.runtimes.folded import fold

NORMS_LEFT = {"simple_cnn": 0, "advanced_cnn": 6, "efficientnet": 0, "attention_unet": 0}


@pytest.mark.parametrize("name", NORMS_LEFT)
@torch.no_grad()
def test_folding_changes_layers_but_not_logits(name):
    model = medzoo.create_model(f"{name}.dermamnist", pretrained=True).eval()
    images = torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    expected = model(images)
    before = sum(isinstance(module, BatchNormAct2d) for module in model.modules())
    folded = fold(model)
    assert torch.allclose(folded(images), expected, atol=1e-5, rtol=0)
    left = sum(isinstance(module, BatchNormAct2d) for module in folded.modules())
    assert left == NORMS_LEFT[name]
    assert sum(isinstance(module, BatchNormAct2d) for module in model.modules()) == before > left
    assert torch.equal(model(images), expected)


def test_rows_of_all_runtimes_can_be_shown(monkeypatch):
    for package in ("onnxruntime", "psutil"):
        pytest.importorskip(package, reason="needs medzoo[bench]")
    from benchmarks.speed_cases.runtimes import backends

    data = medzoo.synthetic("dermamnist", n_train=7, n_val=70, n_test=7)
    setting = Setting(Path())
    monkeypatch.setitem(vars(setting), "data", data)
    monkeypatch.setattr(backends, "SECONDS", 0)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4)).eval()
    names = ("FOLDED", "ONNX", "ONNX_8", "OPENVINO", "OPENVINO_8")
    runs = dict.fromkeys((backends.OURS, *(getattr(backends, name) for name in names)), model)
    rows = backends._rows(setting, "simple_cnn", runs, 1)
    assert table(rows).count("inference of simple_cnn, batches of 1: ") == 3
    assert set(rows[0].details["agreement"].values()) == {1.0}
