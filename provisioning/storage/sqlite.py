# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""SQLite as this product uses it: every thread reads by itself, and all write by one connection.

Writers queue in three steps — a lock in this process, an advisory file lock among processes, BEGIN
IMMEDIATE — because busy-waiting writers starve each other (p99 287 ms against 25 ms) and deferred
transactions lose updates to "database is locked" (R27). As only one writes at a time, one
connection does for all: SQLite drops what a connection remembers of the file whenever another one
commits, so that with one for each thread every commit would begin with cold pages.

A commit waits for the disk, and the rest of the queue with it. So brief transactions of one
process that wait for each other share one: the first leaves it open to the next, the last commits
for all, and none of them goes on, or answers anybody, before that is on the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from peewee import EXCEPTIONS, ExceptionWrapper, SqliteDatabase  # type: ignore[attr-defined]

from .shared_commit import SharedCommit
from .write_queue import WriteQueue

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
        self._queue = WriteQueue(path + ".lock")
        self._writer: sqlite3.Connection | None = None
        self._left_open: SharedCommit | None = None  # whoever has the turn next goes on, or commits

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn to write; in the block this thread uses the connection for it."""
        own = self._take_turn()
        try:
            yield
        finally:
            self._end_turn(own)

    def writing(self, *, share_commit: bool) -> _Writing:
        """Return one write transaction, which waits for its turn."""
        return _Writing(self, share_commit)

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

    def run(self, sql: str, params: Any) -> Any:
        """Run a kept statement; the driver keeps them all."""
        return self.execute_sql(sql, params)

    def say(self, sql: str, params: Any = None) -> Callable[[], int]:
        """Run one that nobody waits for; here it has run when this returns."""
        changed: int = self.execute_sql(sql, params).rowcount
        return lambda: changed

    def ask_ahead(self, sql: str, params: Any) -> Callable[[], list[Any]]:
        """Ask something that a transaction may wait for later; here no wait is worth saving."""
        found: list[Any] = self.execute_sql(sql, params).fetchall()
        return lambda: found

    def close(self) -> bool:
        """Close this thread's connection and the one to write by, which the next writer opens.

        Neither may cross a fork.
        """
        closed = super().close()
        with self._queue.closing():
            self._settle()
            self._forget_writer()
        return closed

    def _take_turn(self, *, goes_on: bool = False) -> sqlite3.Connection | None:
        """Wait, and return this thread's own connection, which it gets back at the end.

        `goes_on`: with the transaction that is left open, if one is; else it is committed.
        """
        self._queue.enter(takes_over=goes_on)
        try:
            if not goes_on:
                self._settle()
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

    def _end_turn(
        self, own: sqlite3.Connection | None, *, left_open: SharedCommit | None = None
    ) -> None:
        try:
            self._left_open = left_open
            self._state.conn, self._state.closed = own, own is None
            writer = self._writer
            lost = writer is not None and writer is not own and writer.in_transaction
            if lost and left_open is None:
                self._forget_writer()  # it could not even roll back
        finally:
            self._queue.leave(hand_on=left_open is not None)

    def _settle(self) -> None:
        """Commit what is left open, for those who wait for it; how it went is theirs to tell."""
        shared, self._left_open = self._left_open, None
        if shared is None or self._writer is None:
            return
        committed = False
        try:
            self._writer.execute("COMMIT")
            committed = True
        except sqlite3.Error:
            self._forget_writer()
        finally:
            shared.end(committed=committed)

    def _forget_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


class _Writing(contextlib.AbstractContextManager[None]):
    """BEGIN IMMEDIATE and COMMIT, in a turn; a savepoint where whoever has the turn began one."""

    def __init__(self, opened: Sqlite, share_commit: bool) -> None:
        self._opened = opened
        self._shares = share_commit
        self._shared: SharedCommit | None = None  # with those before this one
        self._own: sqlite3.Connection | None = None
        self._inner: contextlib.AbstractContextManager[Any] | None = None

    def __enter__(self) -> None:
        opened = self._opened
        self._own = opened._take_turn(goes_on=self._shares)
        try:
            if opened.in_transaction():
                self._inner = opened.savepoint()
                self._inner.__enter__()
            else:
                self._begin()
                opened.push_transaction(self)
        except BaseException:
            opened._end_turn(self._own)
            raise

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if self._inner is not None:
            try:
                self._inner.__exit__(kind, *rest)
            finally:
                self._opened._end_turn(self._own)
            return
        left_open = self._conclude(failed=kind is not None)
        if left_open is not None:  # whoever failed waits as well: what it found may yet be undone
            left_open.wait(self._opened.turn)

    def _begin(self) -> None:
        opened = self._opened
        self._shared, opened._left_open = opened._left_open, None
        if self._shared is None:
            opened.execute_sql("BEGIN IMMEDIATE")
            return
        self._shared.size += 1
        try:
            opened.execute_sql("SAVEPOINT shared")
        except BaseException:
            self._fail()
            raise

    def _conclude(self, *, failed: bool) -> SharedCommit | None:
        """Commit, roll back, or leave it open to the next one; return what is left open."""
        opened, left_open = self._opened, None
        try:
            opened.pop_transaction()  # type: ignore[no-untyped-call]
            if failed and not self._go_back():
                self._fail()
            elif self._is_handed_on():
                left_open = self._shared or SharedCommit()
            else:
                self._commit()
        except BaseException:
            self._fail()
            raise
        finally:
            opened._end_turn(self._own, left_open=left_open)
        return left_open

    def _go_back(self) -> bool:
        """Undo what this one did; say whether what others did before is still there."""
        if self._shared is None or not self._opened._state.conn.in_transaction:
            return False
        self._opened.execute_sql("ROLLBACK TO SAVEPOINT shared")
        return True

    def _is_handed_on(self) -> bool:
        if not self._opened._state.conn.in_transaction:
            return False  # undone by the database, and nobody noticed: the COMMIT tells
        if self._shared is not None:
            self._opened.execute_sql("RELEASE SAVEPOINT shared")
            if not self._shared.has_room():
                return False
        return self._shares and self._opened._queue.has_heirs()

    def _commit(self) -> None:
        self._opened.execute_sql("COMMIT")
        if self._shared is not None:
            self._shared.end(committed=True)

    def _fail(self) -> None:
        """Undo all of it, what others did included, and tell them."""
        try:
            if self._opened._state.conn.in_transaction:
                self._opened.execute_sql("ROLLBACK")
        finally:
            if self._shared is not None:
                self._shared.end(committed=False)
