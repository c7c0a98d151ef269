"""The studies of images of another kind: what was measured is of today's models, and is shown."""

from benchmarks.studies.ood import OOD, near
from benchmarks.studies.ood.near import OOD_NEAR


def test_near_images_were_measured_for_each_model_that_has_them():
    records = OOD_NEAR.results.read()
    assert list(records) == [trial.key for trial in near.trials()]
    assert {*records} < {trial.key for trial in OOD.trials()}
    cases = [one for record in records.values() for one in record["cases"].values()]
    for one in cases:
        assert 0 <= one["fpr95"] <= 1
        assert one["images"] > 0
    shown = near.table().splitlines()
    assert len(shown) == len(cases) + 2
    for name, record in records.items():
        for case, one in record["cases"].items():
            line = next(row for row in shown if f"`{name}`" in row and case in row)
            assert f"{one['auroc']:.3f}" in line
