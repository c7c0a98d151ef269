"""A weights file says where its weights come from: data, backbone, teacher, larger images."""

from dataclasses import replace

import pytest
import timm
import torch

import medzoo
from medzoo.training import Recipe, finetune, train
from medzoo.training.records.lineage import describe_members
from medzoo.weights import read_config

NC, BY = "CC BY-NC 4.0", "CC BY 4.0"
QUICK = Recipe(epochs=1, batch_size=16, ema_decay=0.0)
TAUGHT = QUICK.with_changes(distillation=0.5, model_args={"widths": (4, 8, 16)})


@pytest.fixture(scope="module")
def breast():
    """Images that anybody may use."""
    data = medzoo.synthetic("breastmnist", n_train=16, n_val=16, n_test=8)
    return replace(data, info=replace(data.info, licence=BY))


def small(data, licence=""):
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16))
    model.licence = licence
    return model


def licences(run):
    """What a run's file says, and what its model says."""
    config = read_config(run.weights)
    assert "licence" not in config.training  # it is said once
    return {config.spec.licence, run.model.licence}


@pytest.mark.parametrize("backbone", ["simple_cnn.dermamnist", "advanced_cnn.medmnist"])
def test_what_is_finetuned_keeps_the_backbones_licence(breast, backbone, tmp_path):
    assert licences(finetune(backbone, breast, QUICK, output=tmp_path / "name")) == {NC}
    model = medzoo.create_model(backbone, dataset=breast, pretrained=True)
    assert licences(finetune(model, breast, QUICK, output=tmp_path / "model")) == {NC}


def test_the_licence_outlives_a_second_finetuning(breast, tmp_path):
    first = finetune("simple_cnn.dermamnist", breast, QUICK, output=tmp_path / "first")
    again = finetune(first.weights, breast, QUICK, output=tmp_path / "again")
    assert licences(again) == {NC}
    assert licences(finetune(first.model, breast, QUICK, output=tmp_path / "third")) == {NC}


@pytest.mark.parametrize(
    ("members", "expected"),
    [([NC], NC), ([BY, NC], NC), ([BY, BY], BY), (["", ""], BY)],
)
def test_what_is_taught_keeps_the_teachers_licence(breast, members, expected, tmp_path):
    models = [small(breast, licence) for licence in members]
    teacher = medzoo.Ensemble(models) if len(models) > 1 else models[0]
    run = train("simple_cnn", breast, TAUGHT, teacher=teacher, output=tmp_path)
    assert licences(run) == {expected}


def test_without_either_the_images_decide(breast, tmp_path):
    run = train("simple_cnn", breast, TAUGHT.with_changes(distillation=0.0), output=tmp_path)
    assert licences(run) == {BY}
    training = read_config(run.weights).training
    assert training["teacher"] is training["high_res"] is None


def test_the_file_describes_teacher_and_larger_images(breast, tmp_path):
    large = breast.train.images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    own = replace(breast.provenance, md5="5" * 32)
    high_res = replace(breast, train=replace(breast.train, images=large), provenance=own)
    teacher = medzoo.Ensemble([small(high_res), medzoo.Ensemble([small(breast)])])
    run = train("simple_cnn", breast, TAUGHT, teacher=teacher, high_res=high_res, output=tmp_path)
    training = read_config(run.weights).training
    parameters = sum(p.numel() for p in teacher.members[0].parameters())
    assert training["high_res"] == {"size": 56, "md5": "5" * 32}
    assert training["teacher"] == [
        {
            "architecture": "simple_cnn",
            "input_size": [1, size, size],
            "dataset": breast.info.name,
            "parameters": parameters,
        }
        for size in (56, 28)
    ]


def test_any_callable_is_described_as_far_as_it_goes():
    (described,) = describe_members(lambda images: images)
    assert described.pop("architecture") == "function"
    assert set(described.values()) == {None}


def test_a_run_records_the_arguments_of_its_model(breast, tmp_path):
    model = small(breast)
    run = medzoo.Trainer(model, breast, QUICK, output=tmp_path).fit()
    assert run.recipe.model_args == {"widths": [4, 8, 16]}
    config = read_config(run.weights)
    assert (
        config.training["recipe"]["model_args"] == config.spec.model_args == {"widths": [4, 8, 16]}
    )
    again = train("simple_cnn", breast, run.recipe)
    assert again.model.spec.model_args == model.spec.model_args


def test_a_backbones_arguments_are_recorded(breast, tmp_path):
    run = finetune("advanced_cnn.medmnist", breast, QUICK, output=tmp_path)
    config = read_config(run.weights)
    assert config.training["recipe"]["model_args"] == config.spec.model_args
    assert config.spec.model_args["widths"] == [32, 64, 128, 256]


def test_pooling_that_was_changed_is_in_the_file_of_the_run(breast, tmp_path):
    model = small(breast)
    model.reset_classifier(2, "max")
    run = medzoo.Trainer(model, breast, QUICK, output=tmp_path).fit()
    loaded = medzoo.create_model(run.weights)
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(loaded(images), run.model(images))
    assert all(one.is_contiguous() for one in run.model.state_dict().values())


def test_a_model_that_could_not_be_loaded_again_is_refused_before_training(breast, tmp_path):
    model = small(breast)
    model.head.fc = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(16, 2))
    with pytest.raises(ValueError, match=r"head\.fc\.weight is missing"):
        medzoo.Trainer(model, breast, QUICK, output=tmp_path)
    medzoo.Trainer(model, breast, QUICK)  # writes no files
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_weights_file_says_so_before_training(breast, tmp_path):
    model = timm.create_model("test_resnet", num_classes=2, in_chans=1)
    with pytest.warns(UserWarning, match=r"no weights file will be written.*timm/<name>"):
        trainer = medzoo.Trainer(model, breast, QUICK, output=tmp_path)
    assert trainer.fit().weights is None
    medzoo.Trainer(timm.create_model("test_resnet", num_classes=2, in_chans=1), breast, QUICK)
