"""Probes: a fixed backbone, a classifier chosen on validation, one look at the test split."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import medzoo
from medzoo.evaluation import probe as module
from medzoo.models import create_model
from medzoo.transforms import input_spec, prepare_batch

PROBES = [medzoo.linear_probe, medzoo.knn_probe]


def small(**kwargs):
    torch.manual_seed(0)
    return create_model("simple_cnn", widths=(4, 8, 16), num_classes=3, **kwargs)


def features(model, images):
    batch = prepare_batch(images, input_spec(model))
    with torch.inference_mode():
        return model.eval().forward_head(model.forward_features(batch), pre_logits=True).numpy()


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("breastmnist", n_train=96, n_val=48, n_test=48)


def test_a_linear_probe_is_scikit_learns_regression_on_the_features(data):
    model = small(in_chans=1)
    found = medzoo.linear_probe(model, data, strengths=[0.1], resamples=0)
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    expected.fit(features(model, data.train.images), data.train.labels)
    chances = expected.predict_proba(features(model, data.test.images))
    with torch.inference_mode():
        batch = prepare_batch(data.test.images, input_spec(model))
        np.testing.assert_allclose(found.probe(batch).softmax(1), chances, atol=1e-4)
    assert found.test.acc == (chances.argmax(1) == data.test.labels.numpy()).mean()


def test_the_nearest_neighbour_by_cosine_decides(data):
    model = small(in_chans=1)
    found = medzoo.knn_probe(model, data, neighbours=[1], resamples=0)
    train, test = (features(model, split.images) for split in (data.train, data.test))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (test, train)]
    nearest = data.train.labels.numpy()[(unit[0] @ unit[1].T).argmax(1)]
    assert found.test.acc == pytest.approx((nearest == data.test.labels.numpy()).mean(), abs=0.03)


@pytest.mark.parametrize("probe", PROBES)
def test_the_setting_with_the_best_validation_auc_is_chosen(data, probe):
    found = probe(small(in_chans=1), data, resamples=10)
    assert len(found.tried) > 3
    assert found.tried[found.setting] == max(found.tried.values())
    assert found.val.auc == pytest.approx(found.tried[found.setting])
    assert (found.val.split, found.test.split) == ("val", "test")
    assert "auc" in found.test.intervals


@pytest.mark.parametrize("probe", PROBES)
def test_the_test_split_is_read_once_after_the_choice(data, probe, monkeypatch):
    read = []
    evaluate = module.evaluate
    monkeypatch.setattr(
        module, "evaluate", lambda *a, **k: read.append(a[1].name) or evaluate(*a, **k)
    )
    flipped = replace(data, test=replace(data.test, labels=1 - data.test.labels))
    one, other = (probe(small(in_chans=1), given, resamples=0) for given in (data, flipped))
    assert read == ["val", "test"] * 2
    assert (one.setting, one.tried) == (other.setting, other.tried)
    assert one.test.auc == pytest.approx(1 - other.test.auc)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("name", ["chestmnist", "retinamnist"])
def test_every_task_has_a_full_report(probe, name):
    data = medzoo.synthetic(name, n_train=60, n_val=40, n_test=40)
    found = probe(small(in_chans=3), data, resamples=0)
    assert len(found.test.per_class) == data.info.num_classes
    assert 0 <= found.test.auc <= 1


@pytest.mark.parametrize("probe", PROBES)
def test_labels_that_training_lacks_are_never_found(probe):
    data = medzoo.synthetic(task="multi-label, binary-class", n_train=60, n_val=40, n_test=40)
    labels = data.train.labels.clone()
    labels[:, 1] = 0
    found = probe(small(), replace(data, train=replace(data.train, labels=labels)), resamples=0)
    assert found.test.per_class[1]["recall"] == 0
    assert found.test.per_class[0]["auc"] != 0.5


@pytest.mark.parametrize("probe", PROBES)
def test_a_class_that_training_lacks_is_never_found(probe):
    data = medzoo.synthetic(n_train=60, n_val=40, n_test=40)
    part = replace(data, train=data.train.subset(data.train.labels != 2))
    found = probe(small(), part, resamples=0)
    assert found.test.per_class[2]["recall"] == 0
    assert len(found.test.per_class) == 4


@pytest.mark.parametrize("probe", PROBES)
def test_a_single_label_is_a_task_too(probe):
    arrays = medzoo.synthetic("breastmnist", n_train=60, n_val=40, n_test=40)
    splits = [(s.images, s.labels[:, None]) for s in arrays.splits.values()]
    data = medzoo.Dataset.from_arrays(
        *splits, task="multi-label, binary-class", classes=["malignant"]
    )
    found = probe(small(), data, resamples=0)
    assert found.test.auc == pytest.approx(probe(small(), arrays, resamples=0).test.auc, abs=1e-6)


def test_a_probe_is_used_like_any_model(data):
    found = medzoo.linear_probe(small(in_chans=1), data, strengths=[0.1], resamples=0)
    again = medzoo.evaluate(found.probe, data.test, resamples=0)
    assert again == found.test
    prediction = medzoo.predict(found.probe, data.test.images[0])
    assert set(prediction.probabilities) == set(data.info.classes)


def test_the_backbone_stays_as_it_is(data):
    model = small(in_chans=1).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    medzoo.knn_probe(model, data, resamples=0)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert model.training
    assert model.get_classifier().weight.shape == (3, 16)


def test_a_file_is_loaded_and_fed_as_it_was_trained(data, tmp_path):
    model = small(in_chans=3)
    path = medzoo.save_weights(model, tmp_path / "backbone.safetensors")
    one, other = (
        medzoo.linear_probe(backbone, data, strengths=[0.1], resamples=0)
        for backbone in (path, model)
    )
    assert one.test.auc == pytest.approx(other.test.auc, abs=1e-6)


def test_timms_networks_are_backbones_too(data):
    model = create_model("timm/test_resnet", dataset=data)
    assert 0 <= medzoo.linear_probe(model, data, strengths=[0.1], resamples=0).test.auc <= 1


def test_errors_say_what_to_do(data):
    with pytest.raises(ValueError, match=r"Linear without forward_features.*create_model"):
        medzoo.linear_probe(nn.Linear(2, 2), data)
    with pytest.raises(ValueError, match="does not say which weights"):
        medzoo.linear_probe("simple_cnn", data)
    one = replace(data, train=data.train.subset(data.train.labels == 1))
    with pytest.raises(ValueError, match=r"training images of .* are all of one class"):
        medzoo.knn_probe(small(), one)
    blind = replace(data, val=data.val.subset(data.val.labels == 1))
    with pytest.raises(ValueError, match=r"validation split of .* has no AUC"):
        medzoo.linear_probe(small(), blind, strengths=[1.0])
    for probe in PROBES:
        with pytest.raises(TypeError, match=r"data='breastmnist' is not a medzoo\.Dataset"):
            probe(small(), "breastmnist")
        with pytest.raises(TypeError, match=r"data=Split\(.* is not a medzoo\.Dataset"):
            probe(small(), data.train)
    with pytest.raises(ValueError, match="no setting fits the 96 training images"):
        medzoo.knn_probe(small(), data, neighbours=[97])


def test_a_probe_called_directly_gives_logits_without_gradients(data):
    found = medzoo.linear_probe(
        create_model("simple_cnn", dataset=data), data, strengths=(1.0,), resamples=0
    ).probe
    images = medzoo.create_transform(found)(data.test.images[0]).unsqueeze(0)
    logits = found(images)
    assert logits.shape == (1, data.info.num_classes)
    assert not logits.requires_grad


@pytest.mark.parametrize("neighbours", [(2.5,), (0,), ("3",)])
def test_numbers_of_neighbours_are_whole(data, neighbours):
    with pytest.raises((TypeError, ValueError), match="neighbours="):
        medzoo.knn_probe(create_model("simple_cnn", dataset=data), data, neighbours=neighbours)
