"""Recipes: what is allowed, how they serialise, and how bundled ones are layered."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medzoo.datasets import dataset_info, list_datasets, synthetic
from medzoo.models import create_model, list_models
from medzoo.training import Augmentation, Recipe, fit_to_images, load_recipe, recipe_for
from medzoo.training.recipes.bundled import COUNTED, FEW, MIN_BATCH, STEPS_PER_EPOCH

share = st.floats(0, 1)
fraction = st.floats(0, 1, exclude_max=True)
positive = st.floats(0, 100, allow_subnormal=False)

augmentations = st.builds(
    Augmentation,
    **dict.fromkeys(("horizontal_flip", "vertical_flip", "erasing", "mix_probability"), share),
    **dict.fromkeys(("scale", "shift", "brightness", "contrast", "saturation"), fraction),
    **dict.fromkeys(("rotation", "mixup", "cutmix"), positive),
)
recipes = st.builds(
    Recipe,
    epochs=st.integers(1, 1000),
    batch_size=st.integers(1, 4096),
    learning_rate=positive.filter(bool),
    weight_decay=positive,
    warmup=fraction,
    label_smoothing=fraction,
    ema_decay=fraction,
    class_weights=st.sampled_from(["none", "balanced"])
    | st.lists(st.floats(1e-3, 1e3) | st.integers(1, 9), min_size=1).map(tuple),
    precision=st.sampled_from(["auto", "float32", "bfloat16"]),
    clip_gradient=st.none() | positive.filter(bool),
    patience=st.none() | st.integers(1, 99),
    seed=st.integers(0, 2**31),
    augmentation=augmentations,
    model_args=st.dictionaries(st.text(), st.floats(0, 1) | st.text() | st.booleans()),
)


@given(recipes)
def test_every_recipe_survives_json(original):
    assert Recipe.from_dict(json.loads(json.dumps(original.to_dict()))) == original


BAD = {
    "epochs": [0, -1, 1.5, "3", None],
    "batch_size": [0, 2.0],
    "learning_rate": [0, -1e-3, float("nan"), float("inf"), "fast", None],
    "weight_decay": [-0.1, float("inf"), "x"],
    "warmup": [-0.1, 1, None],
    "label_smoothing": [1, -1],
    "ema_decay": [1, 1.5],
    "clip_gradient": [0, -1, "x"],
    "patience": [0, 1.5, "x"],
    "seed": [-1, 0.5, 2**32, 2**62, None],
    "class_weights": [
        *("balance", None, 2.0, [], [1, 0.0], [1.0, -2], [1, float("nan")], [float("inf")]),
        *(["1"], [True, 1.0], {"a": 0.0}, {"a": "1"}, {1: 1.0}, [[1.0]]),
    ],
    "precision": ["fp16"],
    "model_args": [3, None],
    "augmentation": [None, {"rotation": 3}],
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, vs in BAD.items() for v in vs])
def test_bad_value_is_named(name, value):
    with pytest.raises(ValueError, match=name) as error:
        Recipe(**{name: value})
    assert repr(value) in str(error.value)


@given(st.sampled_from(list(Augmentation.__dataclass_fields__)), st.floats(-1e6, -1e-6))
def test_negative_strength_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Augmentation(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("horizontal_flip", 1.1), ("scale", 1.0), ("rotation", "all"), ("rotation", float("inf"))],
)
def test_augmentation_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"Augmentation.{name}"):
        Augmentation(**{name: value})


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"batchsize": 3}, "unknown Recipe field 'batchsize'; did you mean 'batch_size'"),
        ({"augmentation": {"rotaton": 3}}, "'rotaton'; did you mean 'rotation'"),
        ({"augmentation": 5}, "Augmentation is 5"),
    ],
)
def test_unknown_field_has_a_close_match(values, match):
    with pytest.raises(ValueError, match=match):
        Recipe.from_dict(values)


def test_with_changes():
    changed = Recipe().with_changes(epochs=3)
    assert (changed.epochs, Recipe().epochs) == (3, 30)
    assert changed.batch_size == Recipe().batch_size
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        Recipe().with_changes(epoch=3)
    with pytest.raises(ValueError, match="epochs=0"):
        Recipe().with_changes(epochs=0)


@pytest.fixture
def bundled(monkeypatch):
    layers = {
        "default": {"epochs": 10, "augmentation": {"rotation": 5, "shift": 0.1}},
        "*.data": {"augmentation": {"rotation": 6}, "batch_size": 1},
        "net": {"batch_size": 2, "learning_rate": 0.5, "model_args": {"drop_rate": 0.1}},
        "net.data": {"learning_rate": 0.25, "model_args": {"widths": [4, 8, 16]}},
        "quick": {"epochs": 1, "augmentation": {"shift": 0.2}},
        "slow": {"epochs": 100},
        "slow.*.data": {"epochs": 200},
        "slow.net.data": {"epochs": 300},
        "quick.net": {"augmentation": {"shift": 0.3}, "model_args": {"widths": [2, 4, 8]}},
    }
    monkeypatch.setattr("medzoo.training.recipes.bundled._bundled", lambda: layers)


def test_later_layers_refine_earlier_ones(bundled):
    made = recipe_for("net", "data")
    assert (made.epochs, made.batch_size, made.learning_rate) == (10, 2, 0.25)
    assert made.augmentation == Augmentation(rotation=6, shift=0.1)
    assert made.model_args == {"drop_rate": 0.1, "widths": [4, 8, 16]}
    assert recipe_for("other", "data").batch_size == 1
    assert recipe_for("net", "other").augmentation.rotation == 5


def test_a_name_refines_the_pairs_recipe(bundled):
    made = load_recipe("quick", "net2", "data")
    assert (made.epochs, made.batch_size) == (1, 1)
    assert made.augmentation == Augmentation(rotation=6, shift=0.2)
    assert load_recipe("default", "net", "data") == recipe_for("net", "data")
    with pytest.raises(ValueError, match="unknown recipe 'quik'; did you mean 'quick'"):
        load_recipe("quik", "net", "data")


def test_a_named_recipe_is_refined_for_an_architecture(bundled):
    made = load_recipe("quick", "net", "data")
    assert (made.epochs, made.learning_rate) == (1, 0.25)
    assert made.augmentation == Augmentation(rotation=6, shift=0.3)
    assert made.model_args == {"drop_rate": 0.1, "widths": [2, 4, 8]}


def test_a_named_recipe_is_refined_for_a_data_set_and_for_a_pair(bundled):
    assert load_recipe("slow", "net", "data").epochs == 300
    assert load_recipe("slow", "other", "data").epochs == 200
    assert load_recipe("slow", "net", "others").epochs == 100


def test_a_recipe_is_taken_as_it_is(bundled):
    own = Recipe(epochs=77)
    assert load_recipe(own, "net", "data") is own


def test_a_file_refines_the_pairs_recipe(bundled, tmp_path):
    path = tmp_path / "own.json"
    path.write_text('{"epochs": 3, "augmentation": {"erasing": 0.5}}')
    for source in (path, str(path)):
        made = load_recipe(source, "net", "data")
        assert (made.epochs, made.learning_rate) == (3, 0.25)
        assert made.augmentation == Augmentation(rotation=6, shift=0.1, erasing=0.5)


@pytest.mark.parametrize(
    "text", [None, "", "{", "[1]", "3", '{"epochs": "x"}', '{"augmentation": 5}', '{"epoch": 3}']
)
def test_bad_file_is_a_clear_error(tmp_path, text):
    path = tmp_path / "own.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=r"own\.json|Recipe|Augmentation"):
        load_recipe(path, "net", "data")


@pytest.mark.parametrize("architecture", list_models())
@pytest.mark.parametrize("name", ["default", "fast"])
def test_bundled_recipes_are_valid_for_every_pair(name, architecture):
    for dataset in list_datasets():
        made = load_recipe(name, architecture, dataset)
        assert made.epochs >= 1
    model = create_model(architecture, dataset="octmnist", **made.model_args)
    assert model.num_classes == 4


@pytest.mark.parametrize("source", [None, 3, ["fast"]])
def test_what_is_no_recipe_is_told(source):
    with pytest.raises(TypeError, match=r"recipe=.* is not a recipe; give a medzoo.Recipe"):
        load_recipe(source, "net", "data")


def test_changes_to_the_augmentation_keep_the_rest():
    base = Recipe(augmentation=Augmentation(rotation=10, scale=0.1))
    changed = base.with_changes(augmentation={"rotation": 20})
    assert changed.augmentation == Augmentation(rotation=20, scale=0.1)
    whole = base.with_changes(augmentation=Augmentation(rotation=20))
    assert whole.augmentation.rotation == 20


def test_a_mapping_refines_the_bundled_recipe():
    bundled = recipe_for("simple_cnn", "dermamnist")
    assert load_recipe({"epochs": 3}, "simple_cnn", "dermamnist") == bundled.with_changes(epochs=3)


def test_unknown_optimizer_is_told_when_the_recipe_is_made():
    with pytest.raises(ValueError, match="did you mean 'adamw'"):
        Recipe(optimizer="adamww")


@pytest.mark.parametrize("name", ["kron", "kronw", "adahessian", "fusedadam", "bnblion8bit"])
@pytest.mark.parametrize("prefix", ["", "lookahead_"])
def test_an_optimizer_that_cannot_be_used_is_told_with_the_reason(prefix, name):
    with pytest.raises(ValueError, match=rf"'{prefix}{name}' cannot be used: it .*; use another"):
        Recipe(optimizer=prefix + name)


def test_images_whose_classes_tell_left_from_right_are_never_mirrored():
    sided = [name for name in list_datasets() if dataset_info(name).has_laterality]
    assert sided
    for name in sided:
        for architecture in list_models():
            assert recipe_for(architecture, name).augmentation.horizontal_flip == 0


def test_own_images_whose_classes_tell_left_from_right_are_mirrored_only_if_asked():
    own = replace(dataset_info("breastmnist"), name="own", classes=("left lung", "right lung"))
    for source in ("default", "fast", "finetune", "*.dermamnist", {"epochs": 3}):
        found = load_recipe(source, "simple_cnn", own).augmentation
        assert (found.horizontal_flip, found.vertical_flip) == (0, 0)
    plain = replace(own, classes=("no", "yes"))
    assert load_recipe("default", "simple_cnn", plain).augmentation.horizontal_flip == 0.5
    asked = {"augmentation": {"horizontal_flip": 0.25}}
    assert load_recipe(asked, "simple_cnn", own).augmentation.horizontal_flip == 0.25
    assert load_recipe(Recipe.from_dict(asked), "simple_cnn", own) == Recipe.from_dict(asked)


@given(
    st.integers(1, 5000),
    st.integers(0, 2000),
    st.builds(Recipe, epochs=st.integers(1, 100), batch_size=st.integers(1, 512)),
)
def test_small_data_sets_get_enough_steps(images, min_steps, recipe):
    fitted = fit_to_images(recipe, images, min_steps)
    batch = min(fitted.batch_size, images)
    assert fitted.epochs * images >= min_steps * min(batch, COUNTED)
    halved = {recipe.batch_size >> n for n in range(10)}
    assert fitted.batch_size in halved
    if fitted.batch_size < recipe.batch_size:  # no smaller than it has to be
        assert fitted.batch_size >= MIN_BATCH
        assert images < STEPS_PER_EPOCH * (2 * fitted.batch_size + 1)
    if fitted.epochs > recipe.epochs:  # a small validation split would choose by chance
        assert fitted.validate_every == (fitted.epochs if images < FEW else recipe.validate_every)
        seen = fit_to_images(recipe, images, min_steps, keep=("patience",))
        assert seen.validate_every == recipe.validate_every
    kept = fit_to_images(recipe, images, min_steps, keep=("batch_size", "epochs"))
    assert kept == recipe
    assert fit_to_images(fitted, images, min_steps) == fitted


@pytest.mark.parametrize(
    ("source", "steps"),
    [("default", 1200), ("fast", 300), ("finetune", 300), ({"learning_rate": 0.01}, 1200)],
)
def test_bundled_recipes_follow_the_number_of_own_images(source, steps):
    own = replace(dataset_info("dermamnist"), name="own", n_samples={"train": 146})
    recipe = load_recipe(source, "simple_cnn", own)
    assert 146 / recipe.batch_size >= 9
    assert steps <= recipe.epochs * 146 / recipe.batch_size < steps + 20


def test_what_the_user_says_is_not_changed():
    data = synthetic("dermamnist", n_train=56, n_val=28, n_test=1)
    asked = {"epochs": 2, "batch_size": 50}
    for recipe in (
        load_recipe(asked, "simple_cnn", data),
        load_recipe("fast", "simple_cnn", data, changes=asked),
        load_recipe(Recipe(**asked), "simple_cnn", data),
    ):
        assert (recipe.epochs, recipe.batch_size) == (2, 50)
    only_batch = load_recipe("default", "simple_cnn", data, changes={"batch_size": 50})
    assert only_batch.batch_size == 50
    assert only_batch.epochs == math.ceil(1200 * 12 / 56)  # as with half the batch, twice


def test_what_was_chosen_for_a_data_set_holds_for_all_of_its_images_only():
    whole = recipe_for("simple_cnn", "breastmnist")
    assert (whole.epochs, whole.batch_size) == (30, 64)
    part = replace(dataset_info("breastmnist"), n_samples={"train": 60})
    fitted = recipe_for("simple_cnn", part)
    assert fitted.batch_size == 8
    assert fitted.epochs * 60 / 8 >= 1200
    assert fitted.augmentation == whole.augmentation


@pytest.mark.parametrize(
    "weights", [[1, 2.5], (1, 2.5), np.array([1, 2.5], np.float32), torch.tensor([1, 2.5])]
)
def test_class_weights_are_a_list_in_json(weights):
    recipe = Recipe(class_weights=weights)
    assert recipe.class_weights == (1.0, 2.5)
    assert recipe.to_dict()["class_weights"] == [1.0, 2.5]
    assert recipe == Recipe(class_weights=(1.0, 2.5))
    assert recipe.with_changes(epochs=3).class_weights == (1.0, 2.5)


DEEP: dict = {}
for _ in range(5000):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "values",
    [
        [1], None, {1: 2}, {"class_weights": [10**400]}, {"class_weights": [True]}, {"seed": True},
        {"epochs": 10**400}, {"learning_rate": 10**400}, {"augmentation": [1]}, {"backbone": 3},
        {"augmentation": {"rotation": 10**400}}, {"optimizer": {"a": 1}}, {"freeze": [1]},
        {"model_args": DEEP}, {"augmentation": DEEP},
    ],
)  # fmt: skip
def test_values_of_any_type_are_refused_with_one_kind_of_error(values):
    with pytest.raises(ValueError, match=r"expected|unknown|nested|must be"):
        Recipe.from_dict(values)


def test_numbers_of_numpy_become_those_of_python():
    angle = np.arange(0, 30, 10)[1]
    recipe = Recipe(
        epochs=np.int64(3),
        seed=np.uint8(1),
        learning_rate=np.float32(0.5),
        freeze=np.int64(1),
        model_args={"drop_rate": np.float32(0.5), "widths": (np.int64(8), 16)},
        augmentation=Augmentation(rotation=angle, scale=np.float64(0.25)),
    )
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert (recipe.epochs, recipe.seed, recipe.learning_rate) == (3, 1, 0.5)
    with pytest.raises(ValueError, match=r"epochs=True|epochs=np.True_"):
        Recipe(epochs=np.bool_(True))


def test_equal_recipes_have_equal_hashes():
    one, other = (Recipe(model_args={"drop_rate": 0.1}, class_weights={"a": 2}) for _ in range(2))
    assert len({one, other}) == 1


@pytest.mark.parametrize("field", ["mixup", "cutmix"])
def test_mixing_that_would_mix_nothing_is_refused(field):
    wanted = {"augmentation": {field: 0.2}}
    with pytest.raises(ValueError, match=f"{field}=0.2 mixes nothing.*e.g. mix_probability=0.5"):
        load_recipe(wanted, "simple_cnn", "breastmnist")
    assert load_recipe(wanted, "simple_cnn", "dermamnist").augmentation.mix_probability == 0.5
    both = {"augmentation": {field: 0.2, "mix_probability": 0.0}}
    assert load_recipe(both, "simple_cnn", "breastmnist").augmentation.mix_probability == 0


def test_a_complete_recipe_in_a_file_is_used_as_it_is(tmp_path):
    recipe = Recipe(epochs=3)
    bundled = load_recipe("default", "simple_cnn", "dermamnist")
    assert bundled.model_args
    assert recipe.model_args == {}
    path = tmp_path / "best.json"
    path.write_text(json.dumps(recipe.to_dict()))
    assert load_recipe(path, "simple_cnn", "dermamnist") == recipe
    assert load_recipe({"epochs": 3}, "simple_cnn", "dermamnist").model_args == bundled.model_args
