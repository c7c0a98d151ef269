"""Tables of the published models: by data set, then score, and complete."""

import re

from benchmarks.reproduction import result_tables
from medzoo.weights import weights_index


def cells(table):
    return [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr data.*?</tr>", table)]


def test_rows_are_in_the_order_of_data_sets_and_scores():
    order = [(row.dataset.split("_")[0], -row.chosen["report"]["acc"]) for row in
             result_tables.measured_rows()]  # fmt: skip
    assert order == sorted(order)
    assert len(order) > 20


def test_all_published_files_are_in_the_zoo_and_the_backbone_is_last():
    rows = cells(result_tables.zoo())
    names = [row[0].replace("<wbr>", "").removeprefix("<code>")[:-7] for row in rows]
    assert sorted(names) == sorted(weights_index())
    assert names[-1] == "advanced_cnn.medmnist"


def test_the_short_table_has_few_columns_and_the_long_one_the_rest():
    short = result_tables.short_results().splitlines()
    rows = cells(result_tables.results())
    assert short[0].count("|") == 6
    assert len(short) - 2 == len(rows) == len(result_tables.measured_rows())
    for line, row in zip(short[2:], rows, strict=True):
        assert re.search(r"\*\*(.*?)\*\*", line)[1] == row[3].split("<br>")[0]
