"""Damaged headers of .npz files, and damaged metadata of weights, recipes and exported models."""

from __future__ import annotations

import copy
import io
import json
import math
import zipfile
from typing import Any

import numpy as np

HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': (6, 8, 8), }"
_TOKENS = (
    *("{", "}", "(", ")", "[", "]", "'", '"', '"""', ",", ":", "#", "\\", "\n", "\0", "\xff", " "),
    *("|u1", "<f8", "|O", "|S0", "<U5", "|V0", "<M8[ns]", "('|u1',)", "['a']", "[('a', '|u1')]"),
    *("None", "True", "6", "-1", "0", "10**9", "9" * 30, "9" * 5000, "1e999", "0x7fffffffffffffff"),
    *("(" * 300, "[" * 3000, "-" * 3000, "lambda: 0", "__import__('os')", "descr", "\u2028"),
)

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 1.5, 100_000, 10**30, 10**400, -(10**30), 2**63),
    *(math.nan, math.inf, 1e308, 5e-324),
    *("", "a", "\0", "é" * 300, "timm/vit_tiny_patch16_224", "multi-class", [], {}, [[]]),
    *([0] * 3, [10**30] * 3, ["a"] * 2, {"a": 1}, {"": None}, [None], "9" * 5000),
)


def archive(header: bytes | None = None, key: str = "train_images") -> bytes:
    """Return a small .npz file in MedMNIST's format, with the header of one array replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for split in ("train", "val", "test"):
            for part, array in (
                ("images", np.arange(384, dtype=np.uint8).reshape(6, 8, 8)),
                ("labels", np.arange(6)[:, None] % 2),
            ):
                content = io.BytesIO()
                np.save(content, array)
                data = content.getvalue()
                if header is not None and key == f"{split}_{part}":
                    size = 10 + int.from_bytes(data[8:10], "little")
                    data = header + data[size:]
                file.writestr(f"{split}_{part}.npy", data)
    return buffer.getvalue()


def npy_header(text: str, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return the header of a .npy file with a given description of its array."""
    encoded = (text + "\n").encode("latin1" if version < (3, 0) else "utf8", "replace")
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(encoded).to_bytes(width, "little") + encoded


def damaged_archive(index: int) -> bytes:
    """Return a .npz file with one damaged header; the same index always gives the same file."""
    rng = np.random.default_rng([1, index])
    text = HEADER
    for _ in range(rng.integers(1, 4)):
        start, stop = np.sort(rng.integers(len(text) + 1, size=2))
        if rng.random() < 0.8:
            stop = min(stop, start + rng.integers(3))
        text = text[:start] + str(rng.choice(np.array(_TOKENS, object))) + text[stop:]
        text = text[:9000]  # longer ones are refused by NumPy before they are parsed
    content = bytearray(npy_header(text, ((1, 0), (1, 0), (2, 0), (3, 0))[rng.integers(4)]))
    if rng.random() < 0.2:
        content[rng.integers(len(content))] = rng.integers(256)
    return archive(bytes(content), str(rng.choice(["train_images", "test_labels"])))


def damaged_json(index: int, values: dict[str, Any]) -> str:
    """Return a JSON text with some damage; the same index always gives the same text.

    Args:
        index: Number of the text.
        values: What the text would say without damage.
    """
    rng = np.random.default_rng([2, index])
    changed = copy.deepcopy(values)
    for _ in range(rng.integers(1, 4)):
        _change(changed, rng)
    text = json.dumps(changed)
    kind = rng.integers(12)
    if kind == 0:
        text = text[: rng.integers(len(text))]
    elif kind == 1:
        place = rng.integers(len(text))
        text = text[:place] + str(rng.choice(np.array(_TOKENS, object))) + text[place + 1 :]
    elif kind == 2:
        depth = int(rng.choice([50, 90, 500, 100_000]))
        text = text.replace("{}", "[" * depth + "]" * depth, 1)
    elif kind == 3:
        text = str(rng.choice(["", "null", "[]", "5", '"a"', "{}", "[" * 100_000, "NaN", "{" * 5]))
    return text


def _change(values: Any, rng: np.random.Generator) -> None:
    """Replace, remove or add one value at a random place."""
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        inner = values[key]
        if not (isinstance(inner, dict | list) and inner and rng.random() < 0.8):
            break
        values = inner
    way = rng.random()
    if way < 0.1:
        del values[key]
    elif way < 0.15 and isinstance(values, dict):
        values["other"] = 1
    else:
        values[key] = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
