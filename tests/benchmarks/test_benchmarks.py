"""The scripts in benchmarks/, run as a user runs them."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import medzoo
from medzoo.datasets import disjoint_split, read_groups
from medzoo.weights import weights_index

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from record import Record, seed_stats  # noqa: E402
from rows import Row, markdown, reported_rows, select  # noqa: E402


def reproduce(tmp_path, *arguments, data_root):
    """Run reproduce.py where nothing can be downloaded; return what it printed."""
    command = [sys.executable, str(BENCHMARKS / "reproduce.py"), *arguments]
    no_network = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [*command, "--data-root", str(data_root), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=os.environ | no_network,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def measured(acc, low, high, **values):
    report = {"acc": acc, "auc": 0.9, "intervals": {"acc": [low, high]}}
    return {"seed": 0, "val_auc": 0.9, "report": report} | values


def test_reported_table_is_the_published_one():
    rows = {row.name: row.reported for row in reported_rows() if row.reported is not None}
    assert rows == {
        "dermamnist/advanced_cnn": 0.7377,
        "dermamnist/efficientnet": 0.6838,
        "octmnist/advanced_cnn": 0.7160,
        "octmnist/efficientnet": 0.25,
        "chestmnist/attention_unet": 0.532,
    }


def test_every_published_checkpoint_has_a_row():
    models = {f"{row.model}.{row.dataset}" for row in reported_rows()}
    classifiers = {name for name, entry in weights_index().items() if "test" in entry.metrics}
    assert models >= classifiers


@pytest.mark.parametrize(
    ("interval", "status"),
    [((0.75, 0.79), "exceeds"), ((0.72, 0.79), "reproduces"), ((0.60, 0.70), "below")],
)
def test_status_compares_the_reported_figure_with_the_interval(interval, status):
    row = Row("dermamnist", "simple_cnn", reported=0.7377, runs=[measured(0.77, *interval)])
    assert row.status == status


def test_row_stands_for_the_seed_chosen_on_validation():
    runs = [measured(0.9, 0.8, 1.0, val_auc=0.7), measured(0.8, 0.7, 0.9, val_auc=0.8)]
    row = Row("dermamnist", "simple_cnn", parameters=1_000_000, runs=runs)
    assert row.measured == 0.8
    assert "ACC 85.00 ± 7.07, AUC 0.900 ± 0.000 over 2 seeds" in markdown([row])
    assert Row.from_dict(json.loads(json.dumps(row.to_dict()))).measured == 0.8


def test_a_record_keeps_the_seeds_of_one_recipe(tmp_path):
    record = Record("dermamnist", "simple_cnn", folder=tmp_path)
    assert record.runs() == []
    for seed, acc in ((1, 0.8), (0, 0.6), (1, 0.7)):
        recipe = medzoo.Recipe(epochs=3, model_args={"widths": (1, 2)}, seed=seed).to_dict()
        record.keep({"seed": seed, "recipe": recipe, "report": {"acc": acc, "auc": 0.9}})
    assert [run["seed"] for run in record.runs()] == [0, 1]
    figures = seed_stats(record.runs())
    assert figures["seeds"] == [0, 1]
    assert figures["acc"]["mean"] == pytest.approx(0.65)
    assert figures["acc"]["sd"] == pytest.approx(0.0707, abs=1e-4)
    assert seed_stats(record.runs()[:1])["acc"]["sd"] is None

    # A field that the recipe did not have when it was written down has its default.
    assert record.find(recipe)["report"]["acc"] == 0.7
    assert record.find({k: v for k, v in recipe.items() if k != "freeze"})["report"]["acc"] == 0.7
    assert record.find(recipe | {"epochs": 4}) is None
    # Runs of another recipe are not to be averaged with these.
    other = recipe | {"epochs": 4, "seed": 2}
    record.keep({"seed": 2, "recipe": other, "report": {"acc": 0, "auc": 0}})
    assert [run["seed"] for run in record.runs()] == [2]


def test_a_disjoint_training_is_recorded_beside_the_ordinary_one(tmp_path):
    ordinary = Record("dermamnist", "simple_cnn", folder=tmp_path)
    disjoint = Record("dermamnist", "simple_cnn", "disjoint", folder=tmp_path)
    assert ordinary.path != disjoint.path


def test_the_backbone_learns_from_all_sets_and_sees_no_test_image(data_root):
    import backbone

    data = backbone.joint_data(str(data_root))
    assert data.info.num_classes == 7 + 2 + 5 + 2
    assert data.info.channels == 3
    assert set(data.train.labels.tolist()) == set(range(16))
    assert data.test.images.equal(data.val.images)
    others = backbone.joint_data(str(data_root), ["dermamnist", "retinamnist"])
    assert others.info.num_classes == 7 + 5


def test_an_ensemble_row_is_measured_as_its_members_together(tmp_path):
    import reproduce as script

    data = medzoo.synthetic("dermamnist", n_train=14, n_val=14, n_test=28)
    row = Row("dermamnist", "ensemble", members=["simple_cnn", "efficientnet"], tta="flip")
    arguments = Namespace(train=False, device="cpu")
    script._evaluate_ensemble(row, data, arguments, tmp_path)
    together = medzoo.Ensemble(["simple_cnn.dermamnist", "efficientnet.dermamnist"])
    report = medzoo.evaluate(together, data.test, tta="flip", device="cpu")
    assert row.runs[0]["report"]["auc"] == report.auc
    assert row.runs[0]["report"]["tta"] == "flip"
    assert row.parameters == sum(p.numel() for p in together.parameters())


def test_a_bundled_backbone_starts_models_of_any_set(tmp_path, monkeypatch):
    import bundle

    model = medzoo.create_model("simple_cnn", num_classes=16, in_chans=3, widths=(4, 8, 16))
    model.reset_classifier(0)
    training = {"recipe": {"seed": 3}, "data": {"sets": {"breastmnist": 1}}, "licence": "CC BY 4.0"}
    path = medzoo.save_weights(model, tmp_path / "run.safetensors", training=training)
    monkeypatch.setattr(bundle, "FILES", tmp_path / "files")
    entry = bundle.bundle_backbone(path, "several")
    assert (entry.name, entry.seed, entry.metrics) == ("simple_cnn.several", 3, {})
    assert entry.licence == "CC BY 4.0"

    file = tmp_path / "files" / entry.file
    assert medzoo.create_model(file).num_classes == 0
    started = medzoo.create_model(file, dataset="breastmnist")
    assert started(torch.rand(2, 1, 28, 28)).shape == (2, 2)
    torch.testing.assert_close(
        started.state_dict()["stages.1.1.conv.weight"],
        model.state_dict()["stages.1.1.conv.weight"],
        atol=1e-3,
        rtol=0,
    )


def test_entries_of_distilled_runs_are_told_their_teachers(monkeypatch):
    import bundle
    import teachers
    from source import Source

    high_res = medzoo.synthetic("dermamnist", size=64, n_train=4, n_val=4, n_test=4)
    high_res = replace(high_res, provenance=replace(high_res.provenance, md5="6" * 32))
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: high_res)
    for entry in weights_index().values():
        before = replace(entry, teacher=None, high_res=None)
        after = bundle.with_teachers(before, Source())
        assert after == replace(entry, high_res=entry.high_res and {"size": 64, "md5": "6" * 32})
        assert bundle.with_teachers(entry, Source()) is entry
        if not entry.recipe["distillation"]:
            assert after is before
    views = [member["architecture"] for member in teachers.described("retinamnist")]
    assert views == ["simple_cnn"] * 3 + ["simple_cnn (view: local)"] * 2


def test_figures_are_kept_by_name(tmp_path):
    from figures import Figures

    figures = Figures(tmp_path / "figures.json")
    assert figures.read() == {}
    figures.keep("one", {"acc": 0.1})
    Figures(figures.path).keep("two", {"acc": 0.2})
    figures.keep("one", {"acc": 0.3})
    assert figures.read() == {"one": {"acc": 0.3}, "two": {"acc": 0.2}}


def test_teachers_are_trained_before_their_students(tmp_path, monkeypatch):
    import reproduce as script
    import teachers
    from figures import Figures
    from source import Source

    tiny = {"epochs": 1, "batch_size": 16, "model_args": {"widths": (4, 8, 16)}}
    member = teachers.Teacher(10, 64, tiny, "simple_cnn")
    monkeypatch.setattr(teachers, "FIGURES", Figures(tmp_path / "teachers.json"))
    monkeypatch.setitem(teachers.TEACHERS, "dermamnist", (member,))
    counts = {"n_train": 32, "n_val": 32, "n_test": 8}
    data = {size: medzoo.synthetic("dermamnist", size=size, **counts) for size in (28, 64)}
    labels = data[28].train.labels
    data[64] = replace(data[64], train=replace(data[64].train, labels=labels))
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: data[size])

    row = Row("dermamnist", "simple_cnn")
    values = {"seeds": "0", "epochs": 1, "device": "cpu", "data_root": None, "resume": False}
    flags = dict.fromkeys(("record", "groups", "plain"), False)
    values |= {"group_column": "lesion_id"}
    script._train(row, data[28], Namespace(**values, **flags), tmp_path, tiny)
    (run,) = row.runs
    assert run["teachers"] == ["simple_cnn-64px-seed10"]
    assert run["recipe"]["distillation"] > 0

    kept = teachers.FIGURES.read()["dermamnist/simple_cnn-64px-seed10"]
    assert kept["recipe"]["distillation"] == 0
    assert run["teachers_sha256"] == [kept["sha256"]]
    assert "report" not in kept  # the test split is not for teachers
    again = teachers.teach("dermamnist", Source(), tmp_path, "cpu")
    assert teachers.FIGURES.read()["dermamnist/simple_cnn-64px-seed10"]["sha256"] == kept["sha256"]
    assert again["teacher"].pretrained_cfg["input_size"] == (3, 64, 64)
    assert again["high_res"].size == 64

    plain = Row("dermamnist", "simple_cnn")
    script._train(plain, data[28], Namespace(**values, **flags | {"plain": True}), tmp_path, tiny)
    assert plain.runs[0]["teachers"] == []
    assert plain.runs[0]["recipe"]["distillation"] == 0

    apart = Row("dermamnist", "simple_cnn")
    flags["groups"] = "lesions.csv"
    script._train(apart, data[28], Namespace(**values, **flags), tmp_path, tiny)
    assert (
        "disjoint/dermamnist/simple_cnn-64px-seed10" in teachers.FIGURES.read()
    )  # for students of theirs
    folder = tmp_path / "disjoint" / "dermamnist"
    assert {path.name for path in folder.iterdir()} >= {"models", "teachers"}


@pytest.mark.parametrize("size", [28, 64])
def test_a_source_with_groups_has_no_lesion_in_two_splits(size, data_root):
    from source import Source

    lesions = data_root / "dermamnist_lesions.csv"
    official = Source(str(data_root)).load("dermamnist", size)
    apart = Source(str(data_root), str(lesions)).load("dermamnist", size)
    assert len(apart.train) < len(official.train)
    assert apart.test.images.equal(official.test.images)
    groups = read_groups(lesions, official, "lesion_id")
    kept = disjoint_split(official, groups)
    train, val, test = ({groups[position] for position in kept[name]} for name in kept)
    assert train.isdisjoint(val | test)
    assert val.isdisjoint(test)
    first = {"train": 0, "val": len(official.train)}
    for name in ("train", "val"):
        positions = [position - first[name] for position in kept[name]]
        assert apart.splits[name].images.equal(official.splits[name].images[positions])


def test_unknown_rows_are_errors_with_close_matches():
    with pytest.raises(ValueError, match="did you mean 'advanced_cnn'"):
        select("dermamnist/advanced_cn")
    with pytest.raises(ValueError, match="did you mean 'dermamnist'"):
        select("dermamnits/advanced_cnn")
    with pytest.raises(ValueError, match="dataset/model"):
        select("advanced_cnn")


def test_without_data_the_pipeline_runs_on_synthetic_data(tmp_path):
    (tmp_path / "empty").mkdir()
    printed = reproduce(tmp_path, "--json", str(tmp_path / "r.json"), data_root=tmp_path / "empty")
    assert "SYNTHETIC" in printed
    assert "no data" in printed or "no weights" in printed
    assert not (tmp_path / "r.json").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["SYNTHETIC"]
    folder = tmp_path / "out" / "SYNTHETIC"
    assert "SYNTHETIC" in (folder / "TRAINING_SUMMARY.md").read_text()
    assert (folder / "model_comparison.png").stat().st_size > 1000


def test_chest_row_trains_and_is_marked_partial(tmp_path, data_root):
    printed = reproduce(
        tmp_path,
        *("--train", "--rows", "chestmnist/attention_unet,octmnist/advanced_cnn"),
        *("--epochs", "1", "--json", str(tmp_path / "r.json")),
        data_root=data_root / "partial",
    )
    assert "ChestMNIST (partial)" in printed
    chest, oct_row = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert chest["runs"][0]["report"]["n"] == 411
    assert oct_row["status"] == "no data"
    folder = tmp_path / "out" / "chestmnist"
    assert {path.name for path in folder.iterdir()} == {"metrics", "models", "plots"}
    assert len(list((folder / "plots").glob("*.png"))) == 4


@pytest.mark.skipif(not medzoo.list_models(pretrained=True), reason="no checkpoint is bundled")
def test_published_weights_score_what_the_index_says(tmp_path, data_root):
    # Without the ensemble, which passes each image through three networks eight times.
    rows = ",".join(row.name for row in reported_rows() if not row.members)
    reproduce(tmp_path, "--rows", rows, "--json", str(tmp_path / "r.json"), data_root=data_root)
    from medzoo.weights import weights_index

    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    for row in rows:
        if row["runs"]:
            entry = weights_index()[f"{row['model']}.{row['dataset']}"]
            assert row["runs"][0]["report"]["acc"] == pytest.approx(
                entry.metrics["test"]["acc"], abs=1e-9
            )


def test_generated_tables_are_up_to_date():
    command = [sys.executable, str(BENCHMARKS / "tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
