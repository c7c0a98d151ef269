"""`create_model`: from a name to a model that fits a data set, trained or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.layers import PatchEmbed
from timm.models import is_model, load_pretrained
from torch import nn

from medzoo.datasets import Dataset, DatasetInfo, dataset_info
from medzoo.errors import WeightsError, unknown_name
from medzoo.models._base import Classifier
from medzoo.models._constructor_args import building_args, constructor_args
from medzoo.models._registry import ARCHITECTURES
from medzoo.models._small_stem import use_small_stem
from medzoo.transforms import transform_config
from medzoo.weights import (
    WeightsConfig,
    find_entry,
    locate_named,
    locate_weights,
    read_config,
    read_tensors,
    weights_index,
)
from medzoo.weights.hub import reason, run_with_timeout, time_limit

TIMM_PREFIX = "timm/"
LARGEST_SMALL_IMAGE = 64
"""Up to this height and width timm's networks get a stem that does not shrink the image."""
_BUILD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a constructor raises when it is given arguments of the wrong kind."""


def list_models(pretrained: bool = False) -> list[str]:
    """List medzoo's architectures, or the checkpoints that exist.

    Any architecture of timm's can be had as well, as ``"timm/<name>"``; `timm.list_models` lists
    those.

    Args:
        pretrained: List published checkpoints (``"architecture.dataset"``) instead.

    Returns:
        The names, sorted.
    """
    return sorted(weights_index()) if pretrained else list(ARCHITECTURES)


def create_model(
    name: str | Path,
    dataset: str | DatasetInfo | Dataset | None = None,
    pretrained: bool = False,
    *,
    size: int | None = None,
    num_classes: int | None = None,
    in_chans: int | None = None,
    features_only: bool = False,
    **model_args: Any,
) -> Classifier:
    """Create a model that fits a data set.

    Args:
        name: An architecture (``"advanced_cnn"``), a checkpoint (``"advanced_cnn.dermamnist"``),
            a weights file that medzoo wrote (``"best.safetensors"``, always loaded), a repository
            on the Hugging Face Hub with one (``"hf-hub:org/name"``, ``"hf-hub:org/name@revision"``,
            likewise), or any of timm's architectures (``"timm/resnet18"``), which get a stem for
            small images.
        dataset: What the model is for: it decides channels and classes. If it is another one
            than the weights were trained on, the backbone is kept, the stem adapted to the channels,
            and the classifier is new.
        pretrained: Load trained weights: those of the name's tag, else of the data set.
        size: Height and width of the images; by default the weights', the data set's, or 28.
        num_classes: Number of logits, if no data set decides it.
        in_chans: Number of channels, if not the data set's.
        features_only: Return a network that gives the list of the stages' feature maps instead
            of logits, as timm's does.
        **model_args: The architecture's own arguments, e.g. ``drop_rate=0.2``.

    Returns:
        The model, in evaluation mode if pretrained, channels last in memory. It carries `dataset` (a `DatasetInfo` or
        None), timm's `pretrained_cfg` (input size, mean, std), which
        `medzoo.create_transform` reads, and the `temperature` that was stored with the weights
        (1.0 where the classifier is new) and their `licence`.

    Raises:
        ValueError: If a name is unknown, or `num_classes` contradicts the data set.
        WeightsError: If there are no such weights, their file is missing or damaged, or they do
            not fit the model that the other arguments ask for.
    """
    architecture, config, tensors = _resolve(str(name), dataset, pretrained)
    target = _target(dataset, config)
    if target and num_classes not in (None, target.num_classes):
        if dataset is not None:
            raise ValueError(
                f"num_classes={num_classes!r} contradicts {target.title}, which has "
                f"{target.num_classes} classes; give one of the two"
            )
        target = None  # the classes of the weights' own data set no longer name the logits
    if num_classes is None:
        num_classes = target.num_classes if target else (config.num_classes if config else None)
    if in_chans is None:
        in_chans = target.channels if target else (config.input_size[0] if config else None)
    if size is None:
        own = dataset.size if isinstance(dataset, Dataset) else None
        size = own or (config.input_size[1] if config else 28)
    stored = constructor_args(config) if config else {}
    kwargs = stored | model_args
    if num_classes is not None:
        kwargs["num_classes"] = num_classes
    if in_chans is not None:
        kwargs["in_chans"] = in_chans
    if features_only:
        kwargs["features_only"] = True
    try:
        if architecture.startswith(TIMM_PREFIX):
            model = _create_timm(architecture, size, pretrained, config, tensors, kwargs)
        else:
            model = _create_own(architecture, config, tensors, kwargs)
    except _BUILD_ERRORS as error:
        if config is None or model_args:
            raise  # the caller's arguments may be at fault
        raise WeightsError(
            f"{name} says {architecture} is built with {kwargs}, which it cannot be "
            f"({type(error).__name__}: {error}); fetch the file again or update medzoo"
        ) from error
    is_kept = config is not None and getattr(model, "num_classes", None) == config.num_classes
    if config and target and not features_only and not _same_classes(target, config.dataset):
        model.reset_classifier(model.num_classes)  # type: ignore[operator]
        is_kept = False
    # The layout of its inputs. Otherwise every call, even for one image, lays all weights out anew.
    model = model.to(memory_format=torch.channels_last)
    classifier = cast(Classifier, model)
    recorded = stored | building_args(architecture, model_args)
    _describe(classifier, architecture, recorded, target, config, in_chans, size)
    classifier.temperature = config.temperature if config and is_kept else 1.0
    classifier.licence = config.licence if config else ""
    return classifier.eval() if pretrained or tensors else classifier


def architecture_of(name: str | Path) -> str:
    """Return the architecture that a name means, as in `create_model`.

    Args:
        name: An architecture, a checkpoint, a weights file, a repository on the Hub, or a name
            of timm's.

    Raises:
        WeightsError: If it is a weights file that cannot be had or read.
    """
    text = str(name)
    path = locate_named(text)
    if path is not None:
        return read_config(path).architecture
    return text if text.startswith(TIMM_PREFIX) else text.partition(".")[0]


def bind_to_dataset(model: Classifier, data: Dataset) -> None:
    """Make a model remember the data it is about to be trained on.

    Its `dataset`, input size and normalisation (the training split's mean and standard
    deviation) become those of the data; its temperature becomes 1.0, as logits will change.

    Args:
        model: Any classifier; its weights are not touched.
        data: The training data.
    """
    expected = transform_config(data)
    model.dataset = replace(data.info, mean=expected.mean, std=expected.std)
    model.temperature = 1.0
    cfg: dict[str, Any] = dict(getattr(model, "pretrained_cfg", None) or {})
    cfg |= {
        "input_size": (expected.channels, expected.size, expected.size),
        "mean": expected.mean,
        "std": expected.std,
        "num_classes": data.info.num_classes,
    }
    model.pretrained_cfg = model.default_cfg = cfg


def _resolve(
    name: str, dataset: str | DatasetInfo | Dataset | None, pretrained: bool
) -> tuple[str, WeightsConfig | None, dict[str, Any] | None]:
    """Find out which architecture is meant, and read the weights that belong to it."""
    path = locate_named(name)
    if path is not None:
        config = read_config(path)
        try:
            _check_known(config.architecture)
        except ValueError as error:
            raise WeightsError(f"{name} cannot be loaded by this version: {error}") from error
        return config.architecture, config, read_tensors(path)
    if name.startswith(TIMM_PREFIX):
        _check_known(name)
        return name, None, None
    architecture, _, tag = name.partition(".")
    _check_known(architecture)
    own = [entry for entry in weights_index() if entry.startswith(f"{architecture}.")]
    if not pretrained:
        if tag:
            raise ValueError(
                f"create_model({name!r}) names trained weights but pretrained=False; "
                f"say pretrained=True, or create_model({architecture!r}, dataset={tag!r}) "
                "for an untrained model"
            )
        return architecture, None, None
    if not tag:
        if dataset is None:
            raise ValueError(
                f"create_model({name!r}, pretrained=True) does not say which weights; name them. "
                f"Published for it: {', '.join(own) or 'none'}"
            )
        info = dataset.info if isinstance(dataset, Dataset) else dataset
        tag = info if isinstance(info, str) else info.name
    path = locate_weights(find_entry(architecture, tag))
    return architecture, read_config(path), read_tensors(path)


def _check_known(architecture: str) -> None:
    if not architecture.startswith(TIMM_PREFIX):
        if architecture not in ARCHITECTURES:
            raise unknown_name("model", architecture, ARCHITECTURES)
        return
    name = architecture.removeprefix(TIMM_PREFIX)
    if not is_model(name.split(".")[0]):
        raise unknown_name("timm architecture", name, timm.list_models())
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = timm.list_pretrained(f"{name.split('.')[0]}.*")
        raise unknown_name("weights of timm's", name, known) from error


def _target(
    dataset: str | DatasetInfo | Dataset | None, config: WeightsConfig | None
) -> DatasetInfo | None:
    if isinstance(dataset, Dataset):
        expected = transform_config(dataset)
        return replace(dataset.info, mean=expected.mean, std=expected.std)
    if isinstance(dataset, str):
        same = config is not None and config.dataset is not None and config.dataset.name == dataset
        if dataset.endswith(".npz"):
            raise ValueError(
                f"dataset={dataset!r} is a file; open it first and give the data set: "
                "data = medzoo.load_dataset(...), create_model(..., dataset=data)"
            )
        return config.dataset if same and config else dataset_info(dataset)
    return dataset or (config.dataset if config else None)


def _same_classes(one: DatasetInfo, other: DatasetInfo | None) -> bool:
    return other is not None and (one.name, one.classes) == (other.name, other.classes)


def _create_own(
    architecture: str,
    config: WeightsConfig | None,
    tensors: Mapping[str, Any] | None,
    kwargs: dict[str, Any],
) -> nn.Module:
    name = f"medzoo_{architecture}"
    if config is None:
        return timm.create_model(name, **kwargs)
    source = _source(timm.get_pretrained_cfg(name).to_dict(), config, tensors)
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg=source, **kwargs)
    except RuntimeError as error:
        raise WeightsError(
            f"the weights do not fit {architecture} with {kwargs}: {error}"
        ) from error


def _source(
    cfg: Mapping[str, Any], config: WeightsConfig, tensors: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Describe weights as timm does; it adapts the stem and leaves out another set's classifier."""
    return dict(cfg) | {
        "state_dict": dict(tensors or {}),
        "input_size": config.input_size,
        "num_classes": config.num_classes,
    }


def _create_timm(
    architecture: str,
    size: int,
    pretrained: bool,
    config: WeightsConfig | None,
    tensors: Mapping[str, Any] | None,
    kwargs: dict[str, Any],
) -> nn.Module:
    name = architecture.removeprefix(TIMM_PREFIX)
    if (timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()).fixed_input_size:
        kwargs = {"img_size": size} | kwargs
    model: Any
    try:
        if pretrained and tensors is None:
            model = _load_timms(name, kwargs)
        else:
            model = timm.create_model(name, **kwargs)
    except (ArithmeticError, AssertionError) as error:
        raise ValueError(
            f"timm cannot build {name!r} for size={size} with {kwargs}: {error}; give another size, "
            "a multiple of what it divides the image into"
        ) from error
    _check_patches(model, name, size)
    # Weights keep the stem that they were trained with.
    if (config.input_size[1] if config else size) <= LARGEST_SMALL_IMAGE:
        use_small_stem(model)
    if config is not None:
        source = _source(model.pretrained_cfg, config, tensors)
        # All tensors must be used, except for a classifier of other classes.
        classes = getattr(model, "num_classes", config.num_classes)
        channels = kwargs.get("in_chans", config.input_size[0])
        try:
            load_pretrained(model, source, classes, channels)
        except RuntimeError as error:
            raise WeightsError(f"the weights do not fit {name} with {kwargs}: {error}") from error
    return model


def _load_timms(name: str, kwargs: dict[str, Any]) -> nn.Module:
    try:
        return run_with_timeout(
            time_limit(), lambda: timm.create_model(name, pretrained=True, **kwargs)
        )
    except (ArithmeticError, AssertionError, TypeError, ValueError):
        raise  # an argument is wrong, not the Hub
    except Exception as error:  # several HTTP libraries' errors, depending on huggingface_hub
        raise WeightsError(
            f"timm could not load the weights of {name!r}: {reason(error)}"
        ) from error


def _check_patches(model: nn.Module, name: str, size: int) -> None:
    """Tell now what timm would say of the first image: that it is not made of whole patches."""
    embed = getattr(model, "patch_embed", None)
    if not isinstance(embed, PatchEmbed) or embed.strict_img_size or embed.dynamic_img_pad:
        return
    patch = max(embed.patch_size)
    if size % patch:
        raise ValueError(
            f"size={size} is no multiple of {patch}, the size of the patches of {name!r}; give "
            f"size={size + -size % patch}"
        )


def _describe(
    model: Classifier,
    architecture: str,
    model_args: dict[str, Any],
    target: DatasetInfo | None,
    config: WeightsConfig | None,
    in_chans: int | None,
    size: int,
) -> None:
    """Write onto the model what it is, what it is for and how to feed it."""
    cfg = dict(model.pretrained_cfg)
    channels = in_chans or cfg["input_size"][0]
    # What the data tell comes first, then what the weights were trained with.
    normalisations = [(source.mean, source.std) for source in (target, config) if source]
    normalisations += [(cfg["mean"], cfg["std"]), ((0.5,) * channels, (0.5,) * channels)]
    mean, std = next((m, s) for m, s in normalisations if m and s and len(m) == channels)
    cfg |= {
        "input_size": (channels, size, size),
        "mean": mean,
        "std": std,
        "num_classes": getattr(model, "num_classes", 0),
    }
    cfg |= {"crop_pct": 1.0, "state_dict": None}
    model.pretrained_cfg = model.default_cfg = cfg
    model.architecture = architecture
    model.model_args = model_args
    model.dataset = target
