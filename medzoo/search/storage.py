"""Where trials are kept, so that no process that ends takes one with it.

A process says every few seconds that its trial is alive. Of one that has been silent, the next
process that looks for work marks the trial as failed and puts it back into the queue. Optuna does
so for databases, but not for journal files, nor for trials whose process died before its first
sign of life; here, one implementation serves both kinds of storage.
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import (
    BaseStorage,
    InMemoryStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from medzoo.errors import TrainingError
from medzoo.escape import for_display
from medzoo.lazy import import_optional

INTERVAL = 10
"""Seconds between signs of life."""
GRACE = 60
"""Seconds of silence after which a process counts as dead."""
RETRIES = 2
"""How often a trial whose process died is tried again; it may be what kills the process."""
ALIVE = "alive"
"""The attribute of a trial with the time of its last sign of life, in seconds since 1970."""

_BUSY = 60  # seconds that a process waits for another one that writes into an SQLite file
_ATTEMPTS, _PAUSE = 20, 0.25  # to open a database that another process makes, and seconds between
_EXISTS = re.compile("already exists|duplicate key|unique constraint", re.IGNORECASE)
_KEPT_BY_RETRY = ("fixed_params", "failed_trial", "retry_history", "grid_id", "search_space")
_FILES = {"sqlite": (".db", ".sqlite", ".sqlite3"), "journal": (".log", ".journal")}


class _SignsOfLife(BaseHeartbeat):
    """Signs of life as an attribute of the trial, which every storage can keep."""

    def record_heartbeat(self: BaseStorage, trial_id: int) -> None:  # type: ignore[misc]
        # A trial may have ended, or the database be out of reach: the next sign may arrive.
        with suppress(Exception):
            self.set_trial_system_attr(trial_id, ALIVE, time.time())

    def _get_stale_trial_ids(self: BaseStorage, study_id: int) -> list[int]:  # type: ignore[misc]
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        return [one._trial_id for one in running if last_sign(one) < time.time() - GRACE]

    def get_heartbeat_interval(self) -> int:
        return INTERVAL

    def get_heartbeat_stale_trial_callback(self) -> Callable[[optuna.Study, FrozenTrial], None]:
        return retry


class _Journal(_SignsOfLife, JournalStorage):
    """A journal file."""


class _Database(_SignsOfLife, RDBStorage):
    """A database."""


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Put a trial that did not end by itself back into the queue, but not for ever.

    Args:
        study: The study.
        trial: The trial.
    """
    again = copy.deepcopy(trial)
    # Without the rungs that it had climbed: it has to compete on each of them again.
    again.system_attrs = {k: v for k, v in trial.system_attrs.items() if k in _KEPT_BY_RETRY}
    RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)(study, again)


def replaced(trials: Iterable[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that have been put back into the queue, as new trials.

    Args:
        trials: All trials of a study.
    """
    return {
        number for one in trials for number in RetryHeartbeatStaleTrialCallback.retry_history(one)
    }


def begun_before(number: int, trials: Iterable[FrozenTrial]) -> int:
    """Count the trials with smaller numbers that are running, or have ended by themselves.

    Args:
        number: Number of a trial.
        trials: All trials of its study.
    """
    trials = list(trials)
    again = replaced(trials)
    return sum(
        one.number < number and one.number not in again and one.state != TrialState.WAITING
        for one in trials
    )


def number_without_repeats(number: int, trials: Sequence[FrozenTrial]) -> int:
    """Return the number that a trial would have if none had been put back into the queue.

    Args:
        number: Number of the trial; one that repeats another gets the number of that one.
        trials: All trials of its study, by number.
    """
    history = [RetryHeartbeatStaleTrialCallback.retry_history(one) for one in trials]
    first = min([number, *history[number]])
    return first - sum(map(bool, history[:first]))


def last_sign(trial: FrozenTrial) -> float:
    """Return when a trial was last known to be alive, in seconds since 1970.

    Args:
        trial: A trial that has started.
    """
    assert trial.datetime_start is not None
    return max(trial.system_attrs.get(ALIVE, 0.0), trial.datetime_start.timestamp())


def open_storage(storage: str | Path | None) -> BaseStorage:
    """Open the storage of studies; a file is created if it does not exist.

    Args:
        storage: A file: SQLite (``.db``) or a journal (``.log``); the URL of a database; or None to
            keep nothing after the search.

    Raises:
        TypeError: If it is none of these.
        ValueError: If the file has another ending.
        ImportError: If the driver of the database is not installed.
        TrainingError: If it cannot be opened.
    """
    if storage is None:
        return InMemoryStorage()
    if not isinstance(storage, str | Path):
        raise TypeError(
            f"storage={storage!r:.80} is a {type(storage).__name__}; expected a file such as "
            "'study.db', the URL of a database, or None"
        )
    url = _as_url(storage)
    try:
        if url.startswith("journal:"):
            return _open_journal(Path(url.removeprefix("journal:")))
        return _open_database(url)
    except ImportError:
        raise
    except Exception as error:  # whatever the database's driver raises
        shown = re.sub("://[^/@]*@", "://", str(storage))  # without the password
        raise TrainingError(
            f"the study cannot be opened at {for_display(shown)}: "
            f"{for_display(str(error))[:300]}; give another storage="
        ) from error


def _open_journal(path: Path) -> _Journal:
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(path))
    # Optuna fails at a broken line as soon as another follows. Under the lock, nobody is writing
    # one: a last line that is not complete is of a process that was killed.
    with get_lock_file(backend._lock), path.open("r+b") as file:
        *before, last = deque(file, maxlen=2) or [b""]
        if before and not last.endswith(b"\n"):
            json.loads(before[0])
            file.truncate(file.tell() - len(last))
        elif last:
            json.loads(last)
            if not last.endswith(b"\n"):
                raise ValueError("its only line is not complete")
    return _Journal(backend)


def _open_database(url: str) -> _Database:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite:"):
        options["connect_args"] = {"timeout": _BUSY}
        Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_ATTEMPTS):
        try:
            return _Database(url, options)
        except SQLAlchemyError as error:
            # Another process makes the tables of a new database at the same time.
            if attempt + 1 == _ATTEMPTS or not _EXISTS.search(str(error)):
                raise
            time.sleep(_PAUSE)
    raise AssertionError


def _as_url(storage: str | Path) -> str:
    text = str(storage)
    if "://" not in text:
        for kind, endings in _FILES.items():
            if text.endswith(endings):
                return _sqlite_url(text) if kind == "sqlite" else f"journal:{text}"
        raise ValueError(
            f"storage={text!r} is neither a URL nor a file whose ending says what it is; expected "
            f"{' or '.join(_FILES['sqlite'])} for SQLite, {' or '.join(_FILES['journal'])} for a "
            "journal"
        )
    if text.startswith(
        "postgresql://"
    ):  # SQLAlchemy's own choice of a driver needs another package
        text = text.replace("postgresql://", "postgresql+pg8000://", 1)
    if text.startswith("postgresql+pg8000:"):
        import_optional("pg8000", "PostgreSQL needs", "search")
    return text


def _sqlite_url(path: str) -> str:
    url = URL.create("sqlite", database=path)
    if make_url(str(url)) != url:
        raise ValueError(
            f"storage={path!r} has characters that SQLAlchemy before 2.1 cannot open; rename the "
            "file or its folder, or upgrade SQLAlchemy"
        )
    return str(url)
