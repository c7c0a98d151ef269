"""A training beside others in the same process gives what it gives alone."""

import threading
import warnings

import pytest

from medzoo import finetune, train
from medzoo.training import Trainer
from tests.test_randomness import drawing
from tests.training.quick import QUICK, same, small

RECIPE = QUICK.with_changes(model_args={"widths": (4, 8, 16), "drop_rate": 0.5})

ALONE = {"device": "cpu", "progress": False}


def in_threads(*functions):
    results = [None] * len(functions)

    def call(index):
        results[index] = functions[index]()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_trainings_in_threads_are_those_alone(tiny, tmp_path):
    def training(seed, output=None):
        recipe = RECIPE.with_changes(seed=seed)
        return train("simple_cnn", tiny, recipe, output=output, **ALONE).model

    alone = [training(seed) for seed in (1, 2)]
    together = in_threads(
        lambda: training(1, tmp_path / "one"), lambda: training(2, tmp_path / "two")
    )
    assert all(map(same, alone, together))


def test_the_initial_weights_do_not_depend_on_other_threads(tiny):
    recipe = QUICK.with_changes(model_args={"widths": (4, 8, 16)})  # without dropout
    alone = train("simple_cnn", tiny, recipe, **ALONE)
    adapted = finetune(small(tiny), tiny, recipe, **ALONE)
    with drawing(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same(train("simple_cnn", tiny, recipe, **ALONE).model, alone.model)
        assert same(finetune(small_alone(tiny), tiny, recipe, **ALONE).model, adapted.model)


def small_alone(data):
    from medzoo import create_model
    from medzoo.randomness import own_generator

    with own_generator(0):
        return create_model("simple_cnn", dataset=data, widths=(4, 8, 16))


def test_a_thread_that_disturbs_dropout_is_a_warning(tiny):
    trainer = Trainer(small(tiny, drop_rate=0.5), tiny, QUICK, device="cpu", progress=False)
    with drawing(), pytest.warns(UserWarning, match=r"torch\.Generator of its own") as caught:
        trainer.fit()
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_training_alone_gives_no_warning(tiny, recwarn):
    model = small(tiny, drop_rate=0.5)
    Trainer(model, tiny, QUICK, device="cpu", progress=False).fit()
    assert not recwarn.list
