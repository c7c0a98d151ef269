"""Weights files with damage of three kinds: to their bytes, and to what a right digest covers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import torch
from safetensors.torch import save

import medzoo
from medzoo.inference.ood import fit_gaussian
from medzoo.weights import WeightsConfig, read_weights, weights_content
from medzoo.weights.digest import NO_DIGEST, digest_in, with_digest
from tests.fuzz.headers import damaged_json
from tests.fuzz.readers import Case


def cases() -> dict[str, Case]:
    """Return all kinds of weights files by name."""
    data = medzoo.synthetic("dermamnist", n_train=8, n_val=8, n_test=8)
    torch.manual_seed(0)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    sets = medzoo.ConformalSpec("aps", 0.9, (0.5,) * 7, 40)
    risks = medzoo.SelectiveSpec((0.0, 0.7), (0.4, 0.1), 0.95, 40)
    model.spec = replace(model.spec, conformal=sets, selective=risks)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    levels = sum(level["num_chs"] for level in model.feature_info)
    features = torch.randn(50, levels, generator=torch.Generator().manual_seed(0))
    model.ood_detector = fit_gaussian(features)
    config = WeightsConfig.of(model, {"seed": 0, "recipe": {}})
    files = [
        weights_content(tensors, config),
        weights_content(tensors, config, precision="float16"),
        weights_content(tensors, config, precision="int8"),
    ]
    header = json.loads(config.to_json())

    def damaged_header(number: int) -> bytes:
        content = save(tensors, {"medzoo": damaged_json(number, header)})
        return with_digest(content) if digest_in(content) == NO_DIGEST else content

    def damaged_bytes(number: int) -> bytes:
        rng = np.random.default_rng([3, number])
        content = bytearray(files[rng.integers(len(files))])
        place, other = (int(value) for value in rng.integers(len(content), size=2))
        way = rng.integers(4)
        if way == 0:
            content[place] ^= 1 << int(rng.integers(8))
        elif way == 1:
            del content[place:]
        elif way == 2:
            del content[min(place, other) : max(place, other) + 1]
        else:
            content[place:place] = rng.bytes(int(rng.integers(1, 9)))
        return bytes(content)

    def other_tensors(number: int) -> bytes:
        rng = np.random.default_rng([4, number])
        changed = dict(tensors)
        name = str(rng.choice(sorted(changed)))
        tensor = changed.pop(name)
        way = rng.integers(5)
        if way == 0:
            changed[name + str(rng.choice(["..scale", ".", "x"]))] = tensor
        elif way == 1:
            changed[name] = torch.zeros([int(n) for n in rng.integers(0, 5, rng.integers(0, 5))])
        elif way == 2:
            changed |= {name: tensor.to(torch.int8), name + "..scale": torch.ones(1)}
        elif way == 3:
            changed[name] = tensor[None]
        return with_digest(save(changed, {"medzoo": config.to_json()}))

    refused = (medzoo.WeightsError,)
    return {
        "weights header": Case(damaged_header, medzoo.create_model, refused, ".safetensors"),
        "weights bytes": Case(damaged_bytes, read_weights, refused, ".safetensors"),
        "weights tensors": Case(other_tensors, medzoo.create_model, refused, ".safetensors"),
    }
