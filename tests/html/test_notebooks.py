"""What notebooks show of the objects of medzoo."""

import json
from dataclasses import replace

import pytest

import medzoo
from medzoo.prediction.result import Failure, Prediction, Predictions
from tests.evaluation.metrics.test_scores import MULTI_LABEL
from tests.evaluation.test_report import report
from tests.html.parsed import check_harmless
from tests.html.test_render import HOSTILE


@pytest.mark.parametrize("name", ["dermamnist", "chestmnist"])
def test_a_data_set_shows_its_counts_and_an_image_of_each_class(name):
    data = medzoo.synthetic(name, n_train=50, n_val=30, n_test=20)
    page = check_harmless(data._repr_html_())
    assert [image["alt"] for image in page.all("img")] == [
        f"an image with {label}" for label in data.info.classes
    ]
    cells = page.text_of("td")
    assert cells[-3:] == ["50", "30", "20"]
    found = data.train.labels
    first = (found[:, 0] == 1).sum() if data.info.multi_label else (found == 0).sum()
    assert cells[0] == str(int(first))
    assert check_harmless(data.val._repr_html_()).text_of("td")[-1] == "30"


def test_a_thousand_classes_are_counted():
    data = medzoo.synthetic(task="multi-class", num_classes=1000, n_train=1000, n_val=1, n_test=1)
    html = data.train._repr_html_()
    assert len(check_harmless(html).all("img")) == 20
    assert "... and 980 more" in html
    assert len(html) < 200_000


@pytest.mark.parametrize("task", ["multi-class", "binary-class", MULTI_LABEL])
def test_a_report_shows_its_scores(task):
    measured = report(task)
    page = check_harmless(measured._repr_html_())
    assert f"{measured.acc:.3f}" in " ".join(page.text_of("td"))
    assert {row["name"] for row in measured.per_class} <= {*page.text_of("th")}
    assert not page.all("img")


@pytest.mark.parametrize("text", HOSTILE)
def test_predictions_show_decisions_and_failures(text):
    one = Prediction({text: 0.75, "b": 0.25}, (text,), source=f"{text}.png")
    unsure = replace(one, labels=(), abstained=True, source=None)
    page = check_harmless(one._repr_html_())
    assert page.text_of("td") == ["0.750", "0.250"]
    several = Predictions([one, unsure] * 20, [Failure(text, "no image", 1)])
    page = check_harmless(several._repr_html_())
    assert "41 images" in page.text_of("strong")
    assert "... and 21 more" in page.text_of("p")
    assert "error: no image" in page.text_of("td")
    assert "no answer: not sure enough" in page.text_of("td")


def test_a_run_shows_its_scores_and_its_last_epochs(tmp_path):
    data = medzoo.synthetic("breastmnist", n_train=16, n_val=12, n_test=2)
    recipe = {"epochs": 2, "model_args": {"widths": (4, 4, 4)}}
    run = medzoo.train("simple_cnn", data, recipe, output=tmp_path, progress=False)
    page = check_harmless(run._repr_html_())
    cells = page.text_of("td")
    assert f"{run.val_auc:.4f}" in cells
    assert f"{run.history[-1]['loss']:.4f}" in cells
    assert run.weights.name in cells
    assert str(tmp_path) not in json.dumps(cells)
