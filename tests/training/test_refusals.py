"""What cannot work is refused before the first step, and says what to do instead."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from medzoo import create_model, finetune, synthetic, train
from medzoo.training import Trainer
from medzoo.training.checks import check_validation
from tests.training.quick import QUICK, small


def test_compiling_without_a_compiler_is_told_before_training(tiny, monkeypatch):
    def broken(function):
        raise RuntimeError("no g++\nTraceback ...")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(
        ValueError, match=r"compile=True does not work .*\(no g\+\+\).*leave compile"
    ):
        Trainer(small(tiny), tiny, QUICK, compile=True)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_classes": 3, "in_chans": 3}, r"to \(8, 3\), expected logits of shape \(8, 7\)"),
        ({"num_classes": 7, "in_chans": 1}, r"cannot take an image .* \(3, 28, 28\)"),
        ({"in_chans": 3, "features_only": True}, "to list, expected logits"),
    ],
)
def test_model_that_does_not_fit_is_refused_and_left_alone(tiny, arguments, match):
    model = create_model("simple_cnn", widths=(4, 8, 16), **arguments)
    described = dict(model.pretrained_cfg)
    with pytest.raises(ValueError, match=match):
        Trainer(model, tiny, QUICK)
    assert model.pretrained_cfg == described
    assert model.dataset is None


def test_a_model_for_images_of_another_size_is_refused(tiny):
    model = create_model("timm/test_vit", num_classes=7, size=32)
    with pytest.raises(ValueError, match=r"cannot take an image .* \(3, 28, 28\)"):
        Trainer(model, tiny, QUICK)


@pytest.mark.parametrize("rows", [slice(None), slice(0)])
def test_validation_split_of_one_class_cannot_choose_an_epoch(tiny, rows):
    one_class = replace(tiny, val=tiny.val.subset(tiny.val.labels == 4).subset(rows))
    with pytest.raises(ValueError, match="of one class"):
        Trainer(small(tiny), one_class, QUICK)


def test_validation_split_in_which_all_images_have_all_labels_cannot_choose_an_epoch():
    chest = synthetic("chestmnist", n_train=16, n_val=16, n_test=8)
    check_validation(chest.val)
    with pytest.raises(ValueError, match="of one class"):
        check_validation(replace(chest.val, labels=torch.ones(16, 14)))


def test_what_cannot_be_written_in_the_end_is_not_trained(tiny, tmp_path):
    model = small(tiny)
    model.extra = nn.Linear(2, 2)  # which create_model does not build
    with pytest.raises(ValueError, match="cannot be written to output="):
        Trainer(model, tiny, QUICK, output=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_class_without_validation_images_is_named(tiny):
    without = replace(tiny, val=tiny.val.subset(tiny.val.labels != 4))
    with pytest.warns(UserWarning, match=f"no image has .*{tiny.info.classes[4]}") as caught:
        Trainer(small(tiny), without, QUICK.with_changes(epochs=3)).fit()
    assert len(caught) == 1  # not with every validation


@pytest.mark.parametrize("function", [train, finetune])
def test_the_name_of_a_data_set_is_no_data_set(tiny, function):
    with pytest.raises(TypeError, match=r"data='breastmnist' is not a medzoo.Dataset; load"):
        function("simple_cnn", "breastmnist")
    with pytest.raises(TypeError, match="data='breastmnist' is not"):
        Trainer(small(tiny), "breastmnist")
    with pytest.raises(TypeError, match="high_res='dermamnist' is not"):
        Trainer(small(tiny), tiny, QUICK, high_res="dermamnist")


def test_the_name_of_a_teacher_is_no_teacher(tiny):
    with pytest.raises(TypeError, match=r"teacher='advanced_cnn.dermamnist' .*create_model"):
        Trainer(
            small(tiny),
            tiny,
            QUICK.with_changes(distillation=0.5),
            teacher="advanced_cnn.dermamnist",
        )


def test_train_makes_its_own_model(tiny):
    with pytest.raises(TypeError, match=r"architecture is a SimpleCNN; .*medzoo.Trainer") as error:
        train(small(tiny), tiny)
    assert len(str(error.value)) < 300


def test_unknown_arguments_of_the_architecture_are_told(tiny):
    with pytest.raises(ValueError, match=r"model_args={'width': 3} do not fit 'simple_cnn'"):
        train("simple_cnn", tiny, QUICK.with_changes(model_args={"width": 3}))


def test_unknown_device_and_recipe(tiny):
    with pytest.raises(ValueError, match="device"):
        Trainer(small(tiny), tiny, QUICK, device="abacus")
    with pytest.raises(ValueError, match="unknown recipe 'quik'"):
        Trainer(small(tiny), tiny, "quik")


def test_tensorboard_needs_a_folder(tiny):
    with pytest.raises(ValueError, match="output="):
        Trainer(small(tiny), tiny, QUICK, tensorboard=True)


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_missing_tensorboard_is_told_before_training(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"medzoo\[tensorboard\]"):
        Trainer(small(tiny), tiny, QUICK, output=tmp_path, tensorboard=True)


@pytest.mark.parametrize(("share", "given"), [(0.5, False), (0.0, True)])
def test_a_teacher_and_a_share_go_together(tiny, share, given):
    with pytest.raises(ValueError, match="teacher"):
        Trainer(
            small(tiny),
            tiny,
            QUICK.with_changes(distillation=share),
            teacher=small(tiny) if given else None,
        )


def test_a_backbone_of_another_architecture_is_an_error(tiny):
    with pytest.raises(ValueError, match="efficientnet"):
        train("simple_cnn", tiny, QUICK.with_changes(backbone="efficientnet.dermamnist"))
