"""Prediction sets in the browser are those of Python."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import medzoo
from medzoo.inference.conformal import named_sets

SCRIPT = Path(medzoo.__file__).parent / "web" / "browser" / "sets.js"
CASES = [
    ("breastmnist", medzoo.ConformalSpec("lac", 0.9, (0.3,), 99)),
    ("dermamnist", medzoo.ConformalSpec("lac", 0.9, tuple(np.linspace(0.05, 0.6, 7)), 99)),
    ("dermamnist", medzoo.ConformalSpec("aps", 0.9, (0.7,), 99)),
    ("dermamnist", medzoo.ConformalSpec("lac", 0.9, (0.99,), 99)),
    ("chestmnist", medzoo.ConformalSpec("lac", 0.9, (0.8,), 99)),
]


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_browser_gives_the_sets_of_predict(tmp_path):
    cases, expected = [], []
    for seed, (name, conformal) in enumerate(CASES):
        spec = medzoo.ModelSpec.for_data(medzoo.dataset_info(name))
        rng = np.random.default_rng(seed)
        count = spec.num_classes
        values = rng.random((20, count)) if spec.multi_label else rng.dirichlet([0.5] * count, 20)
        expected += named_sets(conformal, torch.from_numpy(values), spec)
        model = {
            "conformal": conformal.to_dict(),
            "classes": spec.class_names,
            "multi_label": spec.multi_label,
        }
        for row in values.tolist():
            ranked = sorted(zip(spec.class_names, row, strict=True), key=lambda pair: -pair[1])
            cases.append([[{"label": k, "probability": p} for k, p in ranked], model])
    (tmp_path / "sets.mjs").write_text(SCRIPT.read_text())
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    (tmp_path / "run.mjs").write_text(
        'import { predictionSet } from "./sets.mjs";'
        'import { readFileSync } from "node:fs";'
        'const cases = JSON.parse(readFileSync("cases.json"));'
        "console.log(JSON.stringify(cases.map((one) => predictionSet(...one))));"
    )
    command = [shutil.which("node"), "run.mjs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == list(map(list, expected))
