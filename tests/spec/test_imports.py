"""What timm knows of the models after an import of medzoo, for which no weights file is opened."""

import json
import subprocess
import sys
from pathlib import Path

import medzoo

SCRIPT = """
import json, sys

opened = []

def watch(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))

sys.addaudithook(watch)
import medzoo, timm

names = timm.list_models("medzoo_*", pretrained=True)
before = len(opened)
medzoo.create_model("simple_cnn.dermamnist", pretrained=True)
print(json.dumps({"names": names, "imports": opened[:before], "loads": opened[before:]}))
"""


def test_timm_knows_the_models_and_no_weights_file_is_opened_for_it():
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=root, capture_output=True, text=True, check=True
    )
    found = json.loads(result.stdout)
    listed = [f"medzoo_{name}" for name in medzoo.list_models(pretrained=True)]
    assert sorted(found["names"]) == sorted(listed)
    assert result.stderr == ""
    assert any(path.endswith("index.json") for path in found["imports"])
    assert [path for path in found["imports"] if path.endswith(".safetensors")] == []
    # The file is read once it is needed, so the hook does see such files.
    assert any(path.endswith(".safetensors") for path in found["loads"])
