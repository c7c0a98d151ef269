"""The landing page shows measured figures, and what the models really answer."""

import importlib.util
import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parent.parent.parent / "docs"
RESULTS = DOCS.parent / "benchmarks" / "results" / "reproduce.json"
EMPTY = {"br", "img", "wbr"}


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.append(str(DOCS))  # where these find each other
gen_cards, gen_landing, gen_samples = map(load, ("gen_cards", "gen_landing", "gen_samples"))
sys.path.remove(str(DOCS))


class Balanced(HTMLParser):
    """Reads HTML, and fails where an element is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_figures_are_those_of_the_results():
    rows = {row["name"]: row for row in json.loads(RESULTS.read_text("utf-8"))["rows"]}
    text = "".join(Balanced(gen_landing.figures()).text)
    assert len(gen_landing.FIGURES) == 3
    for name in gen_landing.FIGURES:
        (run,) = rows[name]["runs"]
        report = run["report"]
        low, high = report["intervals"]["acc"]
        shown = f"{100 * report['acc']:.2f} % {100 * low:.1f} to {100 * high:.1f} %"
        assert f"{shown}{rows[name]['data_title']}, {report['n']:,} test images" in text


def test_the_samples_are_those_of_the_file():
    samples = json.loads((gen_landing.SAMPLES / "samples.json").read_text("utf-8"))
    shown = gen_landing.samples()
    text = "".join(Balanced(shown).text)
    assert len(samples) == 6
    for sample in samples:
        for one in sample["probabilities"]:
            assert f"{one['label']} {100 * one['probability']:.1f} %" in text
        for ending in (".jpg", "-heat.jpg"):
            file = gen_landing.SAMPLES / f"{sample['dataset']}{ending}"
            assert f'src="images/samples/{file.name}"' in shown
            with Image.open(file) as image:
                assert image.size == (224, 224)


def test_names_of_samples_are_escaped(tmp_path, monkeypatch):
    hostile = '<script>"&'
    sample = {
        "dataset": "dermamnist",
        "title": hostile,
        "drawing": hostile,
        "model": "simple_cnn.dermamnist",
        "probabilities": [{"label": hostile, "probability": 0.5}],
    }
    (tmp_path / "samples.json").write_text(json.dumps([sample]))
    monkeypatch.setattr(gen_landing, "SAMPLES", tmp_path)
    shown = gen_landing.samples()
    assert "<script" not in shown
    assert Balanced(shown).text.count(hostile) == 2


def test_other_answers_are_noticed_and_rounding_is_not():
    def answer(label, probability):
        found = [{"label": label, "probability": probability}]
        return [{"model": "m", "probabilities": found}]

    assert gen_samples.differences(answer("a", 0.5), answer("a", 0.51)) == []
    assert gen_samples.differences(answer("a", 0.5), answer("a", 0.6))
    assert gen_samples.differences(answer("a", 0.5), answer("b", 0.5))
    assert gen_samples.differences([], answer("a", 0.5))


@pytest.mark.slow
def test_the_models_still_answer_what_the_page_says(capsys):
    pytest.importorskip("captum", reason="heat maps need captum")
    assert gen_samples.main(["--check"]) == 0, capsys.readouterr().out


def test_cells_know_their_column():
    table = (
        "<table><thead><tr><th>A</th><th>B <code>x</code></th><th>&lt;C&gt;</th></tr></thead>"
        '<tbody><tr data-filter="1"><td>1</td><td style="">2</td><td>3</td></tr></tbody></table>'
    )
    marked = gen_cards.on_page_content(table)
    assert '<table role="table" data-cards>' in marked
    assert '<td role="cell" data-label="B x" style="">2</td>' in marked
    assert '<td role="cell" data-label="&lt;C&gt;">3</td>' in marked
    assert Balanced(marked).text == Balanced(table).text


@pytest.mark.parametrize("before", ["<table>", '<table class="highlighttable">'])
def test_narrow_tables_and_those_with_a_style_are_left_alone(before):
    columns = 2 if before == "<table>" else 3
    table = f"{before}<thead><tr>{'<th>A</th>' * columns}</tr></thead><tbody></tbody></table>"
    assert gen_cards.on_page_content(table) == table
