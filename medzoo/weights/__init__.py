"""Published checkpoints: the index, the file format, finding and verifying.

This package knows files and tensors, not architectures; `medzoo.models` puts them together.
"""

from medzoo.weights.file import (
    WeightsConfig,
    read_config,
    read_tensors,
    save_weights,
    sha256_of,
    write_atomically,
)
from medzoo.weights.find import locate_weights, verify
from medzoo.weights.index import WeightsEntry, find_entry, weights_index

__all__ = [
    "WeightsConfig",
    "WeightsEntry",
    "find_entry",
    "locate_weights",
    "read_config",
    "read_tensors",
    "save_weights",
    "sha256_of",
    "verify",
    "weights_index",
    "write_atomically",
]
