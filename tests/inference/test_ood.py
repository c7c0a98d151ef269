"""Images of another kind: recognised in the same pass, by a detector that follows its weights."""

import base64
import copy
import dataclasses
import json
import sys

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy.spatial.distance import mahalanobis

import medzoo
from medzoo.datasets.storage import pages
from medzoo.datasets.storage.mmap import open_map
from medzoo.inference.ood import fit_gaussian
from medzoo.weights import OODDetector, read_config
from tests.datasets.storage.resident import resident
from tests.weights.headers import read_header, write_header


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("breastmnist", n_train=60, n_val=40, n_test=20)


@pytest.fixture(scope="module")
def model(data):
    torch.manual_seed(0)
    net = medzoo.create_model("simple_cnn", dataset=data, widths=(8, 8, 8)).eval()
    net.ood_detector = medzoo.fit_ood_detector(net, data)
    return net


@pytest.fixture
def path(model, tmp_path):
    return medzoo.save_weights(model, tmp_path / "model.safetensors")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100), st.integers(2, 30), st.integers(16, 200))
def test_the_score_is_the_mahalanobis_distance_of_probabilistic_pca(seed, dimensions, count):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, dimensions)) + 3 * rng.normal(size=(count, 1))
    features = (features * rng.uniform(0.1, 9, dimensions) + 3).astype(np.float32)
    detector = fit_gaussian(torch.from_numpy(features))
    axes, variances = detector.axes.double().numpy(), detector.variances.double().numpy()
    axes = np.linalg.qr(axes)[0]
    rest = (np.eye(dimensions) - axes @ axes.T) / detector.rest_variance
    precision = axes @ np.diag(1 / variances) @ axes.T + rest
    scaled = (features - features.mean(0)) / features.std(0)
    expected = [mahalanobis(row, np.zeros(dimensions), precision) for row in scaled]
    found = detector.score(torch.from_numpy(features)).numpy()
    assert found == pytest.approx(expected, rel=0.02, abs=0.02)
    # Of the training features, the mean square is the number of dimensions.
    assert np.square(found).mean() == pytest.approx(dimensions, rel=0.02)


def test_a_constant_feature_that_changes_is_unfamiliar():
    features = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    features[:, 2] = 5.0
    detector = fit_gaussian(features)
    changed = features.clone()
    changed[:, 2] = 6.0
    assert detector.score(changed).min() > 10 * detector.score(features).max()


def test_19_of_20_validation_images_are_kept_and_other_images_are_not(model, data):
    marked = [one.unfamiliar for one in medzoo.predict(model, data.val)]
    assert sum(marked) == 2  # of 40
    noise = torch.randint(256, (30, 1, 28, 28), dtype=torch.uint8)
    assert all(one.unfamiliar for one in medzoo.predict(model, noise))


@pytest.mark.parametrize("tta", ["none", "flip", "dihedral"])
def test_logits_are_bit_for_bit_the_same_and_the_plain_view_is_scored(model, data, tta):
    images = data.test.images
    scored = medzoo.predict(model, images, tta=tta, batch_size=7)
    detector, model.ood_detector = model.ood_detector, None
    try:
        plain = medzoo.predict(model, images, tta=tta, batch_size=7)
        assert [one.ood_score for one in plain] == [None] * len(images)
        assert "ood_score" not in plain[0].to_dict()
    finally:
        model.ood_detector = detector
    assert [one.probabilities for one in scored] == [one.probabilities for one in plain]
    once = [one.ood_score for one in medzoo.predict(model, images, batch_size=7)]
    assert [one.ood_score for one in scored] == once


def test_a_prediction_says_so(model):
    one = medzoo.predict(model, torch.full((28, 28), 255, dtype=torch.uint8))
    assert one.unfamiliar
    assert one.ood_score > 1
    values = json.loads(json.dumps(one.to_dict()))
    assert (values["unfamiliar"], values["ood_score"]) == (True, one.ood_score)
    assert "warning: unlike the images" in str(one)
    assert "warning" not in str(dataclasses.replace(one, ood_score=1.0))


def test_another_normalisation_is_not_scored(model, data):
    spec = dataclasses.replace(model.spec, input=dataclasses.replace(model.spec.input, mean=(0.1,)))
    assert medzoo.predict(model, data.test.images[0], spec=spec).ood_score is None


SMALL = {
    "advanced_cnn": {"widths": (8, 8, 8, 8)},
    "efficientnet": {"widths": (8, 8, 8, 8), "head_width": 16},
    "attention_unet": {"widths": (8, 8, 8, 8), "head_width": 16},
}


@pytest.mark.parametrize("name", ["advanced_cnn", "efficientnet", "attention_unet"])
def test_every_architecture_gives_its_logits_from_its_maps(name, data):
    net = medzoo.create_model(name, dataset=data, **SMALL[name]).eval()
    few = data.train.images[:3]
    expected = [one.probabilities for one in medzoo.predict(net, few)]
    net.ood_detector = medzoo.fit_ood_detector(net, data)
    scored = medzoo.predict(net, few)
    assert [one.probabilities for one in scored] == expected
    assert all(one.ood_score > 0 for one in scored)


def test_it_is_stored_with_the_weights(model, data, path):
    loaded = medzoo.create_model(path)
    images = data.test.images
    scores = [[one.ood_score for one in medzoo.predict(m, images)] for m in (model, loaded)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    again = medzoo.save_weights(loaded, path.with_name("again.safetensors"))
    assert again.read_bytes() == path.read_bytes()


def test_the_tensors_in_the_file_stay_those_of_the_network(model, path):
    assert load_file(path).keys() == model.state_dict().keys()
    net = timm.create_model(
        "medzoo_simple_cnn", in_chans=1, num_classes=2, widths=(8, 8, 8), checkpoint_path=str(path)
    )
    assert torch.equal(net.head.fc.weight, model.head.fc.weight)


def test_it_does_not_outlive_what_it_was_fitted_to(model, data, path):
    other = medzoo.synthetic("pneumoniamnist", n_train=40, n_val=20, n_test=1)
    assert medzoo.create_model(path, dataset=data).ood_detector is not None
    for changed in ({"dataset": other}, {"size": 32}, {"in_chans": 3}, {"drop_rate": 0.1}):
        assert medzoo.create_model(path, **changed).ood_detector is None
    net = medzoo.create_model(path)
    net.reset_classifier(2)
    assert net.ood_detector is None
    net = medzoo.create_model(path)
    medzoo.Trainer(net, data, {"epochs": 1})
    assert net.ood_detector is None


@pytest.mark.parametrize("wanted", [True, False])
def test_training_fits_it_unless_it_is_switched_off(data, tmp_path, wanted):
    run = medzoo.train(
        "simple_cnn",
        data,
        {"epochs": 1, "model_args": {"widths": [4, 4, 4]}},
        output=tmp_path,
        ood_detector=wanted,
        progress=False,
    )
    stored = medzoo.create_model(run.weights).ood_detector
    assert (run.model.ood_detector is not None, stored is not None) == (wanted, wanted)
    if wanted:
        again = medzoo.fit_ood_detector(run.model, data)
        assert again.to_dict() == stored.to_dict()


def test_what_cannot_be_fitted_is_refused(model, data):
    with pytest.raises(TypeError, match="create_model itself"):
        medzoo.fit_ood_detector(torch.nn.DataParallel(model), data)
    with pytest.raises(TypeError, match="data"):
        medzoo.fit_ood_detector(model, data.train)
    few = medzoo.synthetic("breastmnist", n_train=60, n_val=10, n_test=1)
    with pytest.raises(ValueError, match=r"val split .* has 10 images; at least 20"):
        medzoo.fit_ood_detector(model, few)
    with pytest.raises(ValueError, match="same for all images"):
        fit_gaussian(torch.ones(50, 4))
    with pytest.raises(TypeError, match="fit_ood_detector returns"):
        model.ood_detector = 3


def test_networks_that_go_another_way_are_refused(data):
    net = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    net.forward = lambda x: 2 * net.forward_head(net.forward_features(x))
    with pytest.raises(ValueError, match="does not compute its logits from the feature maps"):
        medzoo.fit_ood_detector(net, data)


_LONG = base64.b64encode(np.ones(7, "<f4").tobytes()).decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("mean", _LONG),
        ("scale", "AAAA"),
        ("axes", "not base64"),
        ("axes", ""),
        ("variances", ""),
        ("mean", None),
        ("threshold", 0),
        ("threshold", "1"),
        ("threshold", float("nan")),
        ("rest_variance", -1),
        ("extra", 1),
    ],
)
def test_a_damaged_detector_is_refused(path, field, value):
    header = read_header(path)
    header["ood_detector"][field] = value
    write_header(path, header)
    with pytest.raises(medzoo.WeightsError):
        medzoo.create_model(path)


def test_numbers_that_are_not_finite_are_refused(model):
    values = model.ood_detector.to_dict()
    broken = np.full(model.ood_detector.features, np.nan, "<f4").tobytes()
    with pytest.raises(ValueError, match="NaN"):
        OODDetector.from_dict(values | {"mean": base64.b64encode(broken).decode()})


def test_one_of_another_network_is_refused(path, model):
    header = read_header(path)
    other = fit_gaussian(torch.randn(50, model.ood_detector.features + 1))
    header["ood_detector"] = other.to_dict()
    write_header(path, header)
    with pytest.raises(medzoo.WeightsError, match="features"):
        medzoo.create_model(path)


def test_files_without_one_still_load(path):
    header = read_header(path)
    del header["ood_detector"]
    write_header(path, header)
    assert read_config(path).ood_detector is None
    assert medzoo.create_model(path).ood_detector is None


def test_a_model_whose_logits_a_hook_changes_is_run_as_it_is(model, data):
    hooked, image = copy.deepcopy(model), data.test.images[0]
    assert medzoo.predict(hooked, image).ood_score is not None
    hooked.register_forward_hook(lambda module, images, logits: logits * 5)
    found = medzoo.predict(hooked, image)
    hooked.ood_detector = None
    assert found == medzoo.predict(hooked, image)


@pytest.mark.parametrize("through", ["spec", "pretrained_cfg"])
def test_another_input_drops_detector_and_sets(through, model):
    changed = copy.deepcopy(model)
    sets = medzoo.ConformalSpec("lac", 0.9, (0.1,), 100)
    changed.spec = dataclasses.replace(changed.spec, conformal=sets)
    assert changed.ood_detector is not None
    mean = (0.1,) * changed.spec.input.channels
    if through == "spec":
        expected = dataclasses.replace(changed.spec.input, mean=mean)
        changed.spec = dataclasses.replace(changed.spec, input=expected)
    else:
        changed.pretrained_cfg = {**changed.pretrained_cfg, "mean": mean}
    assert changed.spec.input.mean == mean
    assert changed.ood_detector is None
    assert changed.spec.conformal is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")
def test_images_of_mapped_files_do_not_stay_in_memory(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "_RELEASE_AFTER", 4 << 16)
    pixels = np.random.default_rng(0).integers(0, 256, (256, 1, 256, 256), np.uint8)
    labels = torch.arange(len(pixels))[:, None] % 2

    def fit(is_mapped):
        """Fit a detector to images in files, or in memory."""
        splits = []
        for split in (data.train, data.val):
            images = torch.from_numpy(pixels)
            if is_mapped:
                path = tmp_path / f"{split.name}.npy"
                np.save(path, pixels)
                images = torch.from_numpy(open_map(path))
            splits.append(dataclasses.replace(split, images=images, labels=labels))
        many = medzoo.Dataset(data.info, *splits, data.test, data.provenance)
        detector = medzoo.fit_ood_detector(model, many)
        sizes = [resident(tmp_path / f"{split.name}.npy") for split in splits] if is_mapped else []
        return detector, sizes

    found, sizes = fit(True)
    assert max(sizes) < pixels.nbytes / 4
    assert torch.equal(found.mean, fit(False)[0].mean)


@pytest.mark.parametrize("option", [{"tta": "flip"}, {"temperature": 2.0}, {"spec": None}])
def test_options_that_would_give_another_threshold_are_refused(option, model, data):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} does not apply to fit_ood_detector; leave it"):
        medzoo.fit_ood_detector(model, data, **option)
