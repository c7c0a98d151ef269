"""`ModelSpec` and `InputSpec`: they survive JSON, and refuse whatever contradicts itself."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import medzoo
from medzoo.datasets import TASKS, DatasetInfo, dataset_info, list_datasets, synthetic
from medzoo.spec import InputSpec, ModelSpec
from medzoo.spec.checks import MAX_ARGUMENT

INPUT = InputSpec(1, 28, (0.5,), (0.25,))
DERMA = dataset_info("dermamnist")

finite = st.floats(-MAX_ARGUMENT, MAX_ARGUMENT, allow_nan=False)
positive = st.floats(1e-6, 1e6, allow_nan=False)
arguments = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_ARGUMENT, MAX_ARGUMENT) | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


@st.composite
def inputs(draw):
    channels = draw(st.integers(1, 5))
    values = [draw(st.tuples(*[part] * channels)) for part in (finite, positive)]
    return InputSpec(channels, draw(st.integers(1, 1024)), *values)


@st.composite
def specs(draw):
    info = draw(st.none() | st.sampled_from(list_datasets()).map(dataset_info))
    classes = draw(st.lists(st.text(), unique=True, max_size=6).map(tuple))
    free = {
        "classes": classes,
        "num_classes": len(classes) or draw(st.integers(0, 20)),
        "task": draw(st.none() | st.sampled_from([t for t in TASKS if t != "binary-class"])),
    }
    return ModelSpec(
        draw(st.text()),
        draw(inputs()),
        model_args=draw(st.dictionaries(st.text(), arguments, max_size=3)),
        dataset=info,
        temperature=draw(positive),
        licence=draw(st.text()),
        **({} if info else free),
    )


@given(inputs())
def test_an_input_survives_json(spec):
    again = InputSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert spec.shape == (spec.channels, spec.size, spec.size)


@given(specs())
def test_a_spec_survives_json(spec):
    again = ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert len(spec.class_names) == spec.num_classes


def test_a_spec_does_not_change():
    with pytest.raises(FrozenInstanceError):
        INPUT.size = 3
    with pytest.raises(FrozenInstanceError):
        ModelSpec("", INPUT).temperature = 2.0


def test_a_data_set_gives_classes_and_task():
    spec = ModelSpec("", INPUT, dataset=DERMA)
    assert (spec.classes, spec.task, spec.num_classes) == (DERMA.classes, DERMA.task, 7)
    assert spec == ModelSpec("", INPUT, 7, classes=DERMA.classes, task=DERMA.task, dataset=DERMA)
    assert ModelSpec("", INPUT, classes=["a", "b"]).classes == ("a", "b")
    assert ModelSpec("", INPUT).num_classes == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 0}, r"channels=0 must be a whole number of at least 1"),
        ({"size": -1}, r"size=-1 must be a whole number of at least 1"),
        ({"channels": 3}, r"one value for each of the 3 channels"),
        ({"mean": ()}, r"mean=\(\).*one value for each of the 1 channels"),
        ({"std": (1.0, 1.0)}, r"one value for each of the 1 channels"),
        ({"std": (0.0,)}, r"std above 0"),
        ({"std": (-1.0,)}, r"std above 0"),
        ({"std": (5e-324,)}, r"std above 0"),
        ({"std": (1e308,)}, r"of at most 1e\+12"),
        ({"mean": (-1e308,)}, r"of at most 1e\+12"),
        ({"mean": (10**400,)}, r"of at most 1e\+12"),
        ({"mean": (float("nan"),)}, r"must be finite"),
        ({"std": (float("inf"),)}, r"must be finite"),
    ],
)
def test_an_input_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(INPUT, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": "1"}, r"channels='1' must be a whole number"),
        ({"channels": True}, r"channels=True must be a whole number"),
        ({"size": 28.0}, r"size=28\.0 must be a whole number"),
        ({"mean": 0.5}, r"mean=0\.5 is a float, expected a tuple"),
        ({"std": "1"}, r"std='1' is a str, expected a tuple"),
    ],
)
def test_an_input_of_wrong_types(changes, message):
    with pytest.raises(TypeError, match=message):
        replace(INPUT, **changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_classes": 3, "classes": ("a", "b")}, r"num_classes=3 contradicts the 2 classes"),
        ({"num_classes": 3, "dataset": DERMA}, r"num_classes=3 contradicts the 7 classes"),
        ({"num_classes": -2}, r"num_classes=-2 must be a whole number of at least 0"),
        ({"classes": ("a", "b"), "dataset": DERMA}, r"contradict the data set DermaMNIST"),
        ({"classes": DERMA.classes[::-1], "dataset": DERMA}, r"contradict the data set DermaMNIST"),
        ({"task": "binary-class", "dataset": DERMA}, r"contradict"),
        ({"classes": ("a", "a")}, r"a name twice"),
        ({"task": "binary-class", "num_classes": 3}, r"num_classes=3 contradicts the task"),
        ({"task": "binary-class", "classes": ("a",)}, r"num_classes=1 contradicts the task"),
        ({"task": "multiclass"}, r"unknown task 'multiclass'; did you mean 'multi-class'"),
        ({"temperature": 0}, r"temperature=0 must be a finite number above 0"),
        ({"temperature": -1.0}, r"temperature=-1\.0 must be"),
        ({"temperature": float("nan")}, r"temperature=nan must be"),
        ({"temperature": 5e-324}, r"temperature=5e-324 must be"),
        ({"temperature": 10**400}, r"temperature=1000.* must be"),
        ({"temperature": float("inf")}, r"temperature=inf must be"),
    ],
)
def test_fields_that_contradict_each_other(values, message):
    with pytest.raises(ValueError, match=message):
        ModelSpec("", INPUT, **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"architecture": None}, r"architecture=None is a NoneType, expected str"),
        ({"input": (1, 28, 28)}, r"input=.* is a tuple, expected InputSpec"),
        ({"num_classes": "7"}, r"num_classes='7' must be a whole number"),
        ({"num_classes": True}, r"num_classes=True must be a whole number"),
        ({"model_args": [1]}, r"model_args=\[1\] is a list, expected Mapping"),
        ({"classes": "ab"}, r"classes='ab' is a str, expected a tuple"),
        ({"classes": (1, 2)}, r"classes=\(1, 2\) must be names"),
        ({"dataset": "dermamnist"}, r"dataset='dermamnist' is a str.*dataset_info"),
        ({"temperature": "1"}, r"temperature='1' must be a finite number above 0"),
        ({"temperature": True}, r"temperature=True must be"),
        ({"licence": None}, r"licence=None is a NoneType, expected str"),
    ],
)
def test_fields_of_wrong_types(values, message):
    with pytest.raises(TypeError, match=message):
        ModelSpec(**{"architecture": "", "input": INPUT} | values)


@pytest.mark.parametrize("spec", [INPUT, ModelSpec("", INPUT, dataset=DERMA)])
def test_missing_and_unknown_values_are_refused(spec):
    values = spec.to_dict()
    for name in values:
        fewer = {key: value for key, value in values.items() if key != name}
        with pytest.raises(ValueError, match=rf"not a {type(spec).__name__}: missing \['{name}'\]"):
            type(spec).from_dict(fewer)
    with pytest.raises(ValueError, match=r"missing \[\], unknown \['more'\]"):
        type(spec).from_dict(values | {"more": 1})
    for wrong in (None, [1], "spec"):
        with pytest.raises(TypeError, match=rf"not a {type(spec).__name__}"):
            type(spec).from_dict(wrong)


def test_a_file_says_the_number_of_classes_itself():
    values = ModelSpec("", INPUT, classes=("a", "b")).to_dict() | {"num_classes": -1}
    with pytest.raises(ValueError, match=r"num_classes=-1"):
        ModelSpec.from_dict(values)


def test_the_spec_for_data():
    data = synthetic("breastmnist", size=36, n_train=8, n_val=4, n_test=4)
    spec = ModelSpec.for_data(data, "simple_cnn")
    assert spec.input == InputSpec.for_data(data) == InputSpec(1, 36, *data.mean_std())
    assert (spec.dataset.mean, spec.dataset.std) == data.mean_std()
    assert (spec.architecture, spec.classes, spec.task) == (
        "simple_cnn",
        data.info.classes,
        data.info.task,
    )
    assert InputSpec.for_data(DERMA) == InputSpec(3, 28, (0.5,) * 3, (0.5,) * 3)


def test_properties_of_classes():
    assert ModelSpec("", INPUT, 3).class_names == ("0", "1", "2")
    assert ModelSpec("", INPUT, classes=("a", "b")).class_names == ("a", "b")
    assert ModelSpec("", INPUT, classes=("left lung", "heart")).has_laterality
    assert not ModelSpec("", INPUT, dataset=DERMA).has_laterality
    assert not ModelSpec("", INPUT, dataset=DERMA).multi_label
    assert not ModelSpec("", INPUT, 3).multi_label
    assert ModelSpec("", INPUT, dataset=dataset_info("chestmnist")).multi_label


def test_a_new_classifier_has_no_temperature_and_its_own_classes():
    spec = ModelSpec("simple_cnn", INPUT, dataset=DERMA, temperature=2.0, licence="MIT")
    assert spec.with_num_classes(7) == replace(spec, temperature=1.0)
    three = spec.with_num_classes(3)
    assert three == ModelSpec("simple_cnn", INPUT, 3, licence="MIT")


def test_timms_configuration():
    spec = ModelSpec("", INPUT, classes=("a", "b"), licence="CC BY-NC 4.0")
    cfg = spec.timm_config()
    assert (cfg["input_size"], cfg["mean"], cfg["std"]) == ((1, 28, 28), (0.5,), (0.25,))
    assert (cfg["num_classes"], cfg["label_names"]) == (2, ("a", "b"))
    assert cfg["license"] == "cc-by-nc-4.0"
    assert not {"license", "label_names"} & ModelSpec("", INPUT, 2).timm_config().keys()


def test_it_is_public():
    assert medzoo.ModelSpec is ModelSpec
    assert isinstance(ModelSpec.for_data(DERMA).dataset, DatasetInfo)
