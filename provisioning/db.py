# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The database: SQLite by default, PostgreSQL when one machine is outgrown.

On both, writers queue and readers do not wait. On SQLite they queue in three steps — a lock in
this process, an advisory file lock among processes, BEGIN IMMEDIATE — because busy-waiting writers
starve each other (p99 287 ms against 25 ms) and deferred transactions lose updates to "database is
locked" (R27). For PostgreSQL see `postgresql`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from peewee import (
    Database,
    DatabaseProxy,
    InterfaceError,
    ModelSelect,
    OperationalError,
    SqliteDatabase,
)

from .errors import ConfigurationError

RETRY_AFTER = "5"  # seconds, for whoever finds the database away or busy

database = DatabaseProxy()

_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "busy_timeout": 10_000,
    "cache_size": -16_000,
}


class _WriteQueue:
    """Lets one writer in at a time, in this process and among processes of this machine."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._file: int | None = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        with self._lock:
            if self._depth == 0:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._file, fcntl.LOCK_EX)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0 and self._file is not None:
                    os.close(self._file)
                    self._file = None


_queue: _WriteQueue | None = None


def open_database(url: str) -> Database:
    """Bind the models to `sqlite:////abs/path` or `postgresql://…` and return the database.

    Raises ConfigurationError for any other scheme, and for PostgreSQL without its driver.
    """
    global _queue
    if database.obj is not None:
        database.close()  # this thread's connection to the one before
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may repeat the password
        raise ConfigurationError("KEYWRIGHT_DATABASE_URL: is not an address") from None
    if parts.scheme == "sqlite":
        path = parts.path[1:] if parts.path.startswith("//") else parts.path
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        opened: Database = SqliteDatabase(path, pragmas=_PRAGMAS)
        _queue = _WriteQueue(path + ".lock")
    elif parts.scheme in ("postgresql", "postgres"):
        opened = _postgresql(url)
        _queue = None
    else:
        raise ConfigurationError(
            f"KEYWRIGHT_DATABASE_URL: scheme {parts.scheme!r} is neither sqlite nor postgresql"
        )
    database.initialize(opened)
    return opened


def _postgresql(url: str) -> Database:
    try:
        from .postgresql import open_postgresql
    except ImportError as error:
        raise ConfigurationError(
            "KEYWRIGHT_DATABASE_URL: PostgreSQL needs the driver psycopg 3, which comes with the "
            f"extra `postgresql`: pip install 'keywright[postgresql]' ({error})"
        ) from None
    return open_postgresql(url)


def is_sqlite() -> bool:
    """Say whether the database that is open is SQLite."""
    return _queue is not None


def tuples(query: ModelSelect[Any]) -> Iterator[tuple[Any, ...]]:
    """Run a query of columns and stream its rows as tuples, without making models of them."""
    return iter(query.tuples())


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """One write transaction, opened at the edge (a view, a command, the worker's loop).

    All or nothing; one at a time in the whole installation, so that what it reads stays true
    until it commits. May be nested: the inner one is a savepoint, the outermost one commits.
    """
    if _queue is None:
        with database.atomic():
            yield
        return
    with _queue.turn():
        if database.in_transaction():
            with database.atomic():
                yield
        else:
            with database.atomic("IMMEDIATE"):
                yield


@contextlib.contextmanager
def migrating(tables: Iterable[str]) -> Iterator[None]:
    """Be the only one that migrates, on either database.

    Text in these tables, which exist by the end, then compares by code point on PostgreSQL, too:
    pages and searches go by ranges of folded text, and an index that hangs on the system's locale
    is broken by the next update of that. Raises ConfigurationError.
    """
    with database.obj.migrating(tables) if _queue is None else _queue.turn():
        yield


def will_pass(error: Exception) -> bool:
    """Say whether the same request may succeed in a while: the database is away or was busy."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    if is_sqlite():
        return "locked" in str(error)
    # SQLSTATE classes: connection, rolled back for another's sake, out of resources, shut down.
    state = getattr(error.args[0], "sqlstate", None) if error.args else None
    return state is None or state[:2] in ("08", "40", "53", "57") or state == "55P03"
