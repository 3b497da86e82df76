# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""SQLite as this product uses it: every thread reads by itself, and all write by one connection.

Writers queue in three steps — a lock in this process, an advisory file lock among processes, BEGIN
IMMEDIATE — because busy-waiting writers starve each other (p99 287 ms against 25 ms) and deferred
transactions lose updates to "database is locked" (R27). As only one writes at a time, one
connection does for all: SQLite drops what a connection remembers of the file whenever another one
commits, so that with one for each thread every commit would begin with cold pages.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

from peewee import EXCEPTIONS, ExceptionWrapper, SqliteDatabase  # type: ignore[attr-defined]

_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "busy_timeout": 10_000,
    "cache_size": -4_000,  # for each of the connections; the system caches the file as well
    "temp_store": "memory",
    # A checkpoint copies each page once, however often it was written since: a directory's sync
    # writes the same few again and again, so that 16 MB of log save most of the copying.
    "wal_autocheckpoint": 4_000,
}
_KEPT_STATEMENTS = 512  # compiled, for each connection

_as_peewee_has_it = ExceptionWrapper(EXCEPTIONS)


_NOTHING = contextlib.nullcontext()


class Sqlite(SqliteDatabase):
    """Connections of one thread each to read by, and one to write by, whose turn one waits for."""

    _state: Any  # this thread's connection; the typed outline of peewee leaves it out

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            pragmas=_PRAGMAS,
            cached_statements=_KEPT_STATEMENTS,
            check_same_thread=False,  # the writers' lock keeps them apart
        )
        self._queue = _WriteQueue(path + ".lock")
        self._writer: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn to write; in the block this thread uses the connection for it."""
        own = self._take_turn()
        try:
            yield
        finally:
            self._end_turn(own)

    def ending(self) -> contextlib.AbstractContextManager[None]:
        """Surround what a transaction writes last; here each statement is as near as the other."""
        return _NOTHING

    def writing(self) -> _Writing:
        """Return one write transaction, which waits for its turn."""
        return _Writing(self)

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement: what peewee does, by the driver's short way."""
        state = self._state
        if state.closed or self.query_hooks:
            return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]
        try:
            return state.conn.execute(sql, params or ())
        except sqlite3.Error:
            with _as_peewee_has_it:
                raise

    def close(self) -> bool:
        """Close this thread's connection and the one to write by, which the next writer opens.

        Neither may cross a fork.
        """
        closed = super().close()
        with self._queue.alone():
            self._forget_writer()
        return closed

    def _take_turn(self) -> sqlite3.Connection | None:
        """Wait, and return this thread's own connection, which it gets back at the end."""
        self._queue.enter()
        try:
            state = self._state
            own: sqlite3.Connection | None = state.conn
            if self._writer is None:
                with _as_peewee_has_it:
                    self._writer = self._connect()  # type: ignore[attr-defined]
            state.conn, state.closed = self._writer, False
        except BaseException:
            self._queue.leave()
            raise
        return own

    def _end_turn(self, own: sqlite3.Connection | None) -> None:
        try:
            self._state.conn, self._state.closed = own, own is None
            writer = self._writer
            if writer is not None and writer is not own and writer.in_transaction:
                self._forget_writer()  # it could not even roll back
        finally:
            self._queue.leave()

    def _forget_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


class _Writing(contextlib.AbstractContextManager[None]):
    """BEGIN IMMEDIATE and COMMIT, in a turn; a savepoint where whoever has the turn began one."""

    def __init__(self, opened: Sqlite) -> None:
        self._opened = opened
        self._own: sqlite3.Connection | None = None
        self._inner: contextlib.AbstractContextManager[Any] | None = None

    def __enter__(self) -> None:
        opened = self._opened
        self._own = opened._take_turn()
        try:
            if opened.in_transaction():
                self._inner = opened.savepoint()
                self._inner.__enter__()
            else:
                opened.execute_sql("BEGIN IMMEDIATE")
                opened.push_transaction(self)
        except BaseException:
            opened._end_turn(self._own)
            raise

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        opened = self._opened
        try:
            if self._inner is not None:
                self._inner.__exit__(kind, *rest)
                return
            opened.pop_transaction()  # type: ignore[no-untyped-call]
            try:
                if kind is None:
                    opened.execute_sql("COMMIT")
            finally:
                if opened._state.conn.in_transaction:
                    opened.execute_sql("ROLLBACK")
        finally:
            opened._end_turn(self._own)


class _WriteQueue:
    """Lets one writer in at a time, in this process and among processes of this machine."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._file = -1
        self._owner = -1

    def enter(self) -> None:
        self._lock.acquire()
        try:
            if self._depth == 0:
                fcntl.flock(self._opened(), fcntl.LOCK_EX)
            self._depth += 1
        except BaseException:
            self._lock.release()
            raise

    def leave(self) -> None:
        self._depth -= 1
        try:
            if self._depth == 0:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep this process's writers out, and let go of the file."""
        with self._lock:
            if self._owner == os.getpid():
                os.close(self._file)
            self._owner = -1
            yield

    def _opened(self) -> int:
        """Return this process's own file: one that a fork inherits shares its parent's lock."""
        if self._owner != os.getpid():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file, self._owner = os.open(self._path, flags, 0o600), os.getpid()
        return self._file
