"""`save_weights`: a weights file is written only if it gives the same model again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medzoo.errors import WeightsError
from medzoo.files import check_json, write_atomically
from medzoo.models._checkpoints.find import network_shapes, shape_differences
from medzoo.models._classifier import Classifier
from medzoo.models._factory import rebuild
from medzoo.randomness import own_generator
from medzoo.spec import ModelSpec, network_of
from medzoo.weights import Precision, WeightsConfig, full_precision, weights_content

_IMAGES = 2  # that the model and the loaded one are compared on
_WRAPPED = ("_orig_mod", "module")
"""What torch.compile and DataParallel call the module that they wrap."""


def save_weights(
    model: nn.Module,
    path: str | Path,
    *,
    training: Mapping[str, Any] | None = None,
    precision: Precision = "float32",
) -> Path:
    """Write a model's weights and configuration into one safetensors file, atomically.

    Before anything is written, the model is built again from the configuration and loaded with
    the weights, and both are compared on two images of noise.

    Args:
        model: A model that `medzoo.create_model` made; `torch.compile` and other wrappers around
            it, or around parts of it, are looked through.
        path: The file to write, ``*.safetensors``.
        training: How it was trained, kept in the file's header: text, finite numbers, booleans,
            None, and lists and dictionaries of these, by name.
        precision: How to store convolution and linear weights: ``"float32"`` as they are,
            ``"float16"`` in half the space, or ``"int8"`` in a quarter of it, rounded to multiples
            of 1/127 of the largest weight of each output channel. Everything else, such as
            normalisation layers, is stored as it is. Loaded weights are always float32.

    Returns:
        The path.

    Raises:
        TypeError: If the model does not say what it is, `path` is not a path, or `training` is not
            a mapping or has a value that JSON cannot hold.
        ValueError: If a number in `training` is not finite; the file would not load, or load as
            another network, because layers of the model were changed; the file's name does not end
            in ``.safetensors``; or the precision is unknown or cannot store the weights.

    Example:
        >>> from medzoo import create_model
        >>> model = create_model("simple_cnn", dataset="dermamnist")
        >>> path = save_weights(model, "own.safetensors")
        >>> model = create_model(path)
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path={path!r:.80} is of type {type(path).__name__}, expected a path")
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"weights file {str(path)!r} must be named *.safetensors")
    if not isinstance(training, Mapping | None):
        raise TypeError(f"training={training!r:.80} is not a mapping from names to values")
    check_json("training", dict(training or {}))
    config = WeightsConfig.of(model, training)
    tensors = check_loads_again(model, config.spec)
    content = weights_content(tensors, config, precision=precision)
    return write_atomically(path, content, "the weights")


def check_loads_again(model: nn.Module, spec: ModelSpec) -> dict[str, Tensor]:
    """Build a model again from its spec, load its weights, and compare the logits of both.

    Args:
        model: The model; wrappers are looked through. It is left as it was.
        spec: What its weights file would say.

    Returns:
        The network's tensors, by the names that they have without wrappers.

    Raises:
        ValueError: If it cannot be built or loaded, or gives other logits. The message says what
            differs.
    """
    network: nn.Module = network_of(model)
    tensors = _tensors_of(network)
    stored = full_precision({name: tensor.cpu() for name, tensor in tensors.items()})
    with own_generator(0):  # saving must not change what is drawn afterwards, nor in other threads
        try:
            loaded = rebuild(spec, stored)
        except (TypeError, ValueError, WeightsError) as error:
            raise _not_loadable(spec, _difference_of_tensors(tensors, spec, error)) from error
    _use_tensors(loaded, tensors)
    found, expected = (_outputs(one, spec) for one in (loaded, network))
    if not all(map(_is_close, found, expected)):
        raise _not_loadable(spec, _difference_of_layers(network, loaded))
    return tensors


def _tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's tensors by name, without the names of wrappers around its parts."""
    tensors = network.state_dict()
    for name, module in reversed(list(network.named_modules())):
        children = list(module._modules)
        if len(children) != 1 or children[0] not in _WRAPPED:
            continue
        outer = f"{name}." if name else ""
        inner = f"{outer}{children[0]}."
        tensors = {
            outer + key.removeprefix(inner) if key.startswith(inner) else key: tensor
            for key, tensor in tensors.items()
        }
    return tensors


def _use_tensors(loaded: Classifier, tensors: Mapping[str, Tensor]) -> None:
    """Let a loaded model compute with the original tensors: their precision, on their device."""
    first = next((t for t in tensors.values() if t.is_floating_point()), None)
    if first is not None:
        loaded.to(first.device, first.dtype)  # also what no file contains
    loaded.load_state_dict(tensors, assign=True)


@torch.no_grad()
def _outputs(network: Any, spec: ModelSpec) -> list[Tensor]:
    """Return logits of noise in evaluation mode, and their features if they say nothing."""
    example = next((t for t in network.parameters() if t.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(_IMAGES, *spec.input.shape, generator=generator).to(example)
    modes = [(module, module.training) for module in network.modules()]
    try:
        if any(training for _, training in modes):
            network.eval()
        outputs = [network(images)]
        if torch.equal(outputs[0][0], outputs[0][1]):  # a classifier that starts with zeros
            outputs.append(network.forward_head(network.forward_features(images), pre_logits=True))
        return outputs
    finally:
        for module, training in modes:
            if module.training != training:
                module.training = training


def _is_close(one: Tensor, other: Tensor) -> bool:
    """Whether outputs are the same up to rounding, which differs for compiled layers."""
    if one.shape != other.shape:
        return False
    scale = other.abs().max().nan_to_num(posinf=0.0).item()
    tolerance = 0.1 * torch.finfo(other.dtype).eps ** 0.5
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _not_loadable(spec: ModelSpec, difference: str) -> ValueError:
    return ValueError(
        f"a weights file of this model could not be loaded again as {spec.architecture!r}: "
        f"{difference}. If it is an argument of the architecture, give it to "
        "medzoo.create_model; otherwise write the tensors alone, safetensors.torch.save_model"
        "(model, path), and load them into a model that was changed in the same way"
    )


def _difference_of_tensors(tensors: Mapping[str, Tensor], spec: ModelSpec, error: Exception) -> str:
    """Say which tensors do not fit the architecture."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        wanted = network_shapes(spec, shapes)
    except Exception:  # whatever the architecture raises: the first error says why
        return _line(error)
    differences = shape_differences(shapes, wanted)
    return differences + _advice(shapes, wanted) if differences else _line(error)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _advice(shapes: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return how to undo a common change of layers."""
    extra = shapes.keys() - wanted.keys()
    if any("parametrizations." in name for name in extra):
        return " (torch.nn.utils.parametrize.remove_parametrizations undoes parametrisations)"
    if any(name.endswith(("_g", "_v")) for name in extra):
        return " (torch.nn.utils.remove_weight_norm undoes weight_norm)"
    changed = {name for name in wanted if shapes.get(name) != wanted[name]} | extra
    if all("head" in name or "fc" in name or "classifier" in name for name in changed):
        return " (for another number of classes, call model.reset_classifier before training)"
    return ""


def _difference_of_layers(network: nn.Module, loaded: nn.Module) -> str:
    """Say which layers make the same tensors give other logits."""
    others = {name: _described(module) for name, module in loaded.named_modules()}
    for name, module in network.named_modules():
        if (found := _described(module)) != others.get(name):
            return f"{name or 'the model'} is {found:.100}, not {others.get(name)!s:.100}"
    return "its layers are the same, but its forward() gives other logits"


def _described(module: nn.Module) -> str:
    """Return a layer as text, without the layers in it."""
    if not module._modules:
        return repr(module)
    return f"{type(module).__name__}({module.extra_repr()})"
