"""Bundling weights with the package: files, and entries of the index."""

from dataclasses import replace

import pytest
import torch

import medzoo
from benchmarks.release import bundle
from benchmarks.reproduction import teachers
from benchmarks.reproduction.source import Source
from medzoo.weights import weights_index


def test_a_bundled_backbone_starts_models_of_any_set(tmp_path, monkeypatch):
    model = medzoo.create_model("simple_cnn", num_classes=16, in_chans=3, widths=(4, 8, 16))
    model.reset_classifier(0)
    training = {"recipe": {"seed": 3}, "data": {"sets": {"breastmnist": 1}}, "licence": "CC BY 4.0"}
    path = medzoo.save_weights(model, tmp_path / "run.safetensors", training=training)
    monkeypatch.setattr(bundle, "FILES", tmp_path / "files")
    entry = bundle.bundle_backbone(path, "several")
    assert (entry.name, entry.seed, entry.metrics) == ("simple_cnn.several", 3, {})
    assert entry.licence == "CC BY 4.0"

    file = tmp_path / "files" / entry.file
    assert medzoo.create_model(file).num_classes == 0
    started = medzoo.create_model(file, dataset="breastmnist")
    assert started(torch.rand(2, 1, 28, 28)).shape == (2, 2)
    torch.testing.assert_close(
        started.state_dict()["stages.1.1.conv.weight"],
        model.state_dict()["stages.1.1.conv.weight"],
        atol=1e-3,
        rtol=0,
    )


def test_entries_of_distilled_runs_name_their_teachers(monkeypatch):
    high_res = medzoo.synthetic("dermamnist", size=64, n_train=4, n_val=4, n_test=4)
    high_res = replace(high_res, provenance=replace(high_res.provenance, md5="6" * 32))
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: high_res)
    for entry in weights_index().values():
        if f"{entry.tag}/{entry.architecture}" in teachers.PUBLISHED:
            continue  # its file names its teachers
        before = replace(entry, teacher=None, high_res=None)
        after = bundle.with_teachers(before, Source())
        assert after == replace(entry, high_res=entry.high_res and {"size": 64, "md5": "6" * 32})
        assert bundle.with_teachers(entry, Source()) is entry
        if not entry.recipe["distillation"]:
            assert after is before
    views = [member["architecture"] for member in teachers.described("retinamnist")]
    assert views == ["simple_cnn"] * 3 + ["simple_cnn (view: local)"] * 2


def test_weights_that_are_not_calibrated_are_refused(tmp_path, monkeypatch):
    data = medzoo.synthetic("breastmnist", n_train=8, n_val=8, n_test=8)
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: data)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16))
    training = {"recipe": {"seed": 0}, "data": data.provenance.to_dict()}
    path = medzoo.save_weights(model, tmp_path / "run.safetensors", training=training)
    with pytest.raises(ValueError, match="is not calibrated"):
        bundle.bundle(path, None)
