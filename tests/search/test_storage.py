"""Storages: what is opened, what is refused, and trials of processes that died."""

import sqlite3
import sys
import time
import traceback
from contextlib import closing

import optuna
import pytest

from medzoo.errors import TrainingError
from medzoo.search import study as studies
from medzoo.search.storage import opening as storages
from medzoo.search.storage import repeats
from medzoo.search.storage.address import shown_reason
from medzoo.search.storage.opening import open_storage
from medzoo.search.study import quiet
from medzoo.search.trial import objective
from tests.search.formula import train
from tests.search.test_search import RATES

FILES = ["study.db", "study.log"]
pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage:UserWarning")


@pytest.fixture
def kept(tmp_path):
    return {"space": RATES, "storage": tmp_path / "study.db"}


@pytest.fixture
def die(monkeypatch):
    """Leave a trial as a process that was killed leaves it; nobody waits for its signs of life."""

    def ask(study, **options):
        trial = study.ask(**options)
        time.sleep(0.01)
        monkeypatch.setattr(storages, "GRACE", 0)
        return trial

    return ask


@pytest.mark.parametrize("file", FILES)
def test_the_last_trial_is_that_of_the_process_that_began_first(run, tmp_path, monkeypatch, file):
    options = {"space": RATES, "storage": tmp_path / file}
    run(trials=1, **options)
    run_one = studies._run_one

    def late(study, objective):
        other = study.ask()
        record = run_one(study, objective)
        study.tell(other, objective(other))
        return record

    with monkeypatch.context() as patch:
        patch.setattr(studies, "_run_one", late)
        result = run(trials=2, **options)
    assert [trial.number for trial in result.trials] == [0, 1]
    states = [trial.state.name for trial in result.study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "WAITING"]
    assert [trial.number for trial in run(trials=3, **options).trials] == [0, 1, 3]


@pytest.mark.parametrize("file", FILES)
def test_the_trial_of_a_dead_process_is_repeated(run, tmp_path, die, file):
    first = run(trials=1, space=RATES, storage=tmp_path / file)
    trial = die(first.study)
    rate = trial.suggest_float("learning_rate", 1e-4, 1.0, log=True)
    trial.set_user_attr("baseline", "simple_cnn")
    result = run(trials=2, space=RATES, storage=tmp_path / file)
    assert [one.number for one in result.trials] == [0, 2]
    assert result.trials[1].params == {"learning_rate": rate}
    assert result.trials[1].is_baseline
    states = [one.state.name for one in result.study.get_trials()]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_trial_that_kills_its_process_is_not_repeated_for_ever(run, kept, die):
    study = run(trials=1, **kept).study
    for _ in range(1 + repeats.RETRIES):
        with quiet():
            die(study)
            optuna.storages.fail_stale_trials(study)
    result = run(trials=2, **kept)
    assert [(one.number, one.state) for one in result.trials] == [(0, "complete"), (3, "failed")]
    assert result.trials[1].reason == "its process ended"


def test_a_living_trial_is_left_alone(run, kept):
    study = run(trials=1, **kept).study
    study.ask()
    with quiet():
        optuna.storages.fail_stale_trials(study)
    assert [one.state.name for one in study.get_trials()] == ["COMPLETE", "RUNNING"]


@pytest.mark.parametrize("file", FILES)
def test_signs_of_life_are_given_during_a_trial(run, tmp_path, monkeypatch, file):
    monkeypatch.setattr(storages, "INTERVAL", 1)
    (trial,) = run(trials=1, storage=tmp_path / file).study.get_trials()
    assert trial.system_attrs[repeats.ALIVE] == pytest.approx(
        trial.datetime_start.timestamp(), abs=5
    )


def test_a_trial_that_another_process_took_over_does_not_count(run, kept, monkeypatch):
    study = run(trials=1, **kept).study

    def overtaken(*arguments, **options):
        monkeypatch.setattr(objective, "train", train)
        with monkeypatch.context() as patch, quiet():
            patch.setattr(storages, "GRACE", -1)
            optuna.storages.fail_stale_trials(study)
        return train(*arguments, **options)

    monkeypatch.setattr(objective, "train", overtaken)
    result = run(trials=2, **kept)
    assert [(one.number, one.state) for one in result.trials] == [(0, "complete"), (2, "complete")]


def shift_clock(path, hours):
    """Write when trials began as a machine in another time zone does."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(
            "UPDATE trials SET datetime_start = datetime(datetime_start, ?)", [f"{hours} hours"]
        )


@pytest.mark.parametrize("hours", [-5, 5])
def test_machines_in_other_time_zones_share_a_search(run, kept, monkeypatch, die, hours):
    def elsewhere(*arguments, **options):
        monkeypatch.setattr(objective, "train", train)
        shift_clock(kept["storage"], hours)
        spans.append(studies.seconds_spent(study))
        with quiet():
            optuna.storages.fail_stale_trials(study)  # this one is alive
        return train(*arguments, **options)

    spans = []
    study = run(trials=1, **kept).study
    monkeypatch.setattr(objective, "train", elsewhere)
    result = run(trials=2, **kept)
    assert [(one.number, one.state) for one in result.trials] == [(0, "complete"), (1, "complete")]
    assert 0 < studies.seconds_spent(study) < 600
    assert 0 < spans[0] < 600
    repeats.mark_beginning(die(study))
    shift_clock(kept["storage"], hours)
    assert [one.number for one in run(trials=3, **kept).trials] == [0, 1, 3]


def break_file(path):
    """Let nothing be read or written any more; returns what takes that back."""
    kept = path.read_bytes()
    if path.suffix == ".log":
        path.unlink()
        path.mkdir()
        return lambda: (path.rmdir(), path.write_bytes(kept))
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE trial_user_attributes RENAME TO gone")

    def mend():
        with closing(sqlite3.connect(path)) as file:
            file.execute("ALTER TABLE gone RENAME TO trial_user_attributes")

    return mend


@pytest.mark.parametrize("file", FILES)
def test_a_storage_that_fails_is_said_and_the_same_call_goes_on(run, tmp_path, monkeypatch, file):
    kept = {"space": RATES, "storage": tmp_path / file}
    mends = []

    def breaking(*arguments, **options):
        mends.append(break_file(tmp_path / file))
        return train(*arguments, **options)

    run(trials=1, **kept)
    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", breaking)
        with pytest.raises(TrainingError, match=rf"storage .*{file} failed: .*command goes on"):
            run(trials=2, **kept)
    for mend in mends:
        mend()
    monkeypatch.setattr(storages, "GRACE", 0)
    assert [trial.state for trial in run(trials=2, **kept).trials] == ["complete"] * 2


def test_a_storage_that_fails_for_a_moment_does_not_fail_the_trial(run, kept, monkeypatch):
    def breaking(*_, **__):
        mend = break_file(kept["storage"])
        try:
            study.get_trials()
        finally:
            mend()

    study = run(trials=1, **kept).study
    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", breaking)
        for _ in range(4):
            with pytest.raises(TrainingError, match="failed: no such table"):
                run(trials=2, **kept)
    assert [trial.state for trial in run(trials=2, **kept).trials] == ["complete"] * 2


def test_an_error_of_the_training_is_not_one_of_the_storage(run, kept, monkeypatch):
    def fail(*_, **__):
        raise OSError("no such image")

    monkeypatch.setattr(objective, "train", fail)
    assert run(trials=1, **kept).trials[0].reason == "OSError: no such image"


def test_a_study_that_may_not_be_written_is_refused_in_one_line(run, kept):
    run(trials=1, **kept)
    url = f"sqlite:///file:{kept['storage']}?mode=ro&uri=true"
    with pytest.raises(TrainingError, match="failed: attempt to write a readonly database"):
        run(trials=2, **kept | {"storage": url})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:se/cret@127.0.0.1:1/x",
        "postgresql://me:p/se@cret@127.0.0.1:1/x",
        "postgresql://me:se:cret/9@127.0.0.1:1/x",
        "postgresql://me@127.0.0.1:1/x?password=secret",
        "postgresql://me:se%2Fcret@127.0.0.1:1/x",
        "postgresql://me:secret@127.0.0.1:port/x",
        "nosuch://me:secret@[/x",
    ],
)
def test_a_password_is_not_shown_whatever_is_in_it(url):
    with pytest.raises(TrainingError, match="cannot be opened at") as raised:
        open_storage(url)
    shown = "".join(traceback.format_exception(raised.value, limit=0))
    assert "cret" not in shown
    assert "me:" not in shown


@pytest.mark.parametrize(
    ("url", "quoted"),
    [
        ("postgresql://me:p/se@cret@host/x", "cret"),
        ("postgresql://me:p/se@cret@host/x", "p/se@cret"),
        ("postgresql://me:se%2Fcret@host/x", "se/cret"),
        ("postgresql://me:se%2Fcret@host/x", "se%2Fcret"),
        ("postgresql://me@host/x?password=secret", "secret"),
    ],
)
def test_a_password_that_a_driver_quotes_is_not_shown(url, quoted):
    shown = shown_reason(ValueError(f"no host named {quoted}"), url)
    assert shown.startswith("ValueError; in a password, write / as %2F")
    assert shown_reason(ValueError("no route"), url) == "no route"


@pytest.mark.parametrize(
    ("storage", "kind", "message"),
    [
        ("study.txt", ValueError, r"study.txt' is neither a URL nor a file .*\.db"),
        (3, TypeError, "storage=3 is a int"),
        ("nosuch://x/y", TrainingError, "cannot be opened at nosuch://x/y"),
        ("postgresql://me:secret@127.0.0.1:1/x", TrainingError, "at postgresql://127.0.0.1:1/x"),
    ],
)
def test_what_cannot_be_opened_is_refused_without_the_password(storage, kind, message):
    with pytest.raises(kind, match=message) as raised:
        open_storage(storage)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_study_is_refused(tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(b"not a study\x1b[2J\n" * 100)
        with quiet(), pytest.raises(TrainingError, match="the study cannot be opened") as raised:
            open_storage(tmp_path / name)
        assert "\x1b" not in str(raised.value)
    for content in (b"not a study\n", b"not a study", b'{"op_code":0'):  # a broken last line
        (tmp_path / "study.log").write_bytes(content)
        with quiet(), pytest.raises(TrainingError, match="the study cannot be opened"):
            open_storage(tmp_path / "study.log")
        assert (tmp_path / "study.log").read_bytes() == content
    (tmp_path / "folder.db").mkdir()
    with quiet(), pytest.raises(TrainingError, match="the study cannot be opened"):
        open_storage(tmp_path / "folder.db")


def test_postgresql_takes_the_driver_of_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pg8000", None)
    with pytest.raises(ImportError, match=r"medzoo\[search\]"):
        open_storage("postgresql://me@127.0.0.1:1/x")


@pytest.mark.parametrize("name", ["a?1.db", "b#2%20 {x}.db", "new?/c.db", "d?.log"])
def test_a_file_may_have_any_name(run, tmp_path, name):
    assert len(run(trials=1, space=RATES, storage=tmp_path / name).trials) == 1
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert made == [tmp_path / name]
    assert len(run(trials=2, space=RATES, storage=tmp_path / name).trials) == 2


def test_waiting_for_the_trial_of_another_process_is_said_once(run, kept, die, capsys, monkeypatch):
    study = run(trials=1, **kept).study
    with quiet():
        die(study)
    monkeypatch.setattr(storages, "GRACE", 3600)
    pauses = []

    def sleep(_):
        pauses.append(1)
        if len(pauses) == 3:
            monkeypatch.setattr(storages, "GRACE", 0)

    monkeypatch.setattr("time.sleep", sleep)
    result = run(trials=2, **kept, progress=None)
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("waiting for trial 1; if its process has ended, the trial is repeated")
    assert len(others) == 1
    assert [one.number for one in result.trials] == [0, 2]


def test_a_line_that_a_killed_process_did_not_finish_is_removed(tmp_path):
    path = tmp_path / "study.log"
    with quiet():
        optuna.create_study(study_name="kept", storage=open_storage(path))
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"op_code": 4, "worker_')
        storage = open_storage(path)
        assert path.read_bytes() == whole
        optuna.create_study(study_name="new", storage=storage)
        assert optuna.get_all_study_names(open_storage(path)) == ["kept", "new"]
