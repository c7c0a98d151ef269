"""Operating points: the figures are scikit-learn's, also if the finding is the first class."""

from dataclasses import replace

import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_curve

import medzoo
from benchmarks.reproduction.source import Source
from benchmarks.studies.published import operating_points
from benchmarks.studies.study import NamedTrial
from medzoo.inference import probabilities, split_logits


def brighter(images):
    """How much brighter two sides of images (N, 1, H, W) are than the other two, (N, 2)."""
    images = images[:, 0].float()
    left, top = images[:, :, :14] - images[:, :, 14:], images[:, :14] - images[:, 14:]
    return torch.stack([left.mean((1, 2)), top.mean((1, 2))], dim=1)


def logits(batch):
    """What a model would say that sees one of the two sides on which the labels depend."""
    return brighter(batch) * torch.tensor([-20.0, 0.0])


def labelled(split):
    return replace(split, labels=(brighter(split.images).sum(dim=1) > 0).long())


@pytest.mark.parametrize("dataset", operating_points.FINDINGS)
def test_thresholds_are_chosen_on_validation_and_measured_on_test(dataset, monkeypatch):
    data = medzoo.synthetic(dataset, n_train=4, n_val=60, n_test=50)
    data = replace(data, val=labelled(data.val), test=labelled(data.test))
    model = medzoo.create_model("simple_cnn", dataset=data)
    monkeypatch.setattr(model, "forward", logits)
    monkeypatch.setattr(Source, "load", lambda self, name, size=28: data)
    monkeypatch.setattr(medzoo, "create_model", lambda *_, **__: model)
    record = operating_points.run(NamedTrial(f"simple_cnn.{dataset}"), Source())

    finding = data.info.classes.index(record["finding"])
    scores, truth = {}, {}
    for split in (data.val, data.test):
        values = probabilities(split_logits(model, split), split.info.task)
        scores[split.name] = values[:, finding].numpy()
        truth[split.name] = split.labels.numpy().reshape(-1) == finding
    for point in record["points"]:
        for name in ("val", "test"):
            decided = scores[name] > point["threshold"]
            counts = [point[name][key] for key in ("tn", "fp", "fn", "tp")]
            assert counts == confusion_matrix(truth[name], decided).ravel().tolist()
            assert min(counts) > 0
            found = operating_points.shares(point[name])
            expected = [
                recall_score(truth[name], decided),
                recall_score(~truth[name], ~decided),
                precision_score(truth[name], decided),
                precision_score(~truth[name], ~decided),
            ]
            assert [share.statistic for share in found.values()] == pytest.approx(expected)
    specific, youden, _ = (operating_points.shares(point["val"]) for point in record["points"])
    false, true, _ = roc_curve(truth["val"], scores["val"], drop_intermediate=False)
    assert specific["Specificity"].statistic >= 0.9
    assert specific["Sensitivity"].statistic == true[1 - false >= 0.9].max()
    best = youden["Sensitivity"].statistic + youden["Specificity"].statistic - 1
    assert best == pytest.approx((true - false).max())
    assert record["points"][2]["threshold"] == 0.5


def test_the_table_has_every_model_and_threshold():
    names = [trial.key for trial in operating_points.trials()]
    assert sorted(operating_points.RECORDS.read()) == sorted(names)
    table = operating_points.table()
    assert [table.count(f"`{name}`") for name in names] == [3] * len(names)
