"""Published checkpoints: the index, the file format, finding and verifying.

This package knows files and tensors, not architectures; `medzoo.models` puts them together.
"""

from medzoo.weights.file import (
    Shapes,
    read_config,
    read_content,
    read_weights,
    weights_content,
)
from medzoo.weights.find import bundled_path, load_weights, locate_named, locate_weights
from medzoo.weights.header import WeightsConfig
from medzoo.weights.index import (
    INDEX,
    WeightsEntry,
    find_entry,
    read_index,
    weights_index,
    write_index,
)
from medzoo.weights.ood import OODDetector
from medzoo.weights.origin import WeightsOrigin, weights_origin
from medzoo.weights.overlap import DIGESTS, provenance_of, sample_digests, warn_if_trained_on
from medzoo.weights.precision import Precision, full_precision

__all__ = [
    "DIGESTS",
    "INDEX",
    "OODDetector",
    "Precision",
    "Shapes",
    "WeightsConfig",
    "WeightsEntry",
    "WeightsOrigin",
    "bundled_path",
    "find_entry",
    "full_precision",
    "load_weights",
    "locate_named",
    "locate_weights",
    "provenance_of",
    "read_config",
    "read_content",
    "read_index",
    "read_weights",
    "sample_digests",
    "warn_if_trained_on",
    "weights_content",
    "weights_index",
    "weights_origin",
    "write_index",
]
