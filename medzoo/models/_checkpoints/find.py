"""From a name to an architecture and its weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import get_ident
from typing import TypeAlias

import timm
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from medzoo.datasets import Dataset, DatasetInfo, list_datasets
from medzoo.datasets.info import DEFAULT_SIZE
from medzoo.errors import WeightsError, unknown_name
from medzoo.models._pretrained import PREFIX
from medzoo.models._registry import ARCHITECTURES, constructor_args
from medzoo.models._timm import TIMM_PREFIX, check_timm_name, create_timm
from medzoo.spec import ModelSpec
from medzoo.weights import (
    OODDetector,
    Shapes,
    WeightsConfig,
    find_entry,
    load_weights,
    locate_named,
    read_config,
    read_weights,
    weights_index,
)
from medzoo.weights.hub import HUB_PREFIX

_BUILD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a constructor raises if it is given wrong arguments."""
_MAX_DERIVED = 512 << 20  # bytes of buffers that no file contains
_NAMED = 3  # tensors that an error names
_MAX_TENSORS = 10_000  # timm's largest networks have 2,000
_MAX_OTHERS = 500  # parameters of other shapes: those replaced later, or of a network that differs


@dataclass(frozen=True)
class Checkpoint:
    """The architecture and weights that a name stands for.

    Attributes:
        architecture: medzoo's or timm's, the latter with its prefix.
        config: What the weights file says; None without one.
        tensors: Its tensors; None without one.
    """

    architecture: str
    config: WeightsConfig | None = None
    tensors: Mapping[str, Tensor] | None = None

    @property
    def stored(self) -> ModelSpec | None:
        """The spec in the weights file; None without one."""
        return self.config.spec if self.config else None

    @property
    def ood_detector(self) -> OODDetector | None:
        """Its detector of images of another kind; None without one."""
        return self.config.ood_detector if self.config else None

    @classmethod
    def from_file(cls, path: Path, content: bytes | None = None) -> Checkpoint:
        """Read a weights file, once, and verify it.

        Args:
            path: The file.
            content: The file, if it has been read already.

        Raises:
            WeightsError: If it cannot be read, was changed, or does not fit its own network.
        """
        config, tensors = read_weights(path, check=check_fit, content=content)
        check_types(config.spec, tensors)
        return cls(config.spec.architecture, config, tensors)


def find_checkpoint(
    name: str,
    dataset: str | DatasetInfo | Dataset | None,
    pretrained: bool,
    size: int | None = None,
) -> Checkpoint:
    """Find the architecture that a name stands for, and read its weights.

    Args:
        name: As in `create_model`.
        dataset: As in `create_model`; without a tag in the name, it names the weights.
        pretrained: Whether trained weights are wanted.
        size: Size of the images, in pixels; without a tag in the name, it chooses among the
            weights for the data set.

    Raises:
        ValueError: If a name is unknown, or it is unclear which weights are wanted.
        WeightsError: If there are no such weights, or they cannot be found or read.
    """
    path = locate_named(name)
    if path is not None:
        return Checkpoint.from_file(path)
    if name.startswith(TIMM_PREFIX):
        check_architecture(name)
        return Checkpoint(name)
    architecture, _, tag = name.partition(".")
    if architecture not in ARCHITECTURES:
        raise _unknown_model(name)
    if not pretrained:
        if tag:
            find_entry(architecture, tag)  # a name with a typo is not worth any advice
            raise ValueError(
                f"create_model({name!r}) names trained weights but pretrained=False; "
                f"give pretrained=True, or create_model({architecture!r}, dataset={tag!r}) "
                "for an untrained model"
            )
        return Checkpoint(architecture)
    if not tag:
        if dataset is None:
            own = [entry for entry in weights_index() if entry.startswith(f"{architecture}.")]
            raise ValueError(
                f"create_model({name!r}, pretrained=True) does not say which weights; name them. "
                f"Published for it: {', '.join(own) or 'none'}"
            )
        tag = _tag(architecture, dataset, size)
    config, tensors = load_weights(find_entry(architecture, tag))
    return Checkpoint(architecture, config, tensors)


def _tag(architecture: str, dataset: str | DatasetInfo | Dataset, size: int | None) -> str:
    """Return the tag of the weights that were trained on a data set in this size."""
    if isinstance(dataset, Dataset):
        size = size or dataset.size
        dataset = dataset.info
    name = dataset if isinstance(dataset, str) else dataset.name
    tag = name if size in (None, DEFAULT_SIZE) else f"{name}_{size}"
    small = f"{architecture}.{name}"
    if f"{architecture}.{tag}" not in weights_index() and small in weights_index():
        raise WeightsError(
            f"no weights of {architecture} were published for {name} at {size} px; train them with "
            f"medzoo.train({architecture!r}, data), or name those for {DEFAULT_SIZE} px to use "
            f"them at {size} px, which they have not seen: "
            f"create_model({small!r}, pretrained=True, size={size})"
        )
    return tag


def architecture_of(name: str | Path) -> str:
    """Return the architecture that a name stands for, as in `create_model`.

    Args:
        name: An architecture, a checkpoint, a weights file, a repository on the Hub, or a timm
            architecture.

    Raises:
        ValueError: If there is no such architecture.
        WeightsError: If it is a weights file that cannot be found or read.
    """
    text = str(name)
    path = locate_named(text)
    if path is not None:
        return read_config(path).spec.architecture
    architecture = text if text.startswith(TIMM_PREFIX) else text.partition(".")[0]
    if architecture != text and architecture not in ARCHITECTURES:
        raise _unknown_model(text)
    check_architecture(architecture)
    return architecture


def check_architecture(name: str) -> None:
    """Raise an error if an architecture does not exist.

    Args:
        name: medzoo's or timm's, the latter with its prefix.

    Raises:
        ValueError: If it does not; the message lists close matches.
    """
    if name.startswith(TIMM_PREFIX):
        check_timm_name(name)
    elif name not in ARCHITECTURES:
        raise _unknown_model(name)


def check_fit(spec: ModelSpec, shapes: Shapes) -> None:
    """Refuse weights that do not fit the network that is described beside them.

    The network is built without memory for its numbers, so that a few bytes which name a giant
    cost no more than the error.

    Args:
        spec: What the weights file says.
        shapes: The shapes of its tensors.

    Raises:
        ValueError: If the architecture is unknown, or has other tensors, or there are too many.
        WeightsError: If it cannot be built as described.
    """
    check_architecture(spec.architecture)
    if len(shapes) > _MAX_TENSORS:
        raise ValueError(f"it has {len(shapes):,} tensors, expected at most {_MAX_TENSORS:,}")
    kwargs = constructor_args(spec)
    try:
        wanted = network_shapes(spec, shapes)
    except _BUILD_ERRORS as error:
        raise WeightsError(
            f"it says that {spec.architecture} is built with {kwargs!r:.200}, which fails "
            f"({type(error).__name__}: {error}); download the file again or update medzoo"
        ) from error
    if differences := shape_differences(shapes, wanted):
        raise ValueError(
            f"its tensors are not those of {spec.architecture} with {spec.num_classes} classes, "
            f"{spec.input.channels} channels and {kwargs!r:.200}: {differences}"
        )


def check_types(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors whose numbers are of another kind than the network's: loading converts them.

    Args:
        spec: What the weights file says.
        tensors: Its tensors, as `read_weights` returns them.

    Raises:
        WeightsError: If some are whole numbers where the network has others, or the reverse.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name, own in _network_tensors(spec, _counted(shapes)).items():
        found = tensors[name].dtype
        if found != own.dtype and not (found.is_floating_point and own.is_floating_point()):
            raise WeightsError(
                f"the weights file of {spec.architecture} stores {name} as {found}, expected "
                f"{own.dtype}; download the file again"
            )


def shape_differences(shapes: Shapes, wanted: Shapes) -> str:
    """Return in words how the tensors of a file differ from those of a network, or "".

    Args:
        shapes: The shapes in the file.
        wanted: Those in the network.
    """
    wrong = [
        f"{name} is {shapes[name]} instead of {shape}" if name in shapes else f"{name} is missing"
        for name, shape in wanted.items()
        if shapes.get(name) != shape
    ]
    wrong += [f"{name} is unexpected" for name in shapes if name not in wanted]
    more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    return ", ".join(wrong[:_NAMED]) + more


def network_shapes(spec: ModelSpec, shapes: Shapes) -> Shapes:
    """Return the shapes of the tensors of the network that a spec describes.

    Args:
        spec: What the model is.
        shapes: Those that it should have; a network of many others is not built to its end.

    Raises:
        ValueError: If it has many others, or needs much memory for what no file contains.
        Exception: What the constructor raises if it is given wrong arguments.
    """
    tensors = _network_tensors(spec, _counted(shapes))
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


_Counted: TypeAlias = frozenset[tuple[tuple[int, ...], int]]
"""Shapes, and how many tensors have each."""


def _counted(shapes: Shapes) -> _Counted:
    return frozenset(Counter(shapes.values()).items())


@lru_cache(maxsize=16)
def _network_tensors(spec: ModelSpec, expected: _Counted) -> Mapping[str, Tensor]:
    kwargs = constructor_args(spec)
    kwargs |= {"num_classes": spec.num_classes, "in_chans": spec.input.channels}
    with torch.device("meta"), _stopped_unless(expected):
        if spec.architecture.startswith(TIMM_PREFIX):
            network = create_timm(spec.architecture, spec.input.size, False, spec, None, kwargs)
        else:
            network = timm.create_model(f"{PREFIX}{spec.architecture}", **kwargs)
    tensors = network.state_dict()
    derived = sum(t.nbytes for name, t in network.named_buffers() if name not in tensors)
    if derived > _MAX_DERIVED:
        raise ValueError(f"it needs {derived:,} more bytes, expected at most {_MAX_DERIVED:,}")
    return tensors


@contextmanager
def _stopped_unless(expected: _Counted) -> Iterator[None]:
    """Stop a constructor of this thread that creates many parameters of other shapes."""
    left, others, thread = dict(expected), 0, get_ident()

    def register(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal others
        if get_ident() != thread:
            return
        shape = tuple(parameter.shape)
        left[shape] = left.get(shape, 0) - 1
        others += left[shape] < 0
        if others > _MAX_OTHERS:
            raise ValueError(f"more than {_MAX_OTHERS} of its parameters have other shapes")

    handle = register_module_parameter_registration_hook(register)
    try:
        yield
    finally:
        handle.remove()


_EXPORTED = (".onnx", ".pt2")
_OTHER_FILES = (".bin", ".ckpt", ".h5", ".pkl", ".pt", ".pth", ".safetensor")


def _unknown_model(name: str) -> ValueError:
    """Build the error for a name that means no model; it says what was probably meant."""
    suffix = Path(name).suffix.lower()
    if suffix in _EXPORTED:
        return ValueError(
            f"{name!r} is an exported file, which is run and not rebuilt; give the checkpoint or "
            "the .safetensors file that it was made from"
        )
    if suffix in _OTHER_FILES or Path(name).is_file():
        return ValueError(
            f"{name!r} is not a weights file that medzoo wrote; give a .safetensors file (of "
            "medzoo.save_weights or `medzoo train`), or load it into your own model"
        )
    if timm.is_model(name.partition(".")[0]):
        return ValueError(f"unknown model {name!r}; timm's has a prefix: {TIMM_PREFIX + name!r}")
    if name in list_datasets():
        published = [known for known in weights_index() if known.endswith(f".{name}")]
        return ValueError(
            f"{name!r} is a data set, not a model; its checkpoints: "
            f"{', '.join(published) or 'none'}"
        )
    if "/" in name and not name.startswith((".", "/")):
        on_hub = HUB_PREFIX + name.rpartition(":")[2]
        return ValueError(
            f"unknown model {name!r}; give {on_hub!r} for a repository on the Hugging Face Hub, "
            "and for a file its name with .safetensors at the end"
        )
    known = [*ARCHITECTURES, *(weights_index() if "." in name else ())]
    return unknown_name("model", name, known)
