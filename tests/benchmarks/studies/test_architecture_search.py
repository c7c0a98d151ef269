"""The architecture search: what it finds becomes a recipe of the row, and is compared honestly."""

import re
from types import SimpleNamespace

import pytest

import medzoo
from benchmarks import reproduce
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction import measure, searched
from benchmarks.reproduction.measure import Options, train_row
from benchmarks.reproduction.record import Record
from benchmarks.reproduction.rows import Row, markdown
from benchmarks.reproduction.source import Source
from benchmarks.reproduction.summary import write_summary
from benchmarks.studies.architectures import architecture_search as study
from benchmarks.studies.study import NamedTrial
from medzoo.models import model_cost

ROW = "dermamnist/efficientnet"
SMALL = {"widths": [8, 16], "depths": [1, 1], "strides": [1, 2], "expansion": 2, "head_width": 16}
CHANGES = {"optimizer": "adamw", "learning_rate": 0.01, "batch_size": 16, "model_args": SMALL}


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Keep the searches in a file of the test."""
    records = ResultsFile(tmp_path / "records.json")
    monkeypatch.setattr(study, "RECORDS", records)
    monkeypatch.setattr(searched, "RECORDS", records)
    return records


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Keep searches and trainings in the folder of the test."""
    monkeypatch.setattr(study, "STORAGE", tmp_path / "new" / "study.db")
    monkeypatch.setattr(study, "FINALS", tmp_path / "finals")
    monkeypatch.setattr(study, "OUTPUT", tmp_path)


def _trial(number, auc, **model_args):
    recipe = medzoo.Recipe(epochs=1, model_args={"drop_rate": 0.1, **model_args})
    return SimpleNamespace(
        number=number,
        is_baseline=number == 0,
        recipe=recipe,
        to_dict=lambda: {"number": number, "recipe": recipe.to_dict(), "values": {"val_auc": auc}},
    )


def test_the_best_networks_of_the_search_are_trained_as_the_row_and_one_is_chosen(
    records, folders, monkeypatch
):
    searches, trainings = [], []
    wide, narrow, last = (_trial(n, 0.9, **SMALL, stem_stride=n) for n in (1, 2, 3))

    def search(data, model, space, **options):
        searches.append((space, options))
        trials = [_trial(0, 0.95), wide, narrow, last]
        return SimpleNamespace(ranked=trials, trials=trials)

    def train(model, data, recipe, **options):
        assert len(data.test) == 4  # it is handed over, but only `evaluate` reads it
        trainings.append((recipe, options))
        auc = 0.8 + 0.1 * (recipe.model_args["stem_stride"] == 2)
        return SimpleNamespace(val_auc=auc, val_acc=0.7, history=[{"seconds": 2.0}] * 3)

    data = medzoo.synthetic("dermamnist", n_train=300, n_val=20, n_test=4)
    monkeypatch.setattr(medzoo, "search", search, raising=False)
    monkeypatch.setattr(medzoo, "train", train)
    monkeypatch.setattr(study, "teach", lambda *_, **__: {"teacher": "an ensemble"})
    monkeypatch.setattr(Source, "load", lambda self, name: data)
    record = study.run(NamedTrial(ROW), Source())

    ((space, options),) = searches
    assert space == {}  # the recipe is that of the row, in fewer epochs
    assert options["architecture"] == study.VARIED
    assert options["max_params"] == 2.45e6
    assert options["max_mflop"] == model_cost("efficientnet", dataset="dermamnist").mflop
    row = medzoo.recipe_for("efficientnet", "dermamnist")
    few = row.epochs // study.SHORTER
    assert options["recipe"] == row.with_changes(epochs=few, validate_every=few)

    published = medzoo.training.load_recipe("distilled", "efficientnet", "dermamnist")
    for (recipe, options), trial in zip(trainings, (wide, narrow), strict=True):
        args = trial.recipe.model_args
        assert recipe == published.with_changes(seed=study.FINAL_SEED, model_args=args)
        assert options["teacher"] == "an ensemble"
        assert options["resume"] is True
    assert trainings[0][1]["output"] != trainings[1][1]["output"]
    assert record["best"] == 2  # the best after a long training, not after a short one
    assert record["changes"] == {"model_args": narrow.recipe.model_args}
    assert [one["val_auc"] for one in record["finals"]] == pytest.approx([0.8, 0.9])
    assert record["finals"][0]["seconds"] == 6.0
    assert record["own"] == [run["val_auc"] for run in Record("dermamnist", "efficientnet").runs()]
    assert [trial["number"] for trial in record["trials"]] == [0, 1, 2, 3]
    assert not any("recipe" in trial for trial in record["trials"])

    assert study._is_current(record, NamedTrial(ROW), Source())
    monkeypatch.setattr(study, "HOURS", 20)
    assert not study._is_current(record, NamedTrial(ROW), Source())


def test_a_search_starts_from_the_network_of_the_row(records, folders, monkeypatch):
    data = medzoo.synthetic("octmnist", n_train=40, n_val=20, n_test=4)
    search, train = medzoo.search, medzoo.train

    def two_trials(data, model, space, **options):
        return search(data, model, space, **options | {"time_limit": None, "trials": 2})

    def one_epoch(model, data, recipe, **options):
        recipe = recipe.with_changes(epochs=1, batch_size=8, class_weights="none")
        return train(model, data, recipe, **options, progress=False)

    monkeypatch.setattr(study, "SHORTER", 40)
    monkeypatch.setattr(medzoo, "search", two_trials, raising=False)
    monkeypatch.setattr(medzoo, "train", one_epoch)
    monkeypatch.setattr(Source, "load", lambda self, name: data)
    record = study.run(NamedTrial("octmnist/efficientnet"), Source())
    first, second = record["trials"]
    assert first["is_baseline"]
    assert first["params"]["efficientnet.width_4"] == 192
    assert "efficientnet.kernel_size_1" not in first["params"]
    (final,) = record["finals"]
    assert final["number"] == record["best"] == second["number"] == 1
    network = record["changes"]["model_args"]
    assert network["depths"] == [second["params"][f"efficientnet.depth_{n}"] for n in (1, 2, 3, 4)]
    assert "kernel_size" not in network


def test_what_was_found_is_trained_with_the_teachers_and_epochs_of_the_row(
    records, tmp_path, monkeypatch
):
    data = medzoo.synthetic("dermamnist", n_train=32, n_val=20, n_test=20)
    recipes = []

    def train(model, data, recipe, **arguments):
        recipes.append((recipe, arguments["teacher"]))
        return medzoo_train(model, data, recipe.with_changes(epochs=1, distillation=0.0))

    medzoo_train = medzoo.train
    monkeypatch.setattr(medzoo, "train", train)
    monkeypatch.setattr(measure, "teach", lambda *_: {"teacher": "an ensemble"})
    options = Options(train=True, searched=True, seeds=(0, 1), device="cpu", output=tmp_path)
    row = Row("dermamnist", "efficientnet", reported=0.7)
    with pytest.raises(ValueError, match="no architecture search for 'dermamnist/efficientnet'"):
        train_row(row, data, options)

    records.save(ROW, {"changes": CHANGES})
    train_row(row, data, options)
    published = medzoo.training.load_recipe("distilled", "efficientnet", "dermamnist")
    expected = published.with_changes(**CHANGES)
    assert recipes == [(expected.with_changes(seed=seed), "an ensemble") for seed in options.seeds]
    assert expected.distillation > 0
    assert row.parameters < 10_000
    assert row.variant == "searched"
    assert row.status == "measured"  # not compared with what was reported of another network

    write_summary([row], tmp_path, "Results")
    summary = (tmp_path / "TRAINING_SUMMARY.md").read_text()
    assert "## efficientnet (searched) on " in summary
    plots = re.findall(r"\]\((searched/.*?\.png)\)", summary)
    assert len(plots) == 6  # three for each seed
    assert all((tmp_path / plot).is_file() for plot in plots)
    assert "| efficientnet (searched) |" in markdown([row])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--searched"], "it needs --train"),
        (["--searched", "--train", "--rows", ROW], "no architecture search for"),
    ],
)
def test_a_row_without_a_search_is_one_error_before_anything_is_loaded(
    records, monkeypatch, capsys, arguments, said
):
    monkeypatch.setattr("sys.argv", ["reproduce.py", *arguments])
    try:
        code = reproduce.main()
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_the_table_compares_with_what_is_bundled(records, tmp_path):
    trials = [
        {"state": "complete", "seconds": 1800.0, "is_baseline": True, "values": {"val_auc": 0.7}},
        {"state": "complete", "seconds": 1800.0, "is_baseline": False, "values": {"val_auc": 0.75}},
        {"state": "pruned", "seconds": 1800.0, "is_baseline": False, "values": {"val_auc": 0.8}},
    ]
    finals = [{"val_auc": auc, "seconds": 3600.0} for auc in (0.91, 0.92)]
    search = {"changes": CHANGES, "trials": trials, "finals": finals, "own": [0.9, 0.91]}
    search["data"] = "DermaMNIST (a part)"
    records.save(ROW, search)
    assert study.table(tmp_path).endswith("Not all seeds have been trained yet.")
    _train("", tmp_path, [0.9, 0.92], {})
    _train("searched", tmp_path, [0.93], CHANGES)
    table = study.table(tmp_path)
    assert "| DermaMNIST (own) | bundled | 2.44 M | 218 | 1 | 0.9100 ± 0.0141 |" in table
    assert "| DermaMNIST (own) | searched | 0.00 M |" in table
    assert "DermaMNIST (a part): 3 trials in 1.5 hours, 1 of them ended early." in table
    assert "validation AUC of 0.7500, medzoo's own 0.7000. The best 2 were trained" in table
    assert "in full, in 2.0 hours, and have 0.9100 and 0.9200; medzoo's own had 0.9050" in table
    assert table.endswith("with the same recipe. Not all seeds have been trained yet.")
    _train("searched", tmp_path, [0.93, 0.95], CHANGES)
    assert "found a better network: validation AUC +0.0300" in study.table(tmp_path)
    _train("searched", tmp_path, [0.919, 0.99], CHANGES)  # not with every seed
    assert "gained nothing certain" in study.table(tmp_path)

    # What longer training gains is not the network's.
    _train("", tmp_path, [0.95, 0.96], {"epochs": 2})
    assert study.table(tmp_path).endswith("with the recipe that the bundled network has now.")

    another = CHANGES | {"learning_rate": 0.02}
    records.save(ROW, search | {"changes": another})
    assert "| searched |" not in study.table(tmp_path)  # trained by what was found before


def _train(variant, folder, aucs, changes):
    record = Record("dermamnist", "efficientnet", variant, folder)
    for seed, auc in enumerate(aucs):
        recipe = medzoo.Recipe(epochs=1, seed=seed).with_changes(**changes).to_dict()
        report = {"auc": 0.9, "acc": 0.8, "title": "DermaMNIST (own)"}
        record.save(
            {"seed": seed, "recipe": recipe, "val_auc": auc, "seconds": 60.0, "report": report}
        )
