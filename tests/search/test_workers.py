"""Several processes share a search: no trial is counted twice, and none is lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest

import medzoo
from medzoo.search.storage.opening import open_storage
from medzoo.search.storage.repeats import replaced
from medzoo.search.study import finished_trials, quiet

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]
NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": []}


@contextmanager
def workers(*arguments):
    root = str(Path(medzoo.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.search.workers", *map(str, arguments)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def trials_of(url):
    with quiet():
        storage = open_storage(url)
        (name,) = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=name, storage=storage).get_trials()


def check(trials, wanted):
    """Check that each trial was run once, and all of them were."""
    states = Counter(trial.state.name for trial in trials)
    assert not states["RUNNING"]
    finished = finished_trials(trials)
    assert len(finished) == wanted
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert all(trial.values for trial in finished)
    baselines = [trial for trial in finished if "baseline" in trial.user_attrs]
    assert len(baselines) == 1
    # Nothing was tried twice: what is chosen depends on the number of the trial.
    assert len({trial.params["learning_rate"] for trial in finished}) == len(finished)


def lost(trials):
    """Return the trials whose process died, not those that were left to others unchosen."""
    return [number for number in replaced(trials) if trials[number].params]


def test_two_processes_share_an_sqlite_file(tmp_path):
    url = tmp_path / "study.db"
    with workers(url, 10, 2) as process:
        assert json.loads(process.communicate(timeout=300)[0]) == [0, 0]
    trials = trials_of(url)
    check(trials, 10)
    assert not lost(trials)


@pytest.fixture
def postgresql():
    """A server of the test's own; PostgreSQL refuses to be run by root."""
    initdb, pg_ctl = shutil.which("initdb"), shutil.which("pg_ctl")
    if not (initdb and pg_ctl):
        pytest.skip("needs PostgreSQL's initdb and pg_ctl (Debian's package postgresql) on PATH")
    as_user = NOBODY if os.getuid() == 0 else {}
    home = Path(tempfile.mkdtemp(prefix="medzoo-postgresql-"))  # the folders above are everyone's
    if as_user:
        shutil.chown(home, "nobody", "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    base = [pg_ctl, "-D", home / "db", "-w", "-l", home / "log"]
    run = {"check": True, "cwd": home, "stdout": subprocess.DEVNULL, **as_user}
    subprocess.run([initdb, "-D", home / "db", "-A", "trust", "-U", "medzoo"], **run)
    subprocess.run([*base, "-o", options, "start"], **run)
    try:
        yield f"postgresql://medzoo@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*base, "-m", "immediate", "stop"], **run)
        shutil.rmtree(home)


def test_four_processes_share_a_postgresql_server_and_one_is_killed(postgresql, tmp_path):
    flag = tmp_path / "flag"
    with workers(postgresql, 16, 4, flag) as process:
        began = time.monotonic()
        while not (flag.exists() and flag.read_text()):
            assert process.poll() is None
            assert time.monotonic() < began + 300
            time.sleep(0.05)
        os.kill(int(flag.read_text()), signal.SIGKILL)
        codes = json.loads(process.communicate(timeout=300)[0])
    assert codes == [-signal.SIGKILL, 0, 0, 0]
    trials = trials_of(postgresql)
    check(trials, 16)
    (killed,) = lost(trials)
    (again,) = [one for one in trials if killed in one.system_attrs.get("retry_history", ())]
    assert trials[killed].state.name == "FAIL"
    # It waits for the next call if the others had begun enough trials by then.
    assert again.state.name in ("COMPLETE", "WAITING")
    assert again.params == trials[killed].params
