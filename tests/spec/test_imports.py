"""What a model is comes from the index: importing the models opens no weights file."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys

opened = []

def watch(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))

sys.addaudithook(watch)
import medzoo.models
import timm

names = timm.list_models("medzoo_*", pretrained=True)
before = len(opened)
medzoo.create_model("simple_cnn.dermamnist", pretrained=True)
print(json.dumps({"names": names, "imports": opened[:before], "loads": opened[before:]}))
"""


def test_importing_the_models_opens_no_weights_file():
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=root, capture_output=True, text=True, check=True
    )
    found = json.loads(result.stdout)
    assert "medzoo_simple_cnn.dermamnist" in found["names"]
    assert any(path.endswith("index.json") for path in found["imports"])
    assert [path for path in found["imports"] if path.endswith(".safetensors")] == []
    # The file is read once it is needed, so the hook does see such files.
    assert any(path.endswith(".safetensors") for path in found["loads"])
