"""The command line, as a user calls it."""

import importlib
import io
import json
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.cli import main
from medzoo.files import sha256_of
from medzoo.weights import read_config
from tests.html.parsed import check_harmless


@pytest.fixture(scope="module")
def own_file(tmp_path_factory, tiny):
    """A made-up data set in medmnist's file format. Do not change it."""
    arrays = {}
    for name, split in tiny.splits.items():
        arrays[f"{name}_images"] = split.images.permute(0, 2, 3, 1).numpy()
        arrays[f"{name}_labels"] = split.labels.numpy().astype(np.uint8)[:, None]
    path = tmp_path_factory.mktemp("data") / "own.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, own_file):
    """A weights file that `medzoo train` made, and what it printed. Do not change it."""
    arguments = ["train", "simple_cnn", "--dataset", str(own_file), "--epochs", "1"]
    output, printed = tmp_path_factory.mktemp("trained") / "out", io.StringIO()
    with redirect_stdout(printed):
        assert main([*arguments, "--output", str(output), "--json"]) == 0
    return json.loads(printed.getvalue())


def test_unknown_name_is_one_line_and_exit_code_1(capsys):
    assert main(["info", "dermamnits"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'dermamnist'" in error


def test_train_refuses_an_unknown_model_before_it_reads_data(monkeypatch, capsys):
    monkeypatch.setattr(medzoo, "load_dataset", None)  # would be an error of another kind
    assert main(["train", "resnet18", "--dataset", "breastmnist"]) == 1
    assert "'timm/resnet18'" in capsys.readouterr().err


def test_wrong_arguments_are_exit_code_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train"])
    assert stopped.value.code == 2
    assert "--dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["trian", "simple_cnn"], "unknown command 'trian'; did you mean 'train'?"),
        (["xyz"], "unknown command 'xyz'; known: models, datasets"),
        (["train", "simple_cnn", "--datset", "x"], "'--datset'; did you mean '--dataset'"),
        (["train", "simple_cnn", "--epoch=3", "--lr", "1"], "'--lr'; see medzoo train --help"),
        (["train", "simple_cnn", "-resume"], "unknown option '-resume'; did you mean '--resume'"),
        (["evaluate", "x", "--slpit=val"], "unknown option '--slpit'; did you mean '--split'"),
    ],
)
def test_unknown_commands_and_options_get_close_matches(command, expected, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("medzoo")
    assert expected in error


def test_options_may_be_shortened_and_values_may_look_like_numbers(capsys):
    assert main(["models", "--pre"]) == 0
    assert "advanced_cnn.dermamnist" in capsys.readouterr().out
    assert main(["info", "--", "--simple_cnn"]) == 1
    assert "unknown model or data set '--simple_cnn'" in capsys.readouterr().err
    assert main(["predict", "simple_cnn.dermamnist", "nowhere.png", "--threshold", "-1"]) == 1


def test_help_has_an_example(capsys):
    for command in ("models", "datasets", "info", "train", "evaluate", "predict", "export"):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
        assert f"medzoo {command}" in capsys.readouterr().out


def test_train_writes_weights_that_evaluate_scores(trained, own_file, capsys):
    assert main(["evaluate", trained["weights"], "--dataset", str(own_file), "--split", "val"]) == 0
    assert f"{trained['val_acc']:.3f}" in capsys.readouterr().out


def test_evaluate_chooses_a_threshold_on_the_validation_split(capsys, tmp_path):
    data = medzoo.synthetic("breastmnist", n_train=8, n_val=30, n_test=30)
    arrays = {}
    for name, split in data.splits.items():
        arrays[f"{name}_images"] = split.images[:, 0].numpy()
        arrays[f"{name}_labels"] = split.labels.numpy()[:, None].astype(np.uint8)
    np.savez(tmp_path / "own.npz", **arrays)
    command = ["evaluate", "simple_cnn.breastmnist", "--dataset", str(tmp_path / "own.npz")]
    assert main([*command, "--min-sensitivity", "0.9"]) == 0
    printed = capsys.readouterr().out
    assert "sensitivity of at least 0.9, chosen on" in printed
    assert "was decided for above the probability" in printed
    assert main([*command, "--threshold", "0.25", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["threshold"] == 0.25
    assert main([*command, "--min-sensitivity", "0.9", "--split", "val"]) == 1
    assert "was chosen on this val split" in capsys.readouterr().err


def test_evaluate_draws_plots(trained, own_file, tmp_path, capsys):
    folder = tmp_path / "new" / "plots"
    command = ["evaluate", trained["weights"], "--dataset", str(own_file), "--plots", str(folder)]
    assert main(command) == 0
    names = ["confusion", "per_class", "reliability", "risk_coverage", "roc", "precision_recall"]
    paths = [folder / f"{name}.png" for name in names]
    assert {*folder.iterdir()} == {*paths}
    assert capsys.readouterr().out.splitlines()[-6:] == list(map(str, paths))


def test_evaluate_writes_a_report_about_the_weights(trained, own_file, tmp_path, capsys):
    path = tmp_path / "report.html"
    command = ["evaluate", trained["weights"], "--dataset", str(own_file), "--report", str(path)]
    assert main([*command, "--explain", "--json"]) == 0
    page = check_harmless(path.read_text("utf-8"))
    about = json.loads(capsys.readouterr().out)["model"]
    assert about["name"] == Path(trained["weights"]).name
    assert about["sha256"] == sha256_of(trained["weights"])
    assert {about["name"], about["sha256"]} <= {*page.text_of("td")}
    assert any("heat map" in image["alt"] for image in page.all("img"))


def test_plots_that_cannot_be_drawn_are_refused_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(medzoo, "create_model", lambda *_, **__: pytest.fail("worked first"))
    (tmp_path / "file").touch()
    assert main(["evaluate", "simple_cnn.dermamnist", "--plots", str(tmp_path / "file")]) == 1
    assert "--plots" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["evaluate", "simple_cnn.dermamnist", "--plots", str(tmp_path / "plots")]) == 1
    assert "medzoo[plots]" in capsys.readouterr().err


def test_evaluate_and_predict_take_views(trained, own_file, tmp_path, capsys):
    picture = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (28, 28, 3), np.uint8)
    Image.fromarray(noise).save(picture)
    model = medzoo.create_model(trained["weights"])
    for extra, tta in ([], "none"), (["--tta", "dihedral"], "dihedral"):
        assert main(["predict", trained["weights"], str(picture), "--json", *extra]) == 0
        value = json.loads(capsys.readouterr().out)[0]
        expected = medzoo.predict(model, picture, tta=tta).probabilities
        assert value["probabilities"] == pytest.approx(expected)
        command = ["evaluate", trained["weights"], "--dataset", str(own_file), "--json", *extra]
        assert main(command) == 0
        assert json.loads(capsys.readouterr().out)["tta"] == tta


def test_unknown_views_are_one_line_and_exit_code_1(trained, capsys):
    assert main(["predict", trained["weights"], "a.png", "--tta", "filp"]) == 1
    assert "unknown tta 'filp'; did you mean 'flip'" in capsys.readouterr().err


def test_train_takes_changes_to_the_recipe(trained):
    assert trained["recipe"]["epochs"] == 1


def test_unknown_arguments_of_the_architecture_are_one_line(own_file, tmp_path, capsys):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"model_args": {"width": 3}}')
    arguments = ["train", "simple_cnn", "--dataset", str(own_file), "--recipe", str(recipe)]
    assert main([*arguments, "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'width'" in error


def test_train_names_the_folder_of_the_data_in_what_to_do_next(tmp_path, monkeypatch, capsys):
    data = medzoo.synthetic("breastmnist", n_train=16, n_val=16, n_test=8)
    monkeypatch.setattr(medzoo, "load_dataset", lambda *_, **__: data)
    arguments = ["train", "simple_cnn", "--dataset", "breastmnist", "--epochs", "1"]
    assert main([*arguments, "--data-root", "my data", "--output", str(tmp_path)]) == 0
    assert "--dataset breastmnist --data-root 'my data'" in capsys.readouterr().out


def test_train_can_compile(own_file, tmp_path, monkeypatch):
    seen = {}

    def recorded(*_, **arguments):
        seen.update(arguments)
        raise ValueError("enough")

    monkeypatch.setattr(medzoo, "train", recorded)
    arguments = ["train", "simple_cnn", "--dataset", str(own_file), "--output", str(tmp_path)]
    for extra in ([], ["--compile"]):
        assert main([*arguments, *extra]) == 1
        assert seen["compile"] is bool(extra)


@pytest.mark.filterwarnings("default")
def test_a_process_that_is_not_the_first_says_nothing_but_its_own_errors(monkeypatch, capsys):
    values = {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "MASTER_ADDR": "x", "MASTER_PORT": 1}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    waited = []
    # By its full name, because `medzoo.cli.main` is the function.
    module = importlib.import_module("medzoo.cli.main")
    monkeypatch.setattr(module.time, "sleep", waited.append)
    assert main(["models"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["info", "dermamnits"]) == 1
    assert waited  # so that the first process can speak and torchrun end this one
    assert capsys.readouterr().err.startswith("medzoo: error: unknown model")


def test_predict_labels_each_file(trained, tmp_path, capsys):
    paths = [str(tmp_path / f"{name}.png") for name in "ab"]
    for path in paths:
        Image.fromarray(np.full((50, 40, 3), 128, np.uint8)).save(path)
    assert main(["predict", trained["weights"], *paths, "--top-k", "2", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert [value["image"] for value in values] == paths
    assert all(len(value["probabilities"]) == 2 for value in values)


def test_predict_names_a_missing_file(trained, capsys):
    assert main(["predict", trained["weights"], "nowhere.png"]) == 1
    assert "nowhere.png" in capsys.readouterr().err


def test_module_runs_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "medzoo", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"medzoo {medzoo.__version__}"


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m medzoo info chestmnist | head -n 1 >/dev/null"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


def test_evaluate_warns_of_images_that_may_have_been_in_training(trained, own_file, tmp_path):
    config = read_config(trained["weights"])
    moved = {"data": config.training["data"] | {"note": "own data; own split"}}
    path = tmp_path / "moved.safetensors"
    medzoo.save_weights(medzoo.create_model(trained["weights"]), path, training=moved)
    with pytest.warns(UserWarning, match="these very images") as caught:
        assert main(["evaluate", str(path), "--dataset", str(own_file)]) == 0
    assert len(caught) == 1


def run_with(setup, *command):
    """Run the command in a new process after some statements."""
    code = f"""
import sys
sys.argv = ["medzoo", *{command!r}]
{setup}
from medzoo.__main__ import main
sys.exit(main())
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("module", ["medzoo.cli.output.table", "medzoo.weights"])
def test_ctrl_c_during_imports_is_one_line(module):
    """The first is imported before the command runs, the second by it."""
    setup = f"""
class Interrupt:
    def find_spec(name, *_):
        if name == {module!r}:
            exec("raise KeyboardInterrupt")  # as in an import that makes a named tuple
sys.meta_path.insert(0, Interrupt)
"""
    done = run_with(setup, "info", "dermamnist")
    assert (done.returncode, done.stderr) == (130, "medzoo: interrupted\n")


def test_warnings_are_one_line_and_show_names_literally():
    setup = """
import warnings, medzoo
def info(name):
    warnings.warn("a\\x1b[2J\\nb")
    raise ValueError("a\\x1b[2J\\nb")
medzoo.dataset_info = info
"""
    done = run_with(setup, "info", "dermamnist")
    assert done.stderr.splitlines() == [
        r"medzoo: warning: a\x1b[2J\nb",
        r"medzoo: error: a\x1b[2J\nb",
    ]
    assert done.returncode == 1


def test_too_little_memory_is_one_line(monkeypatch, capsys):
    def fail(_):
        raise MemoryError

    monkeypatch.setattr(medzoo, "dataset_info", fail)
    assert main(["info", "dermamnist"]) == 1
    assert capsys.readouterr().err == (
        "medzoo: error: there is not enough memory; give smaller or fewer images\n"
    )
