"""How figures are written in tables."""

from benchmarks.reporting.format import (
    markdown_table,
    mean_and_range,
    percent,
    percent_interval,
    seed_summary,
)


def test_a_table_has_a_header_a_rule_and_a_line_per_row():
    table = markdown_table(("a", "b"), [("1", "2"), ("3", "4")])
    assert table == "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"


def test_shares_are_written_as_percentages():
    assert percent(0.12345) == "12.35 %"
    assert percent(None) == "-"
    assert percent_interval([0.1, 0.256]) == "(10.0 to 25.6)"


def test_a_mean_is_written_with_its_range():
    assert mean_and_range([1.0, 2.0, 6.0], 1, " %") == "3.0 % (1.0 to 6.0)"


def test_seeds_are_summarised_by_mean_and_deviation():
    stats = {"seeds": [0, 1], "acc": {"mean": 0.5, "sd": 0.01}, "auc": {"mean": 0.75, "sd": 0.002}}
    assert seed_summary(stats) == "ACC 50.00 ± 1.00, AUC 0.750 ± 0.002 over 2 seeds"
    alone = {"seeds": [0], "acc": {"mean": 0.5, "sd": None}, "auc": {"mean": 0.75, "sd": None}}
    assert seed_summary(alone) == "one seed"
