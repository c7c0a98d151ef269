"""Training on data without a validation split: a part of the training images is used."""

import warnings

import numpy as np
import pytest
import torch

from medzoo import DatasetError, Trainer, finetune, load_dataset, train
from medzoo.cli import main
from medzoo.datasets import Dataset, hold_out_validation, synthetic
from medzoo.images.resize import center_crop_resize

from .quick import QUICK, same, small

RECIPE = {**QUICK.to_dict(), "epochs": 1, "model_args": {"widths": (4, 8, 16)}}
TAKEN = r"has no val split, so 1\d of 70 train images are used for it"


@pytest.fixture(scope="module")
def undivided():
    """The training and test images of a synthetic data set."""
    data = synthetic("dermamnist", n_train=70, n_test=7)
    train, test = ((s.images, s.labels) for s in (data.train, data.test))
    return Dataset.from_arrays(train, test=test, classes=data.info.classes)


def test_a_part_of_train_is_used_and_one_warning_says_so(undivided, tmp_path):
    with pytest.warns(UserWarning, match=TAKEN) as caught:
        run = train("simple_cnn", undivided, RECIPE, output=tmp_path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    divided = hold_out_validation(undivided)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_hand = train("simple_cnn", divided, RECIPE)
    assert same(run.model, by_hand.model)
    assert run.model.spec.input.mean == divided.mean_std()[0]
    with pytest.warns(UserWarning, match=TAKEN):
        again = train("simple_cnn", undivided, RECIPE, output=tmp_path, resume=True)
    assert same(run.model, again.model)


def test_trainer_and_finetune_do_the_same(undivided):
    with pytest.warns(UserWarning, match=TAKEN) as caught:
        trainer = Trainer(small(undivided), undivided, RECIPE)
    assert caught[0].filename == __file__
    expected = hold_out_validation(undivided)
    assert torch.equal(trainer.data.val.images, expected.val.images)
    with pytest.warns(UserWarning, match=TAKEN) as caught:
        run = finetune(small(undivided), undivided, RECIPE)
    assert len(caught) == 1
    assert run.model.spec.input.mean == expected.mean_std()[0]


def test_larger_images_are_divided_in_the_same_way(undivided):
    large = center_crop_resize(undivided.train.images, 56)
    large[1] = large[0]  # copies in one size only must not change the choice
    high_res = Dataset.from_arrays((large, undivided.train.labels), classes=undivided.info.classes)
    with pytest.warns(UserWarning, match=TAKEN):
        trainer = Trainer(small(undivided), undivided, RECIPE, high_res=high_res)
    assert torch.equal(trainer.high_res.train.labels, trainer.data.train.labels)
    with pytest.warns(UserWarning, match=TAKEN), pytest.raises(TypeError, match="high_res"):
        Trainer(small(undivided), undivided, RECIPE, high_res="dermamnist")


def test_without_training_images_there_is_one_error(undivided):
    test = Dataset.from_arrays(test=(undivided.test.images, undivided.test.labels))
    for start in (
        lambda: train("simple_cnn", test, RECIPE),
        lambda: finetune("advanced_cnn.dermamnist", test, RECIPE),
        lambda: Trainer(small(undivided), test, RECIPE),
    ):
        with pytest.raises(DatasetError, match="has no train split, only test"):
            start()


def test_a_data_set_with_a_validation_split_is_used_as_it_is(tiny):
    trainer = Trainer(small(tiny), tiny, RECIPE)
    assert trainer.data is tiny


def test_the_command_line_trains_and_evaluates_on_such_files(undivided, tmp_path, capsys):
    arrays = {
        f"{name}_{part}": getattr(split, part).numpy()
        for name, split in undivided.splits.items()
        for part in ("images", "labels")
    }
    np.savez(tmp_path / "both.npz", **arrays)
    np.savez(tmp_path / "test.npz", **{k: v for k, v in arrays.items() if k[:4] == "test"})
    command = ["train", "simple_cnn", "--data", str(tmp_path / "both.npz"), "--epochs", "1"]
    with pytest.warns(UserWarning, match=TAKEN):
        assert main([*command, "--output", str(tmp_path)]) == 0
    weights = str(next((tmp_path / "both" / "models").glob("simple_cnn-seed?.safetensors")))
    for file in ("both.npz", "test.npz"):
        assert main(["evaluate", weights, "--data", str(tmp_path / file)]) == 0
    capsys.readouterr()
    for split in ("val", "train"):
        command = ["evaluate", weights, "--data", str(tmp_path / "test.npz"), "--split", split]
        assert main(command) == 1
        assert f"has no {split} split, only test" in capsys.readouterr().err
    assert (
        load_dataset(tmp_path / "both.npz", split="test").labels.tolist()
        == arrays["test_labels"].tolist()
    )
