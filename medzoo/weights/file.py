"""The weights file: safetensors that carry what is needed to rebuild and feed the model."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from safetensors import SafetensorError

from medzoo.errors import WeightsError
from medzoo.files import regular_file
from medzoo.spec import ModelSpec
from medzoo.weights.digest import HEADER_KEY, digest_in, digest_of, with_digest
from medzoo.weights.header import WeightsConfig
from medzoo.weights.index import weights_index
from medzoo.weights.precision import Precision, full_precision, shapes_in, stored_tensors
from medzoo.weights.safetensors_header import read_safetensors_header, size_of

if TYPE_CHECKING:
    from torch import Tensor

# torch is imported where tensors are read or written: headers are read without it, and quickly.
Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of a network's tensors, by name."""

_MAX_HEADER = 16 << 20  # bytes; parsed JSON takes many times as much
_MAX_FILE = 16 << 30  # bytes; the largest networks of timm take half of it
_BLOCK = 1 << 20  # bytes


def weights_content(
    tensors: Mapping[str, Tensor], config: WeightsConfig, *, precision: Precision = "float32"
) -> bytes:
    """Return the content of a weights file.

    Args:
        tensors: The network's, by name.
        config: What the file says about itself.
        precision: How to store convolution and linear weights; see `stored_tensors`.

    Raises:
        ValueError: If the precision is unknown or cannot store the tensors.
    """
    import torch
    from safetensors.torch import save

    # Copies, because safetensors takes neither tensors that share memory nor channels-last ones.
    plain = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in stored_tensors(tensors, precision).items()
    }
    # One header entry only: safetensors writes several in random order, and the same weights
    # should give the same bytes.
    return with_digest(save(plain, {HEADER_KEY: config.to_json()}))


def with_config(content: bytes, config: WeightsConfig) -> bytes:
    """Return the content of a weights file that says something else about itself.

    Args:
        content: The file, verified.
        config: What it is to say. The tensors stay as they are stored.
    """
    from safetensors.torch import load, save

    return with_digest(save(load(content), {HEADER_KEY: config.to_json()}))


def read_config(
    path: str | Path, sha256: str | None = None, content: bytes | None = None
) -> WeightsConfig:
    """Read what a weights file says about itself, and verify all of the file.

    Args:
        path: The file.
        sha256: Expected checksum of the file. By default, it must have the digest that its header
            states, or be one of the published files.
        content: The file, if it has been read already; the path is then its name in errors.

    Raises:
        WeightsError: If it cannot be read, was not written by medzoo, or was changed since.
    """
    with _opened(path) if content is None else io.BytesIO(content) as stream:
        header = _read_header(path, stream)
        _verify(path, header.content, iter(partial(stream.read, _BLOCK), b""), sha256)
    return header.config


def read_weights(
    path: str | Path,
    sha256: str | None = None,
    check: Callable[[ModelSpec, Shapes], None] | None = None,
    content: bytes | None = None,
) -> tuple[WeightsConfig, dict[str, Tensor]]:
    """Read and verify a weights file; the bytes that are verified are those that are used.

    Args:
        path: The file.
        sha256: As in `read_config`.
        check: Is given the spec and the tensors' shapes before any tensor is read, and raises
            `ValueError` or `WeightsError` if they do not fit each other.
        content: The file, if it has been read already; the path is then its name in errors.

    Returns:
        What the file says about itself, and the tensors by name; those stored in fewer bits come
        back as float32.

    Raises:
        WeightsError: As `read_config`, or if the file is too large.
    """
    from safetensors.torch import load

    with _opened(path) if content is None else io.BytesIO(content) as stream:
        header = _read_header(path, stream)
        try:
            if check:
                check(header.config.spec, header.shapes)
            _ = header.config.ood_detector  # made here, where an error names the file
        except (TypeError, ValueError, WeightsError) as error:
            raise WeightsError(f"weights file {path} cannot be loaded: {error}") from error
        content = _content(path, stream)
    length = len(header.content)
    if content[:length] != header.content:
        raise WeightsError(f"{path} was replaced while it was read; try again")
    _verify(path, header.content, [memoryview(content)[length:]], sha256)
    try:
        stored = load(content)
        del content  # before tensors in fewer bits grow to float32
        return header.config, full_precision(stored)
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{path} is damaged ({error}); fetch it again") from error


def read_content(path: str | Path) -> bytes:
    """Read a weights file as it is, to verify and use the same bytes.

    Args:
        path: The file.

    Raises:
        WeightsError: If it cannot be read, or is too large.
    """
    with _opened(path) as stream:
        return _content(path, stream)


def _content(path: str | Path, stream: BinaryIO) -> bytes:
    size = size_of(stream)
    if size > _MAX_FILE:
        raise WeightsError(f"{path} is {size:,} bytes, expected at most {_MAX_FILE:,}")
    stream.seek(0)
    return stream.read(size)


@dataclass(frozen=True)
class _Header:
    """The beginning of a weights file, up to its tensors.

    Attributes:
        content: As it is in the file.
        config: What it says about the model.
        shapes: What it says about the tensors.
    """

    content: bytes
    config: WeightsConfig
    shapes: Shapes


def _read_header(path: str | Path, stream: BinaryIO) -> _Header:
    """Read the header, which ends where the tensors begin."""
    try:
        content, values = read_safetensors_header(stream, _MAX_HEADER)
        text = values.pop("__metadata__", {}).get(HEADER_KEY)
        shapes = {name: tuple(value["shape"]) for name, value in values.items()}
        types = {str(value["dtype"]) for value in values.values()}
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise WeightsError(
            f"weights file {path} is not a readable safetensors file ({error}); "
            "delete it and fetch it again"
        ) from error
    if not isinstance(text, str):
        raise WeightsError(
            f"{path} is a safetensors file without a medzoo configuration; load its tensors into "
            "your own model with safetensors.torch.load_model"
        )
    try:
        config = WeightsConfig.from_json(text)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} holds a configuration that this version of medzoo cannot read ({error}); "
            "fetch the file again or update medzoo"
        ) from error
    precision: Precision = "int8" if "I8" in types else "float16" if "F16" in types else "float32"
    return _Header(content, replace(config, precision=precision), shapes_in(shapes))


def _verify(
    path: str | Path, header: bytes, rest: Iterable[bytes | memoryview], sha256: str | None
) -> None:
    stated = digest_in(header)
    if sha256 is None and stated:
        if digest_of(header, rest) != stated:
            raise WeightsError(
                f"{path} is damaged or was changed: its content does not have the digest that its "
                "header states. Fetch it again, or write it again with medzoo.save_weights"
            )
        return
    digest = hashlib.sha256(header)
    for block in rest:
        digest.update(block)
    found = digest.hexdigest()
    if sha256 is None and found not in {entry.sha256 for entry in weights_index().values()}:
        raise WeightsError(
            f"{path} states no digest and is not one of the published files, so damage to it would "
            "go unnoticed: it was changed, or written by an early version of medzoo. Fetch it "
            "again; or, if you trust it, load its tensors (safetensors.torch.load_file) into a "
            "model of medzoo.create_model and write that with medzoo.save_weights"
        )
    if sha256 not in (None, found):
        raise WeightsError(
            f"{path} is damaged or was replaced: its sha256 is {found}, expected {sha256}. "
            "Delete it and try again, or reinstall medzoo if the file is part of the package"
        )


@contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    try:
        with regular_file(path).open("rb") as stream:
            yield stream
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} does not exist; check the path") from error
    except (OSError, MemoryError) as error:
        raise WeightsError(
            f"weights file {path} cannot be read ({error or 'it does not fit into memory'})"
        ) from error
