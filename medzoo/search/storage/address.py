"""Where a study is kept: a file or a database, and how to name it without its password."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL, make_url

from medzoo.escape import for_display
from medzoo.lazy import import_optional

_FILES = {"sqlite": (".db", ".sqlite", ".sqlite3"), "journal": (".log", ".journal")}
_OPTION = re.compile("[?&][^=&]*pass[^=&]*=([^&]*)", re.IGNORECASE)
_ACCOUNT = re.compile("(?<=://).*@", re.DOTALL)  # to the last @: a password may contain one


def as_url(storage: str | Path) -> str:
    """Return the URL of a storage.

    Args:
        storage: A file, by whose ending its kind is recognised, or a URL.

    Returns:
        What SQLAlchemy opens, or ``journal:`` and the path of a journal.

    Raises:
        ValueError: If it is a file with another ending.
        ImportError: If the driver of the database is not installed.
    """
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


def shown_address(storage: str | Path) -> str:
    """Return the name of a storage for a message: without user, password and options.

    Args:
        storage: A file or URL.
    """
    text = str(storage)
    if not _may_hold_a_password(text):
        return for_display(text)
    return for_display(_ACCOUNT.sub("", text).partition("?")[0])


def shown_reason(error: BaseException, storage: str | Path) -> str:
    """Return why a storage failed, for a message, in which no password appears.

    Args:
        error: What its driver raised.
        storage: The file or URL.
    """
    while error.__cause__ is not None:  # Optuna's own errors guess at the reason
        error = error.__cause__
    reason = str(getattr(error, "orig", None) or error) or type(error).__name__
    if is_secret(reason, storage):
        return f"{type(error).__name__}; in a password, write / as %2F, @ as %40, and : as %3A"
    return for_display(reason)[:300]


def is_secret(reason: str, storage: str | Path) -> bool:
    """Return whether a text contains a password of a storage's URL, or a part of it.

    Args:
        reason: The text.
        storage: The file or URL.
    """
    text = str(storage)
    if not _may_hold_a_password(text):
        return False
    account = _ACCOUNT.search(text)
    secrets = [account[0].partition(":")[2][:-1]] if account else []
    secrets += _OPTION.findall(text)
    # A password with one of these may have been taken for the name of the host, port or database.
    parts = {part for secret in secrets for part in re.split("[/@:?#]", secret)}
    parts |= {unquote(part) for part in parts}
    return any(part in reason for part in parts if part)


def _may_hold_a_password(text: str) -> bool:
    return "://" in text and not text.startswith("sqlite")


def _sqlite_url(path: str) -> str:
    url = URL.create("sqlite", database=path)
    if make_url(str(url)) != url:
        raise ValueError(
            f"storage={path!r} has characters that SQLAlchemy before 2.1 cannot open; rename the "
            "file or its folder, or upgrade SQLAlchemy"
        )
    return str(url)
