"""How much published models answer at a risk: the same as `predict` with the same bounds."""

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.published import abstention
from benchmarks.studies.study import NamedTrial


def test_it_is_measured_as_predict_answers(monkeypatch):
    data = medzoo.synthetic("breastmnist", n_train=4, n_val=200, n_test=60)
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: data)
    name = "simple_cnn.breastmnist"
    model = medzoo.create_model(name, pretrained=True)
    lowest = min(medzoo.calibrate(model, data.val).selective.bounds)
    risk = (1 + lowest) / 2
    monkeypatch.setattr(abstention, "RISKS", (lowest / 2, risk))
    # The study keeps the temperature of the weights file.
    monkeypatch.setattr(medzoo, "create_model", lambda *_, **__: model)
    record = abstention.run(NamedTrial(name), Source())
    none, some = record["risks"]
    assert (none["answered"], none["wrong"]) == (0, None)
    found = medzoo.predict(model, data.test, abstain_above=risk)
    names = [data.info.classes[label] for label in data.test.labels]
    right = [p.label == name for p, name in zip(found, names, strict=True) if not p.abstained]
    assert some["answered"] == len(right) / len(found) > 0
    assert some["wrong"] == 1 - sum(right) / len(right)
    report = medzoo.evaluate(model, data.test, resamples=0)
    assert record["aurc"] == report.aurc
    for axis, values in record["curve"].items():
        assert values == [round(point[axis], 5) for point in report.risk_coverage]


def test_the_picture_has_the_curve_of_every_classifier_for_28_px():
    drawn = sum(len(axes.get_lines()) for axes in abstention.plot().axes)
    small = [trial for trial in abstention.trials() if "_" not in trial.key.partition(".")[2]]
    assert drawn == len(small)
