"""Headers of weights files, read and written by hand, in today's format and in the first one."""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save

from medzoo.weights.digest import NO_DIGEST, with_digest


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a file as it is."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["medzoo"])


def write_header(path: Path, header: dict[str, Any]) -> Path:
    """Replace the header of a file, which then has the right digest again."""
    text = json.dumps({"digest": NO_DIGEST} | header | {"digest": NO_DIGEST})
    path.write_bytes(with_digest(save(load_file(path), {"medzoo": text})))
    return path


def first_format(header: dict[str, Any]) -> dict[str, Any]:
    """Return what the first format had instead of a header of today's."""
    spec = header["spec"]
    size = spec["input"]["size"]
    return {
        "architecture": spec["architecture"],
        "num_classes": spec["num_classes"],
        "input_size": [spec["input"]["channels"], size, size],
        "mean": spec["input"]["mean"],
        "std": spec["input"]["std"],
        "model_args": spec["model_args"],
        "dataset": spec["dataset"],
        "training": header["training"],
        "temperature": spec["temperature"],
    }
