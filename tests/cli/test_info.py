"""``medzoo models``, ``datasets`` and ``info``: quick, and short enough to be read."""

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest

import medzoo
from medzoo.cli import main
from medzoo.weights import locate_weights, weights_index

from ..test_import_order import HEAVY

CHECKPOINT = "advanced_cnn.dermamnist"


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def weights_file(name):
    return str(locate_weights(weights_index()[name]))


@pytest.mark.parametrize(
    "command",
    [
        ["--version"],
        ["--help"],
        ["train", "--help"],
        ["predict", "--help"],
        ["models"],
        ["models", "--pretrained"],
        ["datasets"],
        ["info", "dermamnist"],
        ["info", "simple_cnn"],
        ["info", CHECKPOINT],
        ["info", weights_file(CHECKPOINT)],
        ["info", "dermamnits"],
    ],
    ids=lambda command: " ".join(command[:2])[-30:],
)
def test_what_needs_no_pytorch_does_not_import_it(command):
    code = f"""
import sys
sys.argv[1:] = {command}
from medzoo.cli import main
try:
    main()
except SystemExit:
    pass
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = done.stderr.splitlines()[-1]
    # Headers of weights files are read by safetensors, which needs numpy; it takes 0.1 s.
    assert loaded.replace("'numpy'", "") == "[]", done.stderr


def test_models_lists_architectures(capsys):
    assert main(["models"]) == 0
    assert capsys.readouterr().out.split() == medzoo.list_models()


def test_checkpoints_are_listed_with_scores_size_and_licence(capsys):
    assert main(["models", "--pretrained"]) == 0
    lines = capsys.readouterr().out.splitlines()
    entry = weights_index()[CHECKPOINT]
    row = next(line for line in lines if line.startswith(CHECKPOINT)).split()
    test = entry.metrics["test"]
    assert row[1:3] == [f"{test['auc']:.3f}", f"{test['acc']:.3f}"]
    assert f"{entry.bytes / 1e6:.1f}" in row
    assert entry.licence in " ".join(row)
    assert [line.split()[0] for line in lines[1 : 1 + len(weights_index())]] == [*weights_index()]
    assert main(["models", "--pretrained", "--json"]) == 0
    values = {value["name"]: value for value in json.loads(capsys.readouterr().out)}
    assert values[CHECKPOINT]["auc"] == test["auc"]
    assert values["advanced_cnn.medmnist"]["acc"] is None  # a backbone has no scores


def test_data_sets_are_listed_with_counts_and_what_is_on_this_disk(tmp_path, capsys):
    for file in ("breastmnist.npz", "breastmnist_128.npz", "unrelated.npz"):
        (tmp_path / file).touch()
    assert main(["datasets", "--data-root", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines[1:13]}
    assert [*rows] == medzoo.list_datasets()
    assert rows["breastmnist"].split()[4:7] == ["546", "78", "156"]
    assert rows["breastmnist"].endswith("28 128")
    assert rows["dermamnist"].endswith("-")
    assert str(tmp_path) in lines[-1]
    assert main(["datasets", "--data-root", str(tmp_path), "--json"]) == 0
    values = {value["name"]: value for value in json.loads(capsys.readouterr().out)}
    assert values["breastmnist"]["on_disk"] == [28, 128]
    assert len(values) == 12


@pytest.mark.parametrize("name", ["dermamnist", "simple_cnn", CHECKPOINT])
def test_info_as_json_has_everything(name, capsys):
    assert main(["info", name, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["name"] == name
    assert ("cost" in values) == (name != "dermamnist")
    if name == CHECKPOINT:
        assert values["cost"]["parameters"] == values["parameters"]
        assert len(values["teacher"]) == 2
        assert values["high_res"] == {"size": 64, "md5": "94e200f58dee71ca8cd1265b67befb7d"}


def test_a_checkpoint_is_a_card(capsys):
    assert main(["info", CHECKPOINT]) == 0
    card = capsys.readouterr().out
    test = weights_index()[CHECKPOINT].metrics["test"]
    low, high = test["intervals"]["auc"]
    assert len(card.splitlines()) <= 16
    for part in (
        "5,016,015 parameters, 10.2 MB",
        "DermaMNIST (rebuilt)",
        "7: actinic keratoses",
        "28 x 28 pixels, RGB",
        f"AUC {test['auc']:.3f} [{low:.3f}, {high:.3f}]",
        "CC BY-NC 4.0, no commercial use",
        "not for clinical use",
        f'medzoo.create_model("{CHECKPOINT}", pretrained=True)',
        f"medzoo info {CHECKPOINT} --json",
    ):
        assert part in card


def test_a_backbone_has_neither_classes_nor_scores(capsys):
    assert main(["info", "advanced_cnn.medmnist"]) == 0
    card = capsys.readouterr().out
    assert "none (a backbone)" in card
    assert 'medzoo.finetune("advanced_cnn.medmnist", data)' in card
    assert "AUC" not in card


def test_a_weights_file_is_a_card(tmp_path, capsys):
    file = tmp_path / "mine.safetensors"
    shutil.copy(weights_file(CHECKPOINT), file)
    assert main(["info", str(file)]) == 0
    card = capsys.readouterr().out
    assert "DermaMNIST (rebuilt)" in card
    assert "val split" in card
    assert len(card.splitlines()) <= 16
    assert main(["info", str(file), "--json"]) == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert cost["parameters"] == weights_index()[CHECKPOINT].parameters


@pytest.mark.parametrize("recorded", [{"val_auc": 0.9}, {"val_auc": [1], "val_acc": "high"}])
def test_a_card_shows_the_scores_that_a_file_records_and_nothing_else(recorded, tmp_path, capsys):
    path = medzoo.save_weights(
        medzoo.create_model("simple_cnn"), tmp_path / "m.safetensors", training=recorded
    )
    assert main(["info", str(path)]) == 0
    assert ("AUC 0.900" in capsys.readouterr().out) == (recorded["val_auc"] == 0.9)


def test_a_data_set_is_a_card(tmp_path, capsys):
    (tmp_path / "dermamnist_64.npz").touch()
    assert main(["info", "dermamnist", "--data-root", str(tmp_path)]) == 0
    card = capsys.readouterr().out
    assert "7,007 train, 1,003 val, 2,005 test" in card
    assert f"64 ({tmp_path})" in card
    assert "advanced_cnn.dermamnist" in card
    assert "trained on   DermaMNIST (rebuilt)" in card
    assert main(["info", "octmnist", "--data-root", str(tmp_path)]) == 0
    assert "5,443 substitute training images" in " ".join(capsys.readouterr().out.split())
    assert main(["info", "pathmnist", "--data-root", str(tmp_path)]) == 0
    assert "trained on" not in capsys.readouterr().out


@pytest.mark.parametrize("name", medzoo.list_models())
def test_an_architecture_is_a_card_with_its_own_summary(name, capsys):
    assert main(["info", name]) == 0
    card = capsys.readouterr().out
    module = __import__(f"medzoo.models.{name}", fromlist=["x"])
    assert module.__doc__.splitlines()[0] in " ".join(card.split())
    assert f"{name}.dermamnist" in card


def test_a_terminal_that_cannot_show_a_character_shows_its_number():
    done = subprocess.run(
        [sys.executable, "-m", "medzoo", "info", "dermamnist"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert rb"3\xd7600\xd7450" in done.stdout


def test_an_exported_file_is_a_card(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4))
    path = str(medzoo.export(model, tmp_path / "own.onnx").path)
    assert main(["info", path]) == 0
    card = capsys.readouterr().out
    for part in (
        "simple_cnn: exported model, float32",
        "28 x 28 pixels, RGB",
        "not recognised: exported without a detector",
        "not for clinical use",
    ):
        assert part in card
    assert f"medzoo predict {path} image.png" in " ".join(card.split())  # long lines are wrapped
    assert main(["info", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"]["classes"] == list(model.spec.classes)
    (tmp_path / "other.onnx").write_bytes(b"x")
    assert main(["info", str(tmp_path / "other.onnx")]) == 1
    assert "give an .onnx file that medzoo.export wrote" in capsys.readouterr().err


def test_a_folder_is_described_by_another_command(tmp_path, capsys):
    (tmp_path / "my images").mkdir()
    (tmp_path / "own.npz").touch()
    for name in ("my images", "own.npz"):
        assert main(["info", str(tmp_path / name)]) == 1
        path = shlex.quote(str(tmp_path / name))
        assert f"medzoo preview {path}\n" in capsys.readouterr().err
