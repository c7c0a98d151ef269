"""`create_model`: from a name to a model that fits a data set, trained or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from medzoo.datasets import Dataset, DatasetInfo, dataset_info, list_datasets
from medzoo.errors import WeightsError, as_whole
from medzoo.models._base import ImageClassifier
from medzoo.models._build import forget_tensors
from medzoo.models._checkpoints.find import (
    Checkpoint,
    check_fit,
    find_checkpoint,
    network_shapes,
    shape_differences,
)
from medzoo.models._classifier import Classifier, with_spec
from medzoo.models._registry import (
    building_args,
    constructor_args,
    explain_argument,
    network_args,
)
from medzoo.models._stages import check_pooled
from medzoo.models._timm import TIMM_PREFIX, create_timm, weights_source
from medzoo.spec import InputSpec, ModelSpec, find_spec
from medzoo.spec.checks import MAX_CHANNELS, MAX_CLASSES, MAX_SIZE
from medzoo.weights import OODDetector, WeightsConfig


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
            on the Hugging Face Hub that holds one (``"hf-hub:org/name"``, also
            ``"hf-hub:org/name@revision"``; always loaded), or any of timm's architectures
            (``"timm/resnet18"``), which get a stem for small images.
        dataset: What the model is for; it decides channels and classes, and for MedMNIST's sets
            the architecture's arguments (`network_args`), as in training. If the weights were
            trained on another data set, the backbone is kept, the stem is adapted to the channels,
            and the classifier is new.
        pretrained: Load trained weights: those of the name's tag, else of the data set.
        size: Height and width of the images; by default the weights', the data set's, or 28. It
            decides how often they are halved (`network_args`), and which of the data set's weights
            are loaded: those trained on images of 64 pixels are tagged ``"dermamnist_64"``.
        num_classes: Number of logits, if no data set decides it.
        in_chans: Number of channels, if not the data set's.
        features_only: Return a network that gives a list of feature maps, one for each stage,
            instead of logits, as in timm.
        **model_args: The architecture's own arguments, e.g. ``drop_rate=0.2``.

    Returns:
        The model, in evaluation mode if pretrained. Its `spec` says what it is;
        `medzoo.create_transform`, `medzoo.evaluate` and `medzoo.predict` read it. It has the
        temperature that was stored with the weights, unless the classifier is new.

    Raises:
        TypeError: If the architecture has no such argument; the message lists close matches. Or
            if an argument is of the wrong type.
        ValueError: If a name is unknown, a number is out of range, or `num_classes` contradicts the
            data set.
        WeightsError: If there are no such weights, their file is missing or damaged, or they do
            not fit the model that the other arguments describe.
    """
    if size is not None:
        size = as_whole("size", size, 1, MAX_SIZE)
    if num_classes is not None:
        num_classes = as_whole("num_classes", num_classes, 0, MAX_CLASSES)
    if in_chans is not None:
        in_chans = as_whole("in_chans", in_chans, 1, MAX_CHANNELS)
    checkpoint = find_checkpoint(str(name), dataset, pretrained, size)
    plan = _resolve(checkpoint, dataset, size, num_classes, in_chans, features_only, model_args)
    try:
        return _create(plan, pretrained)
    except TypeError as error:
        own = signature(create_model).parameters.keys() - {"name", "model_args"}
        raise explain_argument(error, checkpoint.architecture, own) from error


def load_file(path: Path, content: bytes | None = None) -> tuple[Classifier, WeightsConfig]:
    """Load the model of a weights file together with what the file says, from one reading of it.

    Args:
        path: The file.
        content: The file, if it has been read already.

    Raises:
        WeightsError: If it cannot be read, was changed, or does not load.
    """
    checkpoint = Checkpoint.from_file(path, content)
    assert checkpoint.config is not None
    plan = _resolve(checkpoint, None, None, None, None, False, {})
    return _create(plan, pretrained=True), checkpoint.config


def rebuild(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> Classifier:
    """Build a model from its spec and tensors, as `create_model` does from its file.

    Args:
        spec: What the model is.
        tensors: Its tensors, by name.

    Raises:
        ValueError: If the architecture is unknown, or the tensors are not its.
        WeightsError: If it cannot be built.
    """
    check_fit(spec, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    checkpoint = Checkpoint(spec.architecture, WeightsConfig(spec), tensors)
    return _create(_resolve(checkpoint, None, None, None, None, False, {}), pretrained=False)


def bind_to_dataset(model: nn.Module, data: Dataset) -> Classifier:
    """Give a model the spec of the data that it is about to be trained on.

    Its classes, input size and normalisation (the training split's mean and standard deviation)
    become those of the data; its temperature becomes 1.0, as logits will change, and it has no
    out-of-distribution detector, as features will.

    Args:
        model: Any module that maps images to logits; its weights are not touched.
        data: The training data.

    Returns:
        The model itself.

    Raises:
        ValueError: If the module already has attributes with the names of a classifier's.
    """
    known = find_spec(model)
    spec = ModelSpec.for_data(data, known.architecture if known else "")
    if known:
        spec = replace(spec, model_args=known.model_args, licence=known.licence)
    bound = with_spec(model, spec)
    bound.ood_detector = None
    return bound


@dataclass(frozen=True)
class _Plan:
    """What is to be built.

    Attributes:
        checkpoint: Architecture and weights.
        dataset: What the model is for, or None.
        size: Height (= width) of the images.
        num_classes: Number of logits; None for the architecture's own.
        in_chans: Number of channels; None for the architecture's own.
        features_only: Whether it gives feature maps instead of logits.
        known_args: The architecture's arguments that the weights file gives; without weights,
            those that were chosen for the data set.
        model_args: Those that the caller gives.
    """

    checkpoint: Checkpoint
    dataset: DatasetInfo | None
    size: int
    num_classes: int | None
    in_chans: int | None
    features_only: bool
    known_args: dict[str, Any]
    model_args: dict[str, Any]


def _resolve(
    checkpoint: Checkpoint,
    dataset: str | DatasetInfo | Dataset | None,
    size: int | None,
    num_classes: int | None,
    in_chans: int | None,
    features_only: bool,
    model_args: dict[str, Any],
) -> _Plan:
    """Decide what is built: arguments come first, then the data set, then the weights."""
    stored = checkpoint.stored
    target = _target(dataset, stored)
    if target and num_classes not in (None, target.num_classes):
        if dataset is not None:
            raise ValueError(
                f"num_classes={num_classes!r} contradicts {target.title}, which has "
                f"{target.num_classes} classes; give one of the two"
            )
        target = None  # the classes of the weights' data set no longer name the logits
    if num_classes is None:
        num_classes = target.num_classes if target else (stored.num_classes if stored else None)
    if in_chans is None:
        if stored and target in (None, stored.dataset):
            in_chans = stored.input.channels
        else:
            in_chans = target.channels if target else None
    if size is None:
        own = dataset.size if isinstance(dataset, Dataset) else None
        size = own or (stored.input.size if stored else 28)
    if stored:
        known_args = constructor_args(stored)
    else:
        known_args = network_args(checkpoint.architecture, target.name if target else "", size)
    return _Plan(
        checkpoint, target, size, num_classes, in_chans, features_only, known_args, model_args
    )


def _target(
    dataset: str | DatasetInfo | Dataset | None, stored: ModelSpec | None
) -> DatasetInfo | None:
    known = stored.dataset if stored else None
    if isinstance(dataset, Dataset):
        if stored and _is_part(dataset, stored):
            return known  # the weights keep their own normalisation
        expected = InputSpec.for_data(dataset)
        return replace(dataset.info, mean=expected.mean, std=expected.std)
    if isinstance(dataset, str):
        if dataset.endswith(".npz"):
            raise ValueError(
                f"dataset={dataset!r} is a file; open it first and give the data set: "
                "data = medzoo.load_dataset(...), create_model(..., dataset=data)"
            )
        return known if known and known.name == dataset else dataset_info(dataset)
    return dataset or known


def _same_classes(dataset: DatasetInfo, stored: ModelSpec) -> bool:
    known = stored.dataset
    return known is not None and (known.name, known.classes) == (dataset.name, dataset.classes)


def _is_part(data: Dataset, stored: ModelSpec) -> bool:
    """Return whether images are of the data set that the weights were trained on, or a part of it.

    Only MedMNIST's names say so: data sets of one's own may share a name.
    """
    info = data.info
    is_known = info.name in list_datasets() and _same_classes(info, stored)
    return is_known and (info.channels, info.task) == (stored.input.channels, stored.task)


def _create(plan: _Plan, pretrained: bool) -> Classifier:
    """Build the network, load its weights, and give it its spec."""
    checkpoint, stored = plan.checkpoint, plan.checkpoint.stored
    model = _build(plan, pretrained)
    forget_tensors(model)
    if not stored:
        _check_reduction(model, plan.size)
    has_logits = not plan.features_only
    if isinstance(model, ImageClassifier):
        check_pooled(getattr(model.head.global_pool, "pool_type", None), model.num_classes)
    is_kept = bool(stored and has_logits and model.num_classes == stored.num_classes)
    if stored and plan.dataset and has_logits and not _same_classes(plan.dataset, stored):
        model.reset_classifier(model.num_classes)  # type: ignore[operator]
        is_kept = False
    classifier = with_spec(model, _spec(plan, model, is_kept))
    # Other images or arguments give other features.
    if is_kept and stored and classifier.spec.input == stored.input and not plan.model_args:
        classifier.ood_detector = _checked(checkpoint.ood_detector, classifier)
    return classifier.eval() if pretrained or checkpoint.tensors else classifier


def _checked(detector: OODDetector | None, model: Any) -> OODDetector | None:
    """Refuse a detector of other features than those of a model's feature maps."""
    channels = sum(level["num_chs"] for level in getattr(model, "feature_info", ()))
    if detector is not None and detector.features != channels:
        raise WeightsError(
            f"the weights' out-of-distribution detector has {detector.features} features, but the "
            f"feature maps of {model.architecture} have {channels} channels; download the file "
            "again"
        )
    return detector


def _build(plan: _Plan, pretrained: bool) -> nn.Module:
    """Build the network and load its weights."""
    checkpoint = plan.checkpoint
    architecture, stored, tensors = checkpoint.architecture, checkpoint.stored, checkpoint.tensors
    _check_overrides(plan)
    kwargs = plan.known_args | plan.model_args
    if plan.num_classes is not None:
        kwargs["num_classes"] = plan.num_classes
    if plan.in_chans is not None:
        kwargs["in_chans"] = plan.in_chans
    if plan.features_only:
        kwargs["features_only"] = True
    if architecture.startswith(TIMM_PREFIX):
        return create_timm(architecture, plan.size, pretrained, stored, tensors, kwargs)
    return _create_own(checkpoint, kwargs)


def _check_overrides(plan: _Plan) -> None:
    """Refuse arguments of the caller that change layers which the weights should fill.

    timm fills what it can if the classifier is new, and leaves the other layers random.
    """
    stored, tensors = plan.checkpoint.stored, plan.checkpoint.tensors
    if stored is None or tensors is None or not plan.model_args:
        return
    given = building_args(stored.architecture, plan.model_args)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = network_shapes(replace(stored, model_args=plan.known_args | given), shapes)
    if differences := shape_differences(shapes, wanted):
        raise WeightsError(
            f"the weights do not fit {stored.architecture} with {given}: {differences}"
        )


def _create_own(checkpoint: Checkpoint, kwargs: dict[str, Any]) -> nn.Module:
    name, stored = f"medzoo_{checkpoint.architecture}", checkpoint.stored
    if stored is None or checkpoint.tensors is None:
        return timm.create_model(name, **kwargs)
    source = weights_source(timm.get_pretrained_cfg(name).to_dict(), stored, checkpoint.tensors)
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg=source, **kwargs)
    except RuntimeError as error:
        raise WeightsError(
            f"the weights do not fit {checkpoint.architecture} with {kwargs}: {error}"
        ) from error


def _check_reduction(model: nn.Module, size: int) -> None:
    """Refuse an untrained network that would go on halving a map of a single position."""
    if not isinstance(model, ImageClassifier):
        return
    reduction = model.feature_info[-1]["reduction"] if model.feature_info else 1
    if reduction >= 2 * size:
        raise ValueError(
            f"the strides reduce images {reduction}-fold, which leaves nothing of "
            f"{size} x {size} pixels before the last of them; give fewer or smaller strides (in "
            "simple_cnn and attention_unet: fewer widths, each halves once), or larger images "
            "(size=)"
        )


def _spec(plan: _Plan, model: nn.Module, is_kept: bool) -> ModelSpec:
    """Return the spec of what was built."""
    stored, architecture = plan.checkpoint.stored, plan.checkpoint.architecture
    cfg: dict[str, Any] = vars(model)["pretrained_cfg"]
    channels = plan.in_chans or cfg["input_size"][0]
    # Statistics of other data come first, then those that the weights were trained with.
    normalisations = [(info.mean, info.std) for info in (plan.dataset,) if info]
    if stored:
        is_own = plan.dataset in (None, stored.dataset)
        normalisations.insert(0 if is_own else 1, (stored.input.mean, stored.input.std))
    normalisations += [(cfg["mean"], cfg["std"]), ((0.5,) * channels, (0.5,) * channels)]
    mean, std = next((m, s) for m, s in normalisations if m and s and len(m) == channels)
    num_classes = 0 if plan.features_only else int(model.num_classes)  # type: ignore[arg-type]
    has_classes = plan.dataset is not None and plan.dataset.num_classes == num_classes
    expected = InputSpec(channels, plan.size, tuple(mean), tuple(std))
    # Other images or arguments give other probabilities than those that sets were fitted to.
    is_as_fitted = bool(stored and is_kept and stored.input == expected and not plan.model_args)
    return ModelSpec(
        architecture=architecture,
        input=expected,
        num_classes=num_classes,
        model_args=plan.known_args | building_args(architecture, plan.model_args),
        dataset=plan.dataset if has_classes else None,
        temperature=stored.temperature if stored and is_kept else 1.0,
        licence=stored.licence if stored else "",
        conformal=stored.conformal if stored and is_as_fitted else None,
        selective=stored.selective if stored and is_as_fitted else None,
    )
