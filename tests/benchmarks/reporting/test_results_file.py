"""Files of results."""

from benchmarks.reporting.results_file import ResultsFile, SingleResult


def test_records_are_kept_by_name(tmp_path):
    results = ResultsFile(tmp_path / "results.json")
    assert results.read() == {}
    results.save("one", {"acc": 0.1})
    ResultsFile(results.path).save("two", {"acc": 0.2})
    results.save("one", {"acc": 0.3})
    assert results.read() == {"one": {"acc": 0.3}, "two": {"acc": 0.2}}
    assert (results.find("two"), results.find("three")) == ({"acc": 0.2}, None)


def test_a_single_result_is_the_whole_file(tmp_path):
    results = SingleResult(tmp_path / "one.json")
    assert results.find("anything") is None
    results.save("anything", {"acc": 0.1})
    results.save("anything", {"acc": 0.2})
    assert results.find("something else") == results.read() == {"acc": 0.2}
