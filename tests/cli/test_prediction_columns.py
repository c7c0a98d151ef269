"""The columns of a table of predictions."""

from medzoo.cli.output.prediction_columns import PredictionColumns


def test_a_class_with_the_name_of_a_column_has_a_column_of_its_own():
    columns = PredictionColumns(("label", "benign", "error", "unfamiliar"))
    header = columns.header()
    assert len(set(header)) == len(header)
    assert "unfamiliar" in header  # a column only if the model has a detector
    outcome = {
        "image": "a.png",
        "labels": ["label"],
        "probabilities": {"label": 0.7, "benign": 0.2, "error": 0.1, "unfamiliar": 0.0},
    }
    row = dict(zip(header, columns.row(outcome), strict=True))
    assert (row["label"], row["probability of label"], row["error"]) == ("label", 0.7, "")


def test_model_and_options_decide_the_columns():
    columns = PredictionColumns(("a", "b"), sets=True, abstains=True, scored=True)
    failed = columns.row({"image": "b.png", "error": "cannot read it"})
    row = dict(zip(columns.header(), failed, strict=True))
    assert row.pop("path") == "b.png"
    assert row.pop("error") == "cannot read it"
    assert set(row) == {
        *("label", "prediction_set", "abstained", "a", "b", "unfamiliar", "ood_score")
    }
    assert set(row.values()) == {""}
