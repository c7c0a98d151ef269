"""The architecture that CONTRIBUTING.md adds is a working one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

USE = """
from medzoo.models._registry import ARCHITECTURES
from tiny_cnn import TinyCNN

ARCHITECTURES["tiny_cnn"] = TinyCNN

import timm
import torch

assert "medzoo_tiny_cnn" in timm.list_models("medzoo_*")
images = torch.rand(2, 1, 64, 64)
assert medzoo.create_model("tiny_cnn", num_classes=5, in_chans=1)(images).shape == (2, 5)
maps = medzoo.create_model("tiny_cnn", in_chans=1, features_only=True)(images)
assert [tuple(m.shape[1:]) for m in maps] == [(128, 32, 32), (512, 16, 16)]
model = medzoo.create_model("tiny_cnn", num_classes=7, in_chans=3)
assert 0.075e6 < sum(p.numel() for p in model.parameters()) < 0.085e6  # "0.08 M"
"""


@pytest.mark.slow
def test_the_worked_example_works(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    architecture, trial = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "tiny_cnn.py").write_text(architecture)
    first, rest = trial.split("\n", 1)
    (tmp_path / "trial.py").write_text(
        f"{first}\n{USE}\n{rest}\nassert model.architecture == 'tiny_cnn'"
    )
    done = subprocess.run(
        [sys.executable, "trial.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "AUC" in done.stdout
