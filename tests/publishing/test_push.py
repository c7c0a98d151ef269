"""From weights to a repository and back, with the real client and a Hub on this machine."""

import dataclasses
import hashlib
import json
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch

import medzoo
from medzoo.cli import main
from medzoo.errors import WeightsError
from medzoo.publishing import card
from medzoo.publishing.card import model_card
from medzoo.weights import read_config

REPO = "org/small"


def push(model, hub, repo_id=REPO, **options):
    return medzoo.push_to_hub(model, repo_id, **{"token": hub.token} | options)


def states(publication):
    return {file.path: file.state for file in publication.files}


def test_what_is_pushed_loads_in_medzoo_and_in_timm(hub, model, file):
    publication = push(file, hub)
    assert sorted(hub.files(REPO)) == ["README.md", "config.json", "model.safetensors"]
    assert hub.files(REPO)["model.safetensors"] == file.read_bytes()
    assert set(states(publication).values()) == {"new"}

    images = torch.rand(3, 3, 28, 28)
    for revision in ("", "@main", f"@{publication.commit}"):
        again = medzoo.create_model(f"hf-hub:{REPO}{revision}")
        assert torch.equal(again(images), model(images))
        assert again.dataset == model.dataset
    in_timm = timm.create_model(f"hf-hub:{REPO}", pretrained=True).eval()
    torch.testing.assert_close(in_timm(images), model(images))


def test_a_network_with_a_stem_that_timm_does_not_have_loads_in_medzoo(hub):
    model = medzoo.create_model("timm/test_resnet", dataset="retinamnist").eval()
    push(model, hub)
    images = torch.rand(2, 3, 28, 28)
    assert torch.equal(medzoo.create_model(f"hf-hub:{REPO}")(images), model(images))
    card = hub.files(REPO)["README.md"].decode()
    assert "library_name: medzoo" in card
    assert "timm.create_model" not in card


def test_a_model_a_file_and_an_entry_give_the_same_weights(hub, model, file, index, entry):
    medzoo.save_weights(model, file.with_name("untrained.safetensors"))
    for number, what in enumerate([model, file, str(file), entry]):
        push(what, hub, f"org/m{number}")
    contents = [hub.files(f"org/m{n}")["model.safetensors"] for n in range(4)]
    assert contents[1] == contents[2] == contents[3] == file.read_bytes()
    assert contents[0] == file.with_name("untrained.safetensors").read_bytes()


def test_a_published_name_is_pushed_with_what_the_index_knows(hub):
    publication = push("simple_cnn.dermamnist", hub, "org/simple_cnn.dermamnist", dry_run=True)
    entry = medzoo.weights.weights_index()["simple_cnn.dermamnist"]
    assert publication.files[0].sha256 == entry.sha256
    assert publication.files[0].bytes == entry.bytes
    plots = {Path(file.path).stem for file in publication.files if file.path.endswith(".png")}
    assert plots == {"confusion", "per_class", "reliability"}


def test_a_second_push_uploads_nothing_and_commits_nothing(hub, file):
    first = push(file, hub)
    asked = len(hub.requests)
    second = push(file, hub)
    assert second.commit == first.commit
    assert set(states(second).values()) == {"unchanged"}
    later = [line for line, _ in hub.requests[asked:]]
    assert [line for line in later if not line.startswith("GET")] == []
    assert "up to date" in str(second)


def test_only_what_changed_is_uploaded(hub, file, monkeypatch):
    first = push(file, hub)
    asked = len(hub.requests)
    with monkeypatch.context() as patch:
        patch.setattr(card, "model_card", lambda *a, **b: f"{model_card(*a, **b)}\nMore.\n")
        second = push(file, hub)
    assert states(second) == {
        "model.safetensors": "unchanged",
        "config.json": "unchanged",
        "README.md": "changed",
    }
    assert second.commit != first.commit
    assert not [line for line, _ in hub.requests[asked:] if "PUT" in line or "lfs" in line]
    assert medzoo.create_model(f"hf-hub:{REPO}@{first.commit}").num_classes == 7
    assert hub.files(REPO)["README.md"].endswith(b"More.\n")
    assert not hub.files(REPO, first.commit)["README.md"].endswith(b"More.\n")
    third = push(file, hub, licence="MIT")
    assert set(states(third).values()) == {"changed"}
    assert b"license: mit" in hub.files(REPO)["README.md"]
    assert medzoo.create_model(f"hf-hub:{REPO}@{third.commit}").spec.licence == "MIT"


def test_a_dry_run_says_all_and_does_nothing(hub, file):
    publication = push(file, hub, dry_run=True)
    assert hub.repositories == {}
    assert publication.commit is None
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    line = next(line for line in str(publication).splitlines() if "model.safetensors" in line)
    assert line.split() == ["new", "model.safetensors", f"{file.stat().st_size:,}", "bytes", digest]
    real = push(file, hub)
    assert [f.sha256 for f in real.files] == [f.sha256 for f in publication.files]
    for planned in real.files:
        content = hub.files(REPO)[planned.path]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            planned.bytes,
            planned.sha256,
        )
    json.dumps(real.to_dict())


def test_private_repositories(hub, file, monkeypatch):
    push(file, hub, private=True)
    assert hub.repositories[REPO].private
    with pytest.raises(WeightsError, match="private"):
        medzoo.create_model(f"hf-hub:{REPO}")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert medzoo.create_model(f"hf-hub:{REPO}").num_classes == 7


def test_private_is_not_promised_where_all_is_public(hub, file):
    push(file, hub)
    with pytest.raises(ValueError, match="exists and is public"):
        push(file, hub, private=True)


def test_a_branch_of_its_own(hub, file):
    main = push(file, hub)
    branch = push(file, hub, revision="v2", licence="MIT")
    assert hub.repositories[REPO].refs == {"main": main.commit, "v2": branch.commit}
    same = push(file, hub, revision="v3")
    assert same.commit == main.commit == hub.repositories[REPO].refs["v3"]
    new = push(file, hub, "org/other", revision="v1")
    assert hub.files("org/other") == {}
    assert hub.repositories["org/other"].refs["v1"] == new.commit


@pytest.mark.parametrize("token", [None, "hf_guest", "hf_unknown"])
def test_who_may_not_write_is_told_so(hub, file, token):
    with pytest.raises(WeightsError, match="HF_TOKEN") as error:
        push(file, hub, token=token)
    assert "\n" not in str(error.value)
    assert hub.repositories == {}


@pytest.mark.parametrize("step", ["preupload", "lfs/objects/batch", "PUT /cdn", "/commit/"])
def test_a_push_that_failed_can_be_repeated(hub, file, step):
    hub.fail(step, status=400)
    with pytest.raises(WeightsError, match="could not be published"):
        push(file, hub)
    assert hub.files(REPO) == {}
    hub.heal()
    publication = push(file, hub)
    assert len(hub.files(REPO)) == 3
    assert hub.asked("PUT /cdn") == (2 if step == "PUT /cdn" else 1)
    assert push(file, hub).commit == publication.commit


def test_a_hub_that_is_down_is_one_error(hub, file, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=f"{REPO} could not be published: .*connection"):
        push(file, hub)


def test_somebody_elses_commit_in_between_is_not_lost(hub, file, monkeypatch):
    push(file, hub)
    info = huggingface_hub.HfApi.model_info

    def late(self, *arguments, **options):
        found = info(self, *arguments, **options)
        hub.add(REPO, {"notes.txt": b"by somebody else"})
        return found

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", late)
    with pytest.raises(WeightsError, match="412"):
        push(file, hub, licence="MIT")


def test_a_report_brings_its_scores_and_plots(hub):
    data = medzoo.synthetic("pneumoniamnist", n_train=8, n_val=8, n_test=16)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16)).eval()
    report = medzoo.evaluate(model, data.test, resamples=20)
    publication = push(model, hub, report=report)
    again = push(model, hub, report=report)
    assert again.commit == publication.commit
    files = hub.files(REPO)
    plots = sorted(path for path in files if path.startswith("plots/"))
    names = ("confusion", "per_class", "precision_recall", "reliability", "risk_coverage", "roc")
    assert plots == [f"plots/{name}.png" for name in names]
    assert all(files[path].startswith(b"\x89PNG") for path in plots)
    card = files["README.md"].decode()
    assert all(f"]({path})" in card for path in plots)
    assert f"{report.acc:.3f} [{report.intervals['acc'][0]:.3f}" in card


def test_only_a_report_of_the_same_task_is_taken(hub, file, model):
    for name in ("chestmnist", "bloodmnist"):  # 14 labels; 8 classes
        data = medzoo.synthetic(name, n_train=8, n_val=8, n_test=32)
        other = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16)).eval()
        report = medzoo.evaluate(other, data.test, resamples=0)
        for what in (file, "simple_cnn.dermamnist"):
            with pytest.raises(ValueError, match=r"another task.*expected multi-class with 7"):
                push(what, hub, report=report)
    same = medzoo.synthetic("dermamnist", n_train=8, n_val=8, n_test=32)
    report = medzoo.evaluate(model, same.test, resamples=0)
    renamed = [{**row, "name": row["name"].upper()} for row in report.per_class]
    with pytest.raises(ValueError, match="another task"):
        push(file, hub, report=dataclasses.replace(report, per_class=renamed))
    with pytest.raises(TypeError, match=r"not a medzoo\.Report.*from_dict"):
        push(file, hub, report=report.to_dict())
    assert hub.requests == []


def test_the_command_line_takes_a_report(hub, file, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    data = medzoo.synthetic("dermamnist", n_train=8, n_val=8, n_test=32)
    report = medzoo.evaluate(model, data.test, resamples=20)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report.to_dict()))
    assert main(["publish", str(file), "--repo", REPO, "--report", str(path)]) == 0
    assert f"{report.acc:.3f} [" in hub.files(REPO)["README.md"].decode()
    capsys.readouterr()
    for content in ("[1]", "{}", "no JSON", '{"per_class": 1}'):
        path.write_text(content)
        assert main(["publish", str(file), "--repo", REPO, "--report", str(path)]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "medzoo evaluate" in error


@pytest.mark.parametrize(
    "options",
    [
        ["--org", "org", "--licence", "MIT"],
        ["--org", "org", "--report", "report.json"],
        ["--repo", REPO, "--index", "index.json"],
    ],
)
def test_options_that_would_be_ignored_are_refused(hub, file, capsys, options):
    assert main(["publish", "simple_cnn.dermamnist", *options, "--dry-run"]) == 1
    assert f"{options[2]}={options[3]} has no effect with {options[0]}" in capsys.readouterr().err
    assert hub.requests == []


@pytest.mark.parametrize("name", ["advanced_cnn.dermamnits", "nothing"])
def test_unknown_names_are_told_before_anybody_is_asked(hub, name):
    with pytest.raises(ValueError, match="unknown weights"):
        push(name, hub)
    assert hub.requests == []


@pytest.mark.parametrize("repo_id", ["a/b/c", "org/", "-x/y", "org/a--b", "noorg", "", None])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_malformed_repository_is_a_wrong_argument(hub, file, repo_id, dry_run):
    error = ValueError if isinstance(repo_id, str) else TypeError
    with pytest.raises(error, match=f"repo_id={repo_id!r}.*'organisation/name'"):
        push(file, hub, repo_id, dry_run=dry_run)
    assert hub.requests == []


def test_a_damaged_file_is_not_published(hub, file, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"broken\.safetensors"):
        push(broken, hub)
    assert hub.requests == []
    assert read_config(file).training["recipe"]["seed"] == 7
