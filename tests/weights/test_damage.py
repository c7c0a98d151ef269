"""Weights files that were changed by accident, by an error, or on purpose."""

import json
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from safetensors.torch import load_file, save, save_file
from torch.nn.modules.module import register_module_parameter_registration_hook

from medzoo.errors import WeightsError
from medzoo.models import create_model, save_weights
from medzoo.models._checkpoints.find import network_shapes
from medzoo.weights import bundled_path, read_config, read_weights, weights_index
from tests.weights.headers import read_header, write_header

WIDTHS = (4, 8, 16)


@pytest.fixture
def path(tiny, tmp_path):
    torch.manual_seed(0)
    model = create_model("simple_cnn", dataset=tiny, widths=WIDTHS)
    return save_weights(model, tmp_path / "model.safetensors", training={"seed": 3})


@pytest.fixture
def unnamed(tmp_path):
    """A file that names neither classes nor a data set, so that only its tensors contradict it."""
    model = create_model("simple_cnn", num_classes=7, widths=WIDTHS)
    return save_weights(model, tmp_path / "unnamed.safetensors")


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_is_refused(path):
    content = path.read_bytes()
    bits = 8 * len(content)
    start = 8 * 130  # the length, and what comes before and in the digest
    some = np.random.default_rng(0).choice(bits - start, 150, replace=False) + start
    for bit in [*range(0, start, 7), *map(int, some)]:
        path.write_bytes(flipped(content, bit))
        with pytest.raises(WeightsError, match=r"model\.safetensors"):
            read_weights(path)
        if bit % 3 == 0:
            with pytest.raises(WeightsError, match=r"model\.safetensors"):
                read_config(path)
    path.write_bytes(content)
    assert read_weights(path)[0] == read_config(path)


@pytest.mark.parametrize("change", [lambda c: c + b"\0", lambda c: c[:-1], lambda c: c[:100]])
def test_another_length_is_refused(path, change):
    path.write_bytes(change(path.read_bytes()))
    for read in (read_weights, read_config, create_model):
        with pytest.raises(WeightsError, match=r"model\.safetensors"):
            read(path)


def test_a_file_without_a_digest_is_refused_unless_it_is_published(path, tmp_path):
    header = read_header(path)
    del header["digest"]
    save_file(load_file(path), path, {"medzoo": json.dumps(header)})
    for read in (read_weights, read_config, create_model):
        with pytest.raises(WeightsError, match=r"states no digest.*load_file.*save_weights"):
            read(path)
    entry = weights_index()["simple_cnn.dermamnist"]
    copy = shutil.copy(bundled_path(entry), tmp_path / "copy.safetensors")
    assert create_model(copy).spec == entry.spec
    tensors = load_file(path)  # as the error says
    model = create_model("simple_cnn", dataset="dermamnist", widths=WIDTHS)
    model.load_state_dict(tensors)
    again = create_model(save_weights(model, path))
    assert all(torch.equal(tensors[name], t) for name, t in again.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 6}, r"head\.fc\.weight is \(7, 16\) instead of \(6, 16\)"),
        ({"num_classes": 0}, r"head\.fc\.weight is unexpected"),
        ({"model_args": {"widths": [4, 8, 17]}}, r"stages.* instead of"),
        ({"model_args": {"widths": "wide"}}, r"built with"),
        ({"model_args": {}}, r"instead of"),
        ({"architecture": "advanced_cnn", "model_args": {}}, r"advanced_cnn"),
        ({"architecture": "timm/resnet18", "model_args": {}}, r"resnet18"),
    ],
)
@pytest.mark.parametrize("arguments", [{}, {"dataset": "dermamnist"}, {"num_classes": 3}])
def test_a_header_that_contradicts_the_tensors_is_refused(unnamed, changes, message, arguments):
    header = read_header(unnamed)
    header["spec"] |= changes
    write_header(unnamed, header)
    with pytest.raises(WeightsError, match=rf"unnamed\.safetensors cannot be loaded.*{message}"):
        create_model(unnamed, **arguments)


@pytest.mark.parametrize("classes", [{}, {"num_classes": 3}, {"dataset": "retinamnist"}])
@pytest.mark.parametrize("widths", [(4, 8), (4, 8, 16, 32), (4, 8, 17)])
def test_arguments_that_leave_layers_without_weights_are_refused(unnamed, classes, widths):
    with pytest.raises(WeightsError, match=r"the weights do not fit simple_cnn with .*widths"):
        create_model(unnamed, widths=widths, **classes)
    assert create_model(unnamed, drop_rate=0.3, **classes).spec.model_args["drop_rate"] == 0.3


def test_other_channels_than_the_tensors_are_refused(unnamed):
    header = read_header(unnamed)
    header["spec"]["input"] |= {"channels": 1, "mean": [0.5], "std": [0.5]}
    write_header(unnamed, header)
    with pytest.raises(WeightsError, match=r"stem\.conv\.weight is \(4, 3, 3, 3\) instead of"):
        create_model(unnamed)


@pytest.mark.parametrize("where", [[], ["spec"], ["spec", "input"], ["spec", "dataset"]])
def test_unknown_and_missing_names_are_refused(path, where):
    """One flipped bit makes another name of a name."""
    header = read_header(path)
    part = header
    for name in where:
        part = part[name]
    for name in [n for n in part if n != "digest"]:
        value = part.pop(name)
        part["X" + name] = value
        write_header(path, header)
        with pytest.raises(WeightsError, match=rf"model\.safetensors.*X{name}"):
            create_model(path)
        del part["X" + name]
        part[name] = value
    assert create_model(write_header(path, header)).num_classes == 7


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("stem.conv.weight", torch.int32),
        ("stem.conv.weight", torch.int8),
        ("head.fc.bias", torch.int64),
        ("head.fc.bias", torch.bool),
        ("stem.bn.num_batches_tracked", torch.float32),
        ("stem.bn.num_batches_tracked", torch.int32),
    ],
)
@pytest.mark.parametrize("features_only", [False, True])
def test_numbers_of_another_kind_are_refused(path, name, dtype, features_only):
    """Loading would round them, or take what was scaled for what it is."""
    header, tensors = read_header(path), load_file(path)
    save_file(tensors | {name: tensors[name].to(dtype)}, path)
    write_header(path, header)
    with pytest.raises(WeightsError, match=rf"stores {name} as {dtype}, expected torch\."):
        create_model(path, features_only=features_only)


def test_a_file_says_of_its_model_what_the_loaded_model_says(tmp_path):
    """Also of one whose images differ from those of the data set that it was made for."""
    model = create_model("simple_cnn", dataset="breastmnist", in_chans=3, widths=WIDTHS)
    model.pretrained_cfg = model.pretrained_cfg | {"mean": (0.1,) * 3, "std": (0.2,) * 3}
    loaded = create_model(save_weights(model, tmp_path / "m.safetensors"))
    assert loaded.spec.input == model.spec.input
    assert loaded.spec.input.mean == (0.1,) * 3


def test_what_is_verified_is_what_is_loaded(path, tmp_path):
    """The file is replaced, or written over, while it is read."""
    expected = load_file(path)
    other = create_model("simple_cnn", dataset="dermamnist", widths=WIDTHS)
    other = save_weights(other, tmp_path / "other.safetensors").read_bytes()

    def replace(*_):
        (tmp_path / "new").write_bytes(other)
        (tmp_path / "new").replace(path)

    _, tensors = read_weights(path, check=replace)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())

    def overwrite(*_):
        path.write_bytes(flipped(other, 8 * len(other) - 3))

    with pytest.raises(WeightsError, match=r"replaced while it was read|damaged"):
        read_weights(path, check=overwrite)


def test_timm_gets_the_tensors_that_were_verified(monkeypatch):
    """Not those that it finds under the same path a moment later."""

    def refuse(*_, **__):
        raise AssertionError("the file was opened again")

    monkeypatch.setattr("timm.models._builder.load_state_dict", refuse)
    monkeypatch.setattr(safetensors.torch, "load_file", refuse)
    monkeypatch.setattr("safetensors.safe_open", refuse)
    expected = create_model("simple_cnn.dermamnist", pretrained=True).state_dict()
    loaded = timm.create_model("medzoo_simple_cnn.dermamnist", pretrained=True)
    assert all(torch.equal(loaded.state_dict()[name], t) for name, t in expected.items())
    features = timm.create_model(
        "medzoo_simple_cnn.dermamnist", pretrained=True, features_only=True
    )
    for module in (*loaded.modules(), *features.modules()):  # no second copy is kept
        assert not (vars(module).get("pretrained_cfg") or {}).get("state_dict")


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("simple_cnn", {"widths": [8, 16_384, 16_384]}),
        ("simple_cnn", {"widths": [8] * 50_000}),
        ("advanced_cnn", {"depths": [60_000, 1, 1]}),
        ("timm/vit_tiny_patch16_224", {"depth": 60_000}),
        ("timm/vit_tiny_patch16_224", {"embed_dim": 65_536, "img_size": 4096, "patch_size": 1}),
        ("timm/mixer_s32_224", {"num_blocks": 65_536}),
    ],
)
def test_a_giant_that_a_few_bytes_name_takes_no_memory(unnamed, architecture, arguments):
    header = read_header(unnamed)
    header["spec"] |= {"architecture": architecture, "model_args": arguments}
    write_header(unnamed, header)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match=r"unnamed\.safetensors"):
        create_model(unnamed)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


@pytest.mark.parametrize("number", [0, 3000])
def test_a_giant_is_not_built_to_its_end(unnamed, number):
    """However many tensors the file has: what counts is whether they are those of the network."""
    header = read_header(unnamed)
    header["spec"] |= {"architecture": "timm/vit_tiny_patch16_224", "model_args": {"depth": 60_000}}
    others = {f"other.{n}": torch.empty(0) for n in range(number)}
    save_file(load_file(unnamed) | others, unnamed)
    write_header(unnamed, header)
    built = []
    count = register_module_parameter_registration_hook(lambda *_: built.append(1))
    try:
        with pytest.raises(WeightsError, match="more than 500 of its parameters have other shapes"):
            create_model(unnamed)
    finally:
        count.remove()
    assert len(built) < 600


def test_more_tensors_than_any_network_has_are_refused(unnamed):
    header = read_header(unnamed)
    save_file({f"other.{n}": torch.empty(0) for n in range(10_001)}, unnamed)
    with pytest.raises(WeightsError, match=r"unnamed\..* 10,001 tensors, expected at most 10,000"):
        create_model(write_header(unnamed, header))


def test_a_network_that_replaces_parameters_while_it_is_built_is_not_refused():
    """Its scales, where there are none, are replaced by an identity."""
    spec = create_model("simple_cnn", dataset="dermamnist", size=224).spec
    spec = replace(spec, architecture="timm/caformer_s18", model_args={})
    with torch.device("meta"):
        network = timm.create_model("caformer_s18", num_classes=7)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert network_shapes(spec, shapes) == shapes


def test_sizes_that_are_only_declared_take_no_memory(path):
    header = read_header(path)
    with path.open("ab") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(WeightsError, match=r"1,099,511,627,776 bytes, expected"):
        create_model(path)
    shapes = {"w": {"dtype": "F32", "shape": [1 << 20, 1 << 18], "data_offsets": [0, 1 << 40]}}
    metadata = {"__metadata__": {"medzoo": json.dumps(header)}}
    text = json.dumps(metadata | shapes).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with path.open("ab") as file:
        file.truncate(8 + len(text) + (1 << 40))
    with pytest.raises(WeightsError, match=r"cannot be loaded.*missing"):
        create_model(path)
    with pytest.raises(WeightsError, match="expected at most"):
        read_weights(path)
    for length in (1 << 20, 1 << 40, (1 << 64) - 1):
        path.write_bytes(length.to_bytes(8, "little") + b"{}" * 9)
        with pytest.raises(WeightsError, match="readable safetensors"):
            read_weights(path)


@pytest.mark.parametrize("depth", [100, 3000, 200_000])
def test_nested_headers_are_refused(path, depth):
    nested = "[" * depth + "]" * depth
    for text in (nested, f'{{"digest": "", "spec": {{}}, "training": {nested}}}'):
        path.write_bytes(save({"x": torch.ones(2)}, {"medzoo": text}))
        with pytest.raises(WeightsError, match=r"model\.safetensors"):
            create_model(path)
    raw = b'{"a": ' + nested.encode() + b"}"
    path.write_bytes(len(raw).to_bytes(8, "little") + raw)
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        create_model(path)
