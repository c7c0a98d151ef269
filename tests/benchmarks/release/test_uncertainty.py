"""Prediction sets of published weights: headers change, tensors do not, and nothing by halves."""

from dataclasses import replace

import pytest

import medzoo
from benchmarks.release import uncertainty
from benchmarks.reproduction.source import Source
from medzoo.files import sha256_of
from medzoo.weights import WeightsConfig, read_config, weights_index
from medzoo.weights.index import read_index

NAME = "simple_cnn.breastmnist"


@pytest.fixture
def source(monkeypatch):
    data = medzoo.synthetic("breastmnist", n_train=40, n_val=40, n_test=4)
    md5 = weights_index()[NAME].data["md5"]
    data = replace(data, provenance=replace(data.provenance, md5=md5))
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: data)
    return Source()


def tensors_in(path):
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_a_rewritten_file_has_sets_and_the_same_tensors(source, tmp_path):
    uncertainty.rewrite([NAME], source, tmp_path, tmp_path / "index.json")
    file = f"{NAME}.safetensors"
    assert {path.name for path in tmp_path.iterdir()} == {file, "index.json"}
    written, published = tmp_path / file, uncertainty.FILES / file
    assert tensors_in(written) == tensors_in(published)
    before, after = read_config(published), read_config(written)
    sets = after.spec.conformal
    assert (sets.method, sets.coverage, sets.images) == ("lac", 0.9, 40)
    risks = after.spec.selective
    assert risks.images == 40
    known = replace(before.spec, conformal=sets, selective=risks)
    assert after == replace(before, spec=known)

    entries = read_index(tmp_path / "index.json")
    entry = entries.pop(NAME)
    assert (entry.sha256, entry.bytes) == (sha256_of(written), written.stat().st_size)
    assert entry.spec == after.spec
    others = {name: one for name, one in weights_index().items() if name != NAME}
    assert entries == others
    model = medzoo.create_model(written)
    assert medzoo.predict(model, source.load(NAME).test.images[0]).coverage == 0.9
    # The second time, nothing changes.
    config = WeightsConfig(after.spec, after.training, after.ood_values)
    assert uncertainty.with_spec(written.read_bytes(), config) == written.read_bytes()


def test_if_one_model_fails_nothing_is_written(source, tmp_path):
    with pytest.raises(ValueError, match=r"efficientnet\.dermamnist was trained on other data"):
        uncertainty.rewrite([NAME, "efficientnet.dermamnist"], source, tmp_path, tmp_path / "i")
    assert list(tmp_path.iterdir()) == []


def test_another_tensor_is_noticed(tmp_path):
    one, other = (
        medzoo.save_weights(
            medzoo.create_model("simple_cnn", num_classes=2, widths=(4, 8, 16)),
            tmp_path / f"{k}.safetensors",
        )
        for k in range(2)
    )
    uncertainty.check_same_tensors(one, one)
    with pytest.raises(ValueError, match="has other tensors"):
        uncertainty.check_same_tensors(one, other)
