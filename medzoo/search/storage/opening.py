"""Where trials are kept, so that no process that ends takes one with it.

A process says every few seconds that its trial is alive. Of one that has been silent, the next
process that looks for work marks the trial as failed and puts it back into the queue. Optuna does
so for databases, but not for journal files, nor for trials whose process died before its first
sign of life; here, one implementation serves both kinds of storage.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from inspect import getattr_static
from pathlib import Path
from types import FunctionType
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from medzoo.errors import TrainingError
from medzoo.search.storage.address import as_url, is_secret, shown_address, shown_reason
from medzoo.search.storage.repeats import ALIVE, last_sign, repeat

INTERVAL = 10
"""Seconds between signs of life."""
GRACE = 60
"""Seconds of silence after which a process counts as dead."""

_BUSY = 60  # seconds that a process waits for another one that writes into an SQLite file
_ATTEMPTS, _PAUSE = 20, 0.25  # to open a database that another process makes, and seconds between
_EXISTS = re.compile("already exists|duplicate key|unique constraint", re.IGNORECASE)
_BROKEN = (StorageInternalError, SQLAlchemyError, OSError, json.JSONDecodeError)


class StorageError(TrainingError):
    """A storage cannot be read or written any more, unlike a training that fails."""


class _Explained:
    """Turns what drivers and files raise into one error, which names the storage."""

    address: str | Path = ""

    def __init_subclass__(cls) -> None:
        inside = threading.local()  # parts of Optuna call one another, and catch what they raise

        def explained(method: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(method)
            def call(self: _Explained, *args: Any, **kwargs: Any) -> Any:
                if not self.address or getattr(inside, "is_inside", False):
                    return method(self, *args, **kwargs)
                inside.is_inside = True
                try:
                    return method(self, *args, **kwargs)
                except _BROKEN as error:
                    raise StorageError(
                        f"the storage {shown_address(self.address)} failed: "
                        f"{shown_reason(error, self.address)}; once that is mended, the same "
                        "command goes on"
                    ) from _shown_cause(error, self.address)
                finally:
                    inside.is_inside = False

            return call

        for name in dir(cls):
            if isinstance(method := getattr_static(cls, name), FunctionType) and name[:2] != "__":
                setattr(cls, name, explained(method))


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
        return partial(repeat, died=True)


class _Journal(_Explained, _SignsOfLife, JournalStorage):
    """A journal file."""


class _Database(_Explained, _SignsOfLife, RDBStorage):
    """A database."""


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
    url = as_url(storage)
    try:
        if url.startswith("journal:"):
            opened: _Journal | _Database = _open_journal(Path(url.removeprefix("journal:")))
        else:
            opened = _open_database(url)
    except ImportError:
        raise
    except Exception as error:  # whatever the database's driver raises
        raise TrainingError(
            f"the study cannot be opened at {shown_address(storage)}: "
            f"{shown_reason(error, storage)}; give another storage="
        ) from _shown_cause(error, storage)
    opened.address = storage
    return opened


def _shown_cause(error: Exception, storage: str | Path) -> Exception | None:
    """Return an error if a traceback may show it: no password is in it."""
    texts = f"{error} {error.__cause__} {error.__context__}"
    return None if is_secret(texts, storage) else error


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
        if not (path := make_url(url).database or "").startswith("file:"):  # a URI of SQLite's own
            Path(path).parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_ATTEMPTS):
        try:
            return _Database(url, options)
        except SQLAlchemyError as error:
            # Another process makes the tables of a new database at the same time.
            if attempt + 1 == _ATTEMPTS or not _EXISTS.search(str(error)):
                raise
            time.sleep(_PAUSE)
    raise AssertionError
