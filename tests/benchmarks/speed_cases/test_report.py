"""The speed table, and what was recorded."""

import pytest

from benchmarks.speed_cases import record, report
from tests.benchmarks.speed_cases.rows import row

pytest.importorskip("onnxruntime", reason="needs medzoo[bench]")

from benchmarks.speed import CASES


def test_table_shows_limits_of_missed_targets_only_and_once():
    text = report.table(
        [
            row(work="good", target=2, limit="never shown"),
            row(work="first", target=4, limit="bound by sums"),
            row(work="second", target=5, limit="bound by sums"),
        ]
    )
    assert "| good | 30 images/s | 10 peer | **3x**," in text
    assert "at least 4x | **no** |" in text
    assert "never shown" not in text
    assert text.count("bound by sums") == 1
    assert "*first; second.* bound by sums" in text
    assert "perhaps" in report.table([row(interval=(2.9, 3.1), target=3, limit="perhaps")])
    assert "perhaps" in report.table([row(noisy=True, target=3, limit="perhaps")])


def test_intervals_are_shown_and_noisy_rows_have_no_figure():
    certain = report.table([row(interval=(2.9, 3.1), target=2)])
    assert "| **3x** (2.9x to 3.1x), " in certain
    noisy = report.table([row(interval=(1.2, 4.8), target=2, noisy=True)])
    assert "| - | - | **noisy** (1.2x to 4.8x), " in noisy
    assert noisy.endswith("| at least 2x | open |")
    decided = {"rounds": 9, "busy": False}
    wide = report.table([row(interval=(2.1, 4.8), target=2, noisy=True, timing=decided)])
    assert wide.endswith("| at least 2x | yes |")


def test_processors_are_shown_side_by_side():
    machines = [
        {"processor": name, "instructions": "AVX2", "peak_gflops": 60.0} for name in ("Zen", "Ice")
    ]
    text = report.side_by_side(
        [
            (machines[0], [row(work="a", target=4)]),
            (machines[1], [row(work="b"), row(work="a", target=6, achieved=5.0)]),
        ]
    )
    assert "| Task | Target | Zen, AVX2, 60 GFLOP/s | Ice, AVX2, 60 GFLOP/s |" in text
    assert "| a | at least 4x | **3x**, **missed** | **5x** |" in text
    assert "| b |  | not measured | **3x** |" in text


def test_targets_of_a_gpu_do_not_count_for_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "SPEED", tmp_path / "speed.json")
    common = {"cores": 2, "threads": 2, "python": "3.12", "peak_gflops": 60.0, "versions": {}}
    cpu = common | {"processor": "Zen", "instructions": "AVX2", "date": "2026-01-02"}
    gpu = common | {"processor": "H200", "instructions": "CUDA 9.0", "date": "2026-01-03"}
    record.save(cpu, "training", [row(work="a", target=2, achieved=2.5)], 60)
    record.save(gpu, "training", [row(work="a", target=3, achieved=2.9)], 60)
    text = report.speed_tables("training")
    assert text.count("| Task |") == 2  # each has its own, and there is none for both
    assert "| at least 2x | yes |" in text
    assert "| at least 3x | **no** |" in text
    assert text.index("H200") < text.index("Zen")


def test_recorded_rows_belong_to_the_cases_and_name_the_machine():
    for recorded in record.read():
        assert set(recorded["works"]) <= set(CASES)
        assert record.measurements(recorded, *CASES)
        assert str(recorded["machine"]["cores"]) in report.where(recorded["machine"])
        assert recorded["machine"]["date"] in report.where(recorded["machine"])
