"""`create_model`: from a name to a model that fits a data set, trained or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import timm
from timm.models import is_model
from torch import nn

from medzoo.datasets import Dataset, DatasetInfo, dataset_info
from medzoo.errors import WeightsError, unknown_name
from medzoo.models.base import Classifier
from medzoo.models.small_stem import use_small_stem
from medzoo.weights import (
    WeightsConfig,
    find_entry,
    locate_weights,
    read_config,
    read_tensors,
    weights_index,
)

ARCHITECTURES = ("advanced_cnn", "attention_unet", "efficientnet", "simple_cnn")
TIMM_PREFIX = "timm/"
LARGEST_SMALL_IMAGE = 64
"""Up to this height and width timm's networks get a stem that does not shrink the image."""


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
            a weights file that medzoo wrote (``"best.safetensors"``, always loaded), or any of
            timm's architectures (``"timm/resnet18"``), which get a stem for small images.
        dataset: What the model is for: it decides channels and classes. If it is another one
            than the weights were trained on, the trunk is kept, the stem adapted to the channels,
            and the classifier is new.
        pretrained: Load trained weights: those of the name's tag, else of the data set.
        size: Height and width of the images; by default the weights', the data set's, or 28.
        num_classes: Number of logits, if not the data set's.
        in_chans: Number of channels, if not the data set's.
        features_only: Return a network that gives the list of the stages' feature maps instead
            of logits, as timm's does.
        **model_args: The architecture's own arguments, e.g. ``drop_rate=0.2``.

    Returns:
        The model, in evaluation mode if pretrained. It carries `dataset` (a `DatasetInfo` or
        None) and timm's `pretrained_cfg` (input size, mean, std), which
        `medzoo.create_transform` reads.

    Raises:
        ValueError: If a name is unknown.
        WeightsError: If there are no such weights, or their file is missing or damaged.
    """
    architecture, config, tensors = _resolve(str(name), dataset, pretrained)
    target = _target(dataset, config)
    if num_classes is None:
        num_classes = target.num_classes if target else (config.num_classes if config else None)
    if in_chans is None:
        in_chans = target.channels if target else (config.input_size[0] if config else None)
    if size is None:
        own = dataset.size if isinstance(dataset, Dataset) else None
        size = own or (config.input_size[1] if config else 28)
    model_args = dict(config.model_args if config else {}) | model_args

    kwargs: dict[str, Any] = dict(model_args)
    if num_classes is not None:
        kwargs["num_classes"] = num_classes
    if in_chans is not None:
        kwargs["in_chans"] = in_chans
    if features_only:
        kwargs["features_only"] = True
    if architecture.startswith(TIMM_PREFIX):
        model = _create_timm(architecture, size, pretrained, config, tensors, kwargs)
    else:
        model = _create_own(architecture, config, tensors, kwargs)
    if config and target and not features_only and not _same_classes(target, config.dataset):
        model.reset_classifier(model.num_classes)  # type: ignore[operator]
    classifier = cast(Classifier, model)
    _describe(classifier, architecture, model_args, target, config, in_chans, size)
    return classifier.eval() if pretrained or tensors else classifier


def fit_to_data(model: Classifier, data: Dataset) -> None:
    """Make a model remember the data it is about to be trained on.

    Its `dataset`, input size and normalisation (the training split's mean and standard
    deviation) become those of the data.

    Args:
        model: Any classifier; its weights are not touched.
        data: The training data.
    """
    mean, std = data.mean_std()
    model.dataset = replace(data.info, mean=mean, std=std)
    cfg: dict[str, Any] = dict(getattr(model, "pretrained_cfg", None) or {})
    size = (data.info.channels, data.size, data.size)
    cfg |= {"input_size": size, "mean": mean, "std": std, "num_classes": data.info.num_classes}
    model.pretrained_cfg = model.default_cfg = cfg


def _resolve(
    name: str, dataset: str | DatasetInfo | Dataset | None, pretrained: bool
) -> tuple[str, WeightsConfig | None, dict[str, Any] | None]:
    """Find out which architecture is meant, and read the weights that belong to it."""
    if name.endswith(".safetensors"):
        config = read_config(name)
        return config.architecture, config, read_tensors(name)
    if name.startswith(TIMM_PREFIX):
        if not is_model(name.removeprefix(TIMM_PREFIX).split(".")[0]):
            raise unknown_name(
                "timm architecture", name.removeprefix(TIMM_PREFIX), timm.list_models()
            )
        return name, None, None
    architecture, _, tag = name.partition(".")
    if architecture not in ARCHITECTURES:
        raise unknown_name("model", architecture, ARCHITECTURES)
    if not pretrained:
        if tag and dataset is None:
            raise ValueError(
                f"create_model({name!r}) names trained weights but pretrained=False; "
                f"say pretrained=True, or create_model({architecture!r}, dataset={tag!r}) "
                "for an untrained model"
            )
        return architecture, None, None
    if not tag:
        if dataset is None:
            raise ValueError(
                f"create_model({name!r}, pretrained=True) does not say which weights; "
                f"name the data set, e.g. one of {[n for n in weights_index() if n.startswith(name)]}"
            )
        info = dataset.info if isinstance(dataset, Dataset) else dataset
        tag = info if isinstance(info, str) else info.name
    path = locate_weights(find_entry(architecture, tag))
    return architecture, read_config(path), read_tensors(path)


def _target(
    dataset: str | DatasetInfo | Dataset | None, config: WeightsConfig | None
) -> DatasetInfo | None:
    if isinstance(dataset, Dataset):
        mean, std = dataset.mean_std()
        return replace(dataset.info, mean=mean, std=std)
    if isinstance(dataset, str):
        same = config is not None and config.dataset is not None and config.dataset.name == dataset
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
    # timm adapts the stem to the channels and leaves out a classifier of other classes.
    source = dict(timm.get_pretrained_cfg(name).to_dict())
    source |= {"state_dict": dict(tensors or {}), "input_size": config.input_size}
    source |= {"num_classes": config.num_classes}
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg=source, **kwargs)
    except RuntimeError as error:
        raise WeightsError(
            f"the weights do not fit {architecture} with {kwargs}: {error}"
        ) from error


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
    try:
        model = timm.create_model(name, pretrained=pretrained and tensors is None, **kwargs)
    except OSError as error:
        raise WeightsError(f"timm could not load the weights of {name!r}: {error}") from error
    if size <= LARGEST_SMALL_IMAGE:
        use_small_stem(model)
    if config is not None and tensors is not None:
        model.load_state_dict(dict(tensors))
    return model


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
    mean, std = (0.5,) * channels, (0.5,) * channels
    if target and target.mean and target.std:
        mean, std = target.mean, target.std
    elif config and len(config.mean) == channels:
        mean, std = config.mean, config.std
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
