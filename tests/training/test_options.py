"""Arguments of trainings and recipes that do not exist."""

import copy
import pickle

import pytest

import medzoo
from medzoo.training import Augmentation, Recipe, Trainer


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("breastmnist", n_train=8, n_val=8, n_test=2)


@pytest.mark.parametrize("function", ["train", "finetune"])
@pytest.mark.parametrize(("name", "value"), [("epochs", 1), ("seed", 3), ("optimizer", "adamw")])
def test_fields_of_the_recipe_belong_to_the_recipe(function, name, value, data):
    with pytest.raises(TypeError) as caught:
        getattr(medzoo, function)("simple_cnn", data, **{name: value})
    assert str(caught.value) == (
        f"{function}() has no argument {name!r}, which belongs to the recipe: "
        f"medzoo.{function}(..., recipe={{{name!r}: {value!r}}})"
    )


@pytest.mark.parametrize("function", ["train", "finetune"])
def test_other_arguments_get_close_matches(function, data):
    with pytest.raises(TypeError, match=rf"{function}\(\) .* 'outptu'; did you mean 'output'"):
        getattr(medzoo, function)("simple_cnn", data, outptu="here")
    with pytest.raises(TypeError, match="has no argument 'zzz'; known: callbacks, compile, device"):
        getattr(medzoo, function)("simple_cnn", data, zzz=1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Recipe(epoch=1), "unknown Recipe field 'epoch'; did you mean 'epochs'"),
        (lambda: Augmentation(rotate=1), "Augmentation field 'rotate'; did you mean 'rotation'"),
        (lambda: Trainer(None, None, epochs=1), r"recipe: medzoo.Trainer\(.*\{'epochs': 1\}"),
        (lambda: Trainer(None, None, outputs=1), "no argument 'outputs'; did you mean 'output'"),
    ],
)
def test_arguments_that_do_not_exist_are_explained(call, match):
    with pytest.raises(TypeError, match=match):
        call()


def test_a_recipe_can_be_copied():
    recipe = Recipe(epochs=3)
    assert pickle.loads(pickle.dumps(recipe)) == copy.deepcopy(recipe) == recipe
