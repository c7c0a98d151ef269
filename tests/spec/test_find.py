"""`spec_of`: it finds the one model inside wrappers, and never guesses."""

import copy
import pickle
from types import SimpleNamespace

import pytest
import timm
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

import medzoo
from medzoo.models import Classifier, Specified, create_model, with_spec
from medzoo.spec import InputSpec, ModelSpec, find_spec, network_of, spec_of

SPEC = ModelSpec("", InputSpec(3, 28, (0.5,) * 3, (0.5,) * 3), 2)
NAMES = ["simple_cnn", "timm/test_resnet"]


def made(name="simple_cnn"):
    arguments = {"widths": (4, 8, 16)} if name == "simple_cnn" else {}
    return create_model(name, dataset="dermamnist", **arguments)


@pytest.fixture(params=NAMES)
def model(request):
    return made(request.param)


class Metric(nn.Module):
    """Like those of torchmetrics: a module with buffers, without parameters."""

    def __init__(self):
        super().__init__()
        self.register_buffer("correct", torch.zeros(()))


class Lightning(nn.Module):
    """Like a LightningModule: a model, a loss and a metric."""

    def __init__(self, model):
        super().__init__()
        self.net = model
        self.criterion = nn.CrossEntropyLoss(weight=torch.ones(7))
        self.metric = Metric()

    def forward(self, x):
        return self.net(x)


class Twice(nn.Module):
    """A module that knows its model by two names."""

    def __init__(self, model):
        super().__init__()
        self.model = self.teacher = model


class HeadedBackbone(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(7, 2)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = made(), made("timm/test_resnet")


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


WRAPPERS = {
    "none": lambda model: model,
    "DataParallel": nn.DataParallel,
    "torch.compile": lambda model: torch.compile(model, backend="eager"),
    "AveragedModel": AveragedModel,
    "ModelEmaV3": ModelEmaV3,
    "Lightning": Lightning,
    "Sequential": lambda model: nn.Sequential(nn.Identity(), model),
    "twice": Twice,
    "compiled Lightning": lambda model: torch.compile(Lightning(model), backend="eager"),
    "DataParallel of compiled": lambda model: nn.DataParallel(torch.compile(model)),
    "Sequential of DataParallel": lambda model: nn.Sequential(nn.DataParallel(model)),
    "average of DataParallel in Lightning": lambda model: Lightning(
        AveragedModel(nn.DataParallel(model))
    ),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_are_looked_through(model, wrap):
    model.temperature = 2.0
    wrapped = wrap(model)
    assert spec_of(wrapped) == find_spec(wrapped) == model.spec
    assert spec_of(wrapped).dataset.name == "dermamnist"
    inner = network_of(wrapped)
    assert isinstance(inner, Classifier)
    assert inner.state_dict().keys() == model.state_dict().keys()


@pytest.mark.usefixtures("process_group")
def test_distributed_data_parallel_is_looked_through(model):
    for wrapped in (
        DistributedDataParallel(model),
        Lightning(DistributedDataParallel(model)),
        DistributedDataParallel(Lightning(model)),
    ):
        assert spec_of(wrapped) == model.spec
        assert network_of(wrapped) is model


def test_a_wrapped_model_is_scored_as_the_model_itself(tiny):
    model = create_model("simple_cnn", dataset=tiny, widths=(4, 8, 16)).eval()
    expected = medzoo.evaluate(model, tiny.test, device="cpu", resamples=0)
    for wrapped in (nn.DataParallel(model), Lightning(model), AveragedModel(model)):
        assert medzoo.evaluate(wrapped, tiny.test, device="cpu", resamples=0) == expected


def test_a_timm_classifier_says_what_it_expects():
    model = timm.create_model("test_resnet", num_classes=4)
    cfg = model.pretrained_cfg
    expected = InputSpec(3, cfg["input_size"][1], tuple(cfg["mean"]), tuple(cfg["std"]))
    for one in (model, nn.DataParallel(model), Lightning(model)):
        assert spec_of(one) == ModelSpec("", expected, 4)
    model.pretrained_cfg["label_names"] = ["a", "b", "c", "d"]
    assert spec_of(model).classes == ("a", "b", "c", "d")
    model.pretrained_cfg["label_names"] = ["a", "b", "c", "c"]  # ambiguous
    assert spec_of(model).classes == ()
    model.reset_classifier(3)
    assert (spec_of(model).num_classes, spec_of(model).classes) == (3, ())


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"input_size": (3, 28, 32), "mean": (0.5,) * 3, "std": (0.5,) * 3}, "not square"),
        ({"input_size": (3, 28, 28), "mean": (0.5,) * 3}, "lacks std"),
        ({}, "lacks input_size, mean, std"),
        ({"input_size": (1, 28, 28), "mean": (0.5,) * 3, "std": (0.5,) * 3}, "one value for each"),
    ],
)
def test_a_timm_configuration_that_does_not_fit(cfg, message):
    model = timm.create_model("test_resnet", num_classes=4)
    model.pretrained_cfg = cfg
    for one in (model, nn.DataParallel(model)):
        with pytest.raises(ValueError, match=message):
            spec_of(one)


def test_what_does_not_say_what_it_is():
    graph = torch.fx.symbolic_trace(made().eval())
    others = {
        "function <lambda>": lambda images: images,
        "Linear": nn.Linear(2, 2),
        "Sequential": nn.Sequential(nn.Flatten(), nn.Linear(2, 2)),
        "SimpleCNN": graph,  # a GraphModule, which has the name of what it was made from
        "SimpleNamespace": SimpleNamespace(spec="simple_cnn"),
        "str": "simple_cnn.dermamnist",
        "FeatureGetterNet": timm.create_model("medzoo_simple_cnn", features_only=True),
        "FeatureListNet": timm.create_model("test_resnet", features_only=True),
        "DataParallel": nn.DataParallel(nn.Linear(2, 2)),
    }
    for name, other in others.items():
        assert find_spec(other) is None
        assert network_of(other) is other
        message = rf"{name} does not say .*spec=medzoo\.ModelSpec"
        with pytest.raises(TypeError, match=message):
            spec_of(other)
        assert spec_of(other, SPEC) is SPEC


@pytest.mark.parametrize(
    ("make", "held"),
    [
        (lambda: nn.Sequential(nn.InstanceNorm2d(3), made()), "a model and also InstanceNorm2d"),
        (lambda: nn.Sequential(made(), nn.Softmax(dim=1)), "a model and also Softmax"),
        (lambda: nn.Sequential(nn.BatchNorm2d(3), made()), r"a model and also 0\.weight"),
        (lambda: nn.DataParallel(nn.Sequential(nn.InstanceNorm2d(3), made())), "InstanceNorm2d"),
        (lambda: Lightning(nn.Sequential(nn.InstanceNorm2d(3), made())), "InstanceNorm2d"),
        (
            lambda: nn.Sequential(nn.InstanceNorm2d(3), nn.DataParallel(made())),
            "a model and also InstanceNorm2d",
        ),
        (lambda: HeadedBackbone(made()), r"a model and also head\.weight"),
        (lambda: HeadedBackbone(timm.create_model("test_resnet")), r"head\.weight"),
        (lambda: nn.DataParallel(HeadedBackbone(made())), r"head\.weight"),
        (Two, "2 models"),
        (lambda: Lightning(Two()), "2 models"),
        (lambda: nn.Sequential(made(), made()), "2 models"),
    ],
)
def test_further_layers_and_several_models_are_refused(make, held):
    model = make()
    for find in (spec_of, find_spec, network_of):
        with pytest.raises(ValueError, match=rf"holds .*{held}.*give spec=medzoo\.ModelSpec"):
            find(model)
    assert spec_of(model, SPEC) is SPEC


@pytest.mark.parametrize("spec", ["simple_cnn", {"num_classes": 2}, SPEC.input])
def test_a_spec_of_another_type(spec):
    for model in (made(), lambda images: images):
        with pytest.raises(TypeError, match="expected a ModelSpec"):
            spec_of(model, spec)


def test_any_callable_with_a_spec():
    def predict(images):
        return images.mean((2, 3))[:, :2]

    predict.spec = SPEC
    assert spec_of(predict) is SPEC
    specified = Specified(lambda images: images.mean((2, 3))[:, :2], SPEC)
    assert spec_of(specified) is spec_of(Lightning(specified)) is SPEC
    assert specified(torch.zeros(1, 3, 28, 28)).shape == (1, 2)
    with pytest.raises(TypeError, match="expected a ModelSpec"):
        Specified(predict, "simple_cnn")


# Networks that become classifiers


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@torch.no_grad()
def test_copies_keep_spec_class_and_weights(model, copied):
    model.eval().temperature = 2.0
    again = copied(model)
    assert again.spec == model.spec
    assert type(again) is type(model)
    x = torch.rand(2, 3, 28, 28)
    assert torch.equal(again(x), model(x))
    again.temperature = 3.0
    assert model.temperature == 2.0


def test_an_adopted_network_stays_what_it_was(tmp_path):
    network = timm.create_model("test_resnet", num_classes=2)
    before, kind = dict(network.state_dict()), type(network)
    model = with_spec(network, SPEC)
    assert model is network
    assert isinstance(model, kind)
    assert isinstance(model, Classifier)
    assert (type(model).__name__, type(model).__module__) == (kind.__name__, kind.__module__)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert with_spec(model, SPEC) is model
    assert type(with_spec(timm.create_model("test_resnet"), SPEC)) is type(model)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = timm.create_model("test_resnet", num_classes=2)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    torch.save(model, tmp_path / "whole.pt")
    assert torch.load(tmp_path / "whole.pt", weights_only=False).spec == SPEC


def test_a_network_with_attributes_of_these_names_is_refused():
    class Network(nn.Linear):
        temperature = 3.0

    network = Network(2, 2)
    with pytest.raises(ValueError, match=r"Network has attributes .*temperature"):
        with_spec(network, SPEC)
    assert type(network) is Network
    assert network.temperature == 3.0


def test_a_new_classifier_changes_the_spec(model):
    model.temperature = 2.0
    model.reset_classifier(7)
    assert (model.temperature, model.dataset.name) == (1.0, "dermamnist")
    model.reset_classifier(3)
    assert (model.spec.num_classes, model.spec.classes, model.dataset) == (3, (), None)
    assert model.pretrained_cfg["num_classes"] == 3
    assert "label_names" not in model.pretrained_cfg
    assert spec_of(nn.DataParallel(model)).num_classes == model.num_classes == 3


def test_temperature_and_licence_can_be_set(model):
    model.temperature, model.licence = 2, "CC BY 4.0"
    assert (model.spec.temperature, model.spec.licence) == (2.0, "CC BY 4.0")
    assert model.pretrained_cfg["license"] == "cc-by-4.0"
    with pytest.raises(ValueError, match="temperature=0"):
        model.temperature = 0
    with pytest.raises(TypeError, match="licence=None"):
        model.licence = None
    assert (model.temperature, model.licence) == (2.0, "CC BY 4.0")
    with pytest.raises(AttributeError):
        model.dataset = None
    with pytest.raises(TypeError, match="expected a ModelSpec"):
        model.spec = "simple_cnn"


def test_timms_configuration_and_the_spec_agree(model):
    assert model.pretrained_cfg["input_size"] == model.spec.input.shape
    assert model.default_cfg == model.pretrained_cfg
    model.pretrained_cfg = model.pretrained_cfg | {"mean": (0.1, 0.2, 0.3)}
    assert model.spec.input.mean == (0.1, 0.2, 0.3)
