"""The picture of the packages shows the imports that there are."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

FILE = Path(__file__).parent.parent.parent / "docs" / "gen_rooms.py"
SPEC = importlib.util.spec_from_file_location("gen_rooms", FILE)
gen_rooms = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gen_rooms)


@pytest.fixture
def package(tmp_path):
    """Make a package of the given files, named and imported as medzoo is."""

    def make(**files: str) -> Path:
        root = tmp_path / "medzoo"
        root.mkdir()
        for name, text in files.items():
            (root / f"{name}.py").write_text(text)
        return root

    return make


def test_the_picture_is_up_to_date(capsys):
    assert gen_rooms.main(["--check"]) == 0, capsys.readouterr().out


def test_a_picture_that_is_out_of_date_is_noticed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gen_rooms, "PICTURE", tmp_path / "rooms.svg")
    monkeypatch.setattr(gen_rooms, "ROOT", tmp_path)
    (tmp_path / "medzoo").mkdir()
    assert gen_rooms.main(["--check"]) == 1
    assert "python docs/gen_rooms.py" in capsys.readouterr().out
    assert gen_rooms.main([]) == 0
    assert gen_rooms.main(["--check"]) == 0
    (tmp_path / "medzoo" / "datasets.py").write_text("from medzoo.images import read_image\n")
    assert gen_rooms.main(["--check"]) == 1


def test_imports_are_found_in_every_form_and_place(package):
    root = package(
        training="import medzoo.models.base\ndef later():\n    from medzoo.weights import file\n",
        evaluation="from medzoo import __version__, images, errors\nimport numpy\n",
    )
    imports = gen_rooms.read_imports(root)
    assert imports["training"] == {"models", "weights"}
    assert imports["evaluation"] == {"images", gen_rooms.BASE}
    assert imports["models"] == set()


def test_a_module_that_nobody_described_is_an_error(package):
    with pytest.raises(ValueError, match=r"medzoo\.attic in ROOMS"):
        gen_rooms.read_imports(package(attic=""))


def test_imports_that_follow_from_others_are_left_out():
    imports = {room: set() for room in gen_rooms.ROOMS}
    imports |= {"training": {"models", "weights", "datasets"}, "models": {"weights"}}
    drawn = gen_rooms.without_implied(imports)
    assert drawn["training"] == {"models", "datasets"}
    assert drawn["models"] == {"weights"}


def test_an_import_that_goes_up_is_kept_and_marked():
    imports = {room: set() for room in gen_rooms.ROOMS}
    right = gen_rooms.draw(imports | {"training": {"models"}, "models": {"weights"}})
    wrong = gen_rooms.draw(imports | {"training": {"models"}, "models": {"training"}})
    assert "arrow wrong" not in right
    assert wrong.count("arrow wrong") == 1


def test_the_picture_is_one_block_of_valid_svg():
    imports = gen_rooms.read_imports(FILE.parent.parent / "medzoo")
    text = gen_rooms.draw(imports)
    root = ElementTree.fromstring(text)
    names = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert names >= {"images", "datasets", "models", "training", "cli"}
    assert "\n\n" not in text  # Markdown would end the block there
