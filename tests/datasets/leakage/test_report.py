import json

from medzoo.datasets.leakage.report import LeakageReport, LeakedPair


def test_report_reads_well_and_goes_through_json():
    report = LeakageReport(
        title="DermaMNIST (rebuilt)",
        provenance={"official": False},
        sizes={"train": 10, "val": 4, "test": 8},
        threshold=0.5,
        pairs=(
            LeakedPair("train", 3, "test", 1, 0.1),
            LeakedPair("train", 4, "test", 1, 0.2),
            LeakedPair("val", 0, "test", 2, 0.3),
        ),
    )
    text = str(report)
    assert "DermaMNIST (rebuilt): 3 pairs of near-duplicates" in text
    assert "train - test       2 pairs, 1 of 8 test images" in text
    assert "Test images affected: 25.0%." in text
    assert "train 3 - test 1  distance 0.100" in text
    values = json.loads(json.dumps(report.to_dict()))
    assert values["counts"] == {"train-val": 0, "train-test": 2, "val-test": 1}
    assert values["affected_test_share"] == 0.25
    assert values["pairs"][0] == {
        "split_a": "train", "index_a": 3, "split_b": "test", "index_b": 1, "distance": 0.1,
    }  # fmt: skip
