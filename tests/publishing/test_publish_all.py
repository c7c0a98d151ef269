"""Publishing all that an index lists, in as many goes as it takes."""

import json
from pathlib import Path

import pytest

import medzoo
from medzoo.cli import main
from medzoo.errors import WeightsError
from medzoo.publishing import publish
from medzoo.weights import INDEX, locate_weights, read_index, weights_index, write_index
from tests.publishing.conftest import NAMES


def commits(index):
    return {name: entry.hub and entry.hub["revision"] for name, entry in read_index(index).items()}


def test_everything_is_published_and_entered_into_the_index(hub, index):
    done = list(publish("org", index=index, token=hub.token))
    assert [publication.repo_id for publication in done] == [f"org/{name}" for name in NAMES]
    for name, entry in read_index(index).items():
        head = hub.repositories[f"org/{name}"].refs["main"]
        assert entry.hub == {"repo_id": f"org/{name}", "revision": head}


def test_an_entry_loads_from_the_hub_once_its_file_is_no_longer_bundled(hub, index, file):
    list(publish("org", NAMES[:1], index=index, token=hub.token))
    entry = read_index(index)[NAMES[0]]
    (index.parent / "package" / "files" / file.name).unlink()
    assert locate_weights(entry).read_bytes() == file.read_bytes()
    assert hub.asked(f"HEAD /org/{NAMES[0]}/resolve/{entry.hub['revision']}") >= 1


@pytest.mark.slow
def test_publishing_goes_on_where_it_stopped(hub, index):
    hub.fail(f"org/{NAMES[1]}/commit", status=403)
    with pytest.raises(WeightsError, match=r"1 of 3 are up to date; repeat the command"):
        list(publish("org", index=index, token=hub.token))
    first = commits(index)
    assert [bool(commit) for commit in first.values()] == [True, False, False]

    hub.heal()
    asked = len(hub.requests)
    done = list(publish("org", index=index, token=hub.token))
    assert all(commits(index).values())
    assert commits(index)[NAMES[0]] == first[NAMES[0]] == done[0].commit
    again = [line for line, _ in hub.requests[asked:] if NAMES[0] in line]
    assert [line.split()[0] for line in again] == ["GET"]

    content = index.read_bytes()
    asked = len(hub.requests)
    list(publish("org", index=index, token=hub.token))
    assert index.read_bytes() == content
    assert {line.split()[0] for line, _ in hub.requests[asked:]} == {"GET"}


def test_a_dry_run_changes_neither_hub_nor_index(hub, index):
    content = index.read_bytes()
    done = list(publish("org", index=index, token=hub.token, dry_run=True))
    assert len(done) == 3
    assert index.read_bytes() == content
    assert hub.repositories == {}


def test_unknown_names_and_unwritable_indexes_are_told_first(hub, index, monkeypatch):
    with pytest.raises(ValueError, match=r"did you mean 'simple_cnn\.dermamnist'"):
        list(publish("org", ["simple_cnn.dermamnits"], index=index, token=hub.token))
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(WeightsError, match="cannot be written"):
        list(publish("org", index=index, token=hub.token))
    assert hub.requests == []


def test_an_index_survives_being_written(tmp_path):
    path = write_index(weights_index(), tmp_path / "index.json")
    assert path.read_bytes() == INDEX.read_bytes()
    assert read_index(path) == weights_index()


@pytest.mark.parametrize("content", [None, "", "[]", '{"a": 1}', '{"a": {"file": "b"}}'])
def test_what_is_no_index_is_told_so(tmp_path, content):
    path = tmp_path / "index.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WeightsError, match=r"index\.json is not a readable index"):
        read_index(path)


@pytest.mark.slow
def test_the_command_publishes_all(hub, index, capsys):
    command = ["publish", "--org", "org", "--index", str(index), "--token", hub.token]
    assert main([*command, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("would be published") == 3
    assert printed.count("  new        model.safetensors") == 3
    assert hub.repositories == {}
    assert main([*command, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert {value["repo_id"]: value["commit"] for value in values} == {
        f"org/{name}": commit for name, commit in commits(index).items()
    }
    assert main(command) == 0
    assert capsys.readouterr().out.count("up to date") == 3


def test_the_command_publishes_a_file(hub, file, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    command = ["publish", str(file), "--repo", "org/mine", "--private", "--licence", "MIT"]
    assert main(command) == 0
    assert "published as" in capsys.readouterr().out
    assert hub.repositories["org/mine"].private
    assert medzoo.create_model("hf-hub:org/mine").num_classes == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repo", "org/x"], "takes one name or weights file, not 0"),
        (["a.safetensors", "b.safetensors", "--repo", "org/x"], "not 2"),
        (["absent.safetensors", "--repo", "org/x"], "absent.safetensors does not exist"),
        (["absent", "--org", "org"], "unknown weights 'absent'"),
    ],
)
def test_wrong_arguments_of_the_command_are_one_line(hub, arguments, message, capsys):
    assert main(["publish", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("absent.safetensors").exists()
