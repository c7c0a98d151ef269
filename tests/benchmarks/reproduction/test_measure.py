"""Measuring rows: ensembles, trainings, and the teachers that are trained before them."""

from dataclasses import replace

import pytest

import medzoo
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction import teachers
from benchmarks.reproduction.measure import Options, evaluate_ensemble, measure, train_row
from benchmarks.reproduction.rows import Row
from benchmarks.reproduction.source import Source
from medzoo.weights import weights_index


def test_an_ensemble_row_is_measured_as_its_members_together(tmp_path):
    data = medzoo.synthetic("dermamnist", n_train=14, n_val=14, n_test=28)
    row = Row("dermamnist", "ensemble", members=["simple_cnn", "efficientnet"], tta="flip")
    evaluate_ensemble(row, data, Options(device="cpu", output=tmp_path))
    together = medzoo.Ensemble(["simple_cnn.dermamnist", "efficientnet.dermamnist"])
    report = medzoo.evaluate(together, data.test, tta="flip", device="cpu")
    assert row.runs[0]["report"]["auc"] == report.auc
    assert row.runs[0]["report"]["tta"] == "flip"
    assert row.parameters == sum(p.numel() for p in together.parameters())


def test_teachers_are_trained_before_their_students(tmp_path, monkeypatch):
    tiny = {"epochs": 1, "batch_size": 16, "model_args": {"widths": (4, 8, 16)}}
    member = teachers.Teacher(10, 64, tiny, "simple_cnn")
    monkeypatch.setattr(teachers, "RECORDS", ResultsFile(tmp_path / "teachers.json"))
    monkeypatch.setitem(teachers.TEACHERS, "dermamnist", (member,))
    counts = {"n_train": 32, "n_val": 32, "n_test": 8}
    data = {size: medzoo.synthetic("dermamnist", size=size, **counts) for size in (28, 64)}
    labels = data[28].train.labels
    data[64] = replace(data[64], train=replace(data[64].train, labels=labels))
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: data[size])

    row = Row("dermamnist", "simple_cnn")
    options = Options(train=True, epochs=1, device="cpu", output=tmp_path)
    train_row(row, data[28], options, tiny)
    (run,) = row.runs
    assert run["teachers"] == ["simple_cnn-64px-seed10"]
    assert run["recipe"]["distillation"] > 0

    kept = teachers.RECORDS.read()["dermamnist/simple_cnn-64px-seed10"]
    assert kept["recipe"]["distillation"] == 0
    assert run["teachers_sha256"] == [kept["sha256"]]
    assert "report" not in kept  # teachers are never evaluated on the test split
    again = teachers.teach("dermamnist", Source(), tmp_path, "cpu")
    assert teachers.RECORDS.read()["dermamnist/simple_cnn-64px-seed10"]["sha256"] == kept["sha256"]
    assert again["teacher"].pretrained_cfg["input_size"] == (3, 64, 64)
    assert again["high_res"].size == 64

    plain = Row("dermamnist", "simple_cnn")
    train_row(plain, data[28], replace(options, plain=True), tiny)
    assert plain.runs[0]["teachers"] == []
    assert plain.runs[0]["recipe"]["distillation"] == 0

    apart = Row("dermamnist", "simple_cnn")
    train_row(apart, data[28], replace(options, source=Source(groups="lesions.csv")), tiny)
    # Teachers of the same splits as their students.
    assert "disjoint/dermamnist/simple_cnn-64px-seed10" in teachers.RECORDS.read()
    folder = tmp_path / "disjoint" / "dermamnist"
    assert {path.name for path in folder.iterdir()} >= {"models", "teachers"}


def test_published_teachers_get_the_size_of_their_images(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Source, "load", lambda self, name, size=28: medzoo.synthetic(name, size=size, n_train=8)
    )
    given = teachers.teach("pneumoniamnist", Source(), tmp_path, "cpu", "simple_cnn")
    assert given["high_res"].size == 64
    assert teachers.has_teachers("pneumoniamnist", "simple_cnn", "")
    assert not teachers.has_teachers("pneumoniamnist", "simple_cnn", "disjoint")
    assert not teachers.has_teachers("pneumoniamnist", "advanced_cnn", "")


def test_without_the_images_of_its_teachers_a_row_has_no_data(tmp_path, monkeypatch):
    def load(self, name, size=28):
        if size > 28:
            raise medzoo.DatasetError("no file of that size")
        return medzoo.synthetic(name, n_train=8)

    monkeypatch.setattr(Source, "load", load)
    row = Row("pneumoniamnist", "simple_cnn")
    measure(row, Options(train=True, output=tmp_path))
    assert (row.problem, row.reason, row.runs) == ("no data", "no file of that size", [])


@pytest.mark.parametrize("members", [(), ("simple_cnn", "efficientnet")])
def test_data_with_other_splits_than_the_weights_were_trained_with_are_a_warning(
    tmp_path, monkeypatch, members
):
    data = medzoo.synthetic("bloodmnist", n_train=8, n_val=8, n_test=32)
    official = replace(data.provenance, md5="0" * 32, official=True)
    info = replace(data.info, name="bloodmnist")
    data = medzoo.Dataset(info, *data.splits.values(), official)
    monkeypatch.setattr(Source, "load", lambda self, name: data)
    row = Row("bloodmnist", "ensemble" if members else "simple_cnn", members=members)
    with pytest.warns(UserWarning, match=r"simple_cnn\.bloodmnist was trained on .*own split"):
        measure(row, Options(output=tmp_path))
    assert len(row.runs) == 1


def test_no_published_model_is_its_own_teacher():
    for row, names in teachers.PUBLISHED.items():
        dataset, model = row.split("/")
        assert f"{model}.{dataset}" not in names


def test_published_teachers_teach_on_the_official_split_alone(tmp_path):
    names = teachers.PUBLISHED["dermamnist/efficientnet"]
    ensemble = teachers.teach("dermamnist", Source(), tmp_path, "cpu", "efficientnet")["teacher"]
    assert len(ensemble.parts) == len(names)
    index = weights_index()
    expected = {name: index[name].sha256 for name in names}
    assert teachers.trained("dermamnist", "", "efficientnet") == expected
    # On other splits they would pass on what they know of the images that are left out.
    assert not set(teachers.trained("dermamnist", "disjoint", "efficientnet")) & set(names)
    assert not set(teachers.trained("dermamnist", "", "advanced_cnn")) & set(names)
