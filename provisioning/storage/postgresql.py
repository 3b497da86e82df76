# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""PostgreSQL as this product uses it; imported only where the extra `postgresql` is installed.

Whoever writes waits for a turn, as on SQLite: READ COMMITTED behind one advisory lock, taken as
the transaction begins. So what a transaction has read stays true until it commits, no two of them
deadlock or have to be repeated, and the audit chain grows by one row at a time, which is what
makes writers queue anyway. Readers never wait.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import psycopg
from peewee import DataError, InternalError, PeeweeException, PostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict

from ..errors import ConfigurationError, InvalidValue
from .pipeline import Answer, Pipeline

# Advisory locks are numbers that all users of one database share.
_WRITER, _MIGRATION = 0x4B57_0001, 0x4B57_0002

# The isolation is said here because a server may have another default: a snapshot older than the
# lock would be stale.
_BEGIN = ("BEGIN ISOLATION LEVEL READ COMMITTED", f"SELECT pg_advisory_xact_lock({_WRITER})")

# A process that hangs in the middle of its turn must not stop all others for ever.
_SESSION = "SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '60s'"

# What the address may override. A server that vanishes without a word is noticed in 15 seconds.
_CONNECTION: dict[str, Any] = {
    "application_name": "keywright",
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

_OTHER_COLLATION = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_collation k ON k.oid = a.attcollation
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
  AND a.attnum > 0 AND NOT a.attisdropped AND k.collname <> 'C' AND c.relname = ANY(%s)
ORDER BY c.relname, a.attnum
"""


class _Thread(threading.local):
    """What one thread's connection is about to do."""

    pipeline: Pipeline | None = None
    asks_nothing = False  # the transaction that has begun, so far


class Postgresql(PostgresqlDatabase):
    """Connections of one thread each; one that the server has ended is replaced when next used.

    Each message is a journey to the server. So what needs no answer waits for what does: a
    transaction begins together with its first question, and what it writes last travels with its
    COMMIT. Statements that are kept go by a `pipeline`, all others by psycopg's cursors.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._thread = _Thread()

    def writing(self, *, share_commit: bool) -> contextlib.AbstractContextManager[Any]:
        """Return one write transaction, which commits for itself."""
        opened: contextlib.AbstractContextManager[Any] = self.atomic()
        return opened

    def begin(self, isolation_level: str | None = None) -> None:
        """Open a write transaction with the next question, as soon as no other one is open."""
        self._renew_if_lost()
        pipeline = self._pipeline()
        if pipeline:  # asked ahead by somebody who has not looked yet
            pipeline.send()
        for each in _BEGIN:
            pipeline.put(each)
        self._thread.asks_nothing = True

    def commit(self) -> None:
        """Commit; nothing to do where nothing was asked.

        Raises InternalError where the server answers a COMMIT with ROLLBACK, as it does when
        something has failed before.
        """
        pipeline = self._pipeline()
        if self._thread.asks_nothing and pipeline.is_idle():
            pipeline.drop()
        else:
            answer = pipeline.put("COMMIT")
            if answer.done != "COMMIT":  # something failed, and whoever saw it went on
                raise InternalError("The transaction was rolled back.")

    def rollback(self) -> None:
        """Roll back; nothing to do where nothing was said."""
        pipeline = self._pipeline()
        pipeline.drop()
        if not pipeline.is_idle():
            pipeline.put("ROLLBACK")
            pipeline.send()

    def run(self, sql: str, params: Sequence[Any]) -> Answer:
        """Run a kept statement, after what waits.

        Raises InvalidValue for a text with a NUL, as `execute_sql` does.
        """
        answer = self._put(sql, params)
        answer.pipeline.send()
        return answer

    def say(self, sql: str, params: Sequence[Any] | None = None) -> Callable[[], int]:
        """Have a kept statement run before whatever is asked next; what it raises comes then.

        Return what tells how many rows it changed.
        """
        answer = self._put(sql, params)
        if not self.in_transaction():
            answer.pipeline.send()
        return answer.changed

    def ask_ahead(self, sql: str, params: Sequence[Any]) -> Callable[[], list[Any]]:
        """Ask something together with what is asked next, and read it after that."""
        asks_nothing = self._thread.asks_nothing
        answer = self._put(sql, params)
        self._thread.asks_nothing = asks_nothing
        return answer.fetchall

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement, on a new connection if the server has ended the one at hand.

        Never within a transaction: what came before is lost, and the caller must hear of it.
        Raises InvalidValue for a text with a NUL, which PostgreSQL cannot store or compare.
        """
        self._thread.asks_nothing = False
        if not self.in_transaction():
            self._renew_if_lost()
        pipeline = self._pipeline()
        if pipeline:
            pipeline.send()
        with _no_nul():
            return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def _put(self, sql: str, params: Sequence[Any] | None) -> Answer:
        self._thread.asks_nothing = False
        if not self.in_transaction():
            self._renew_if_lost()
        with _no_nul():
            return self._pipeline().put(sql, params)

    def _pipeline(self) -> Pipeline:
        connection, found = self._at_hand(), self._thread.pipeline
        if found is None or found.connection is not connection:
            found = self._thread.pipeline = Pipeline(connection)
        return found

    def _at_hand(self) -> psycopg.Connection[Any]:
        found: psycopg.Connection[Any] = self.connection()  # type: ignore[no-untyped-call]
        return found

    def _renew_if_lost(self) -> None:
        if _is_lost(self._at_hand()):
            self.close()
            self._at_hand()

    def _initialize_connection(self, conn: psycopg.Connection[Any]) -> None:
        # What is worth preparing goes by the pipeline; and psycopg, when it lets go of what it has
        # prepared, lets go of all.
        conn.prepare_threshold = None
        conn.execute(_SESSION)

    @contextlib.contextmanager
    def migrating(self, tables: Iterable[str]) -> Iterator[None]:
        """Be the only one that migrates; others wait here. See `db.migrating`."""
        while not self._value(f"SELECT pg_try_advisory_lock({_MIGRATION})"):
            time.sleep(0.1)
        try:
            encoding = self._value("SHOW server_encoding")
            if encoding != "UTF8":  # names would be refused one by one, years later
                raise ConfigurationError(
                    f"KEYWRIGHT_DATABASE_URL: this database's encoding is {encoding}, not UTF8."
                )
            yield
            with self.atomic():
                self._order_by_code_point(tables)
        finally:
            with contextlib.suppress(PeeweeException):  # a lost connection has let go already
                self._value(f"SELECT pg_advisory_unlock({_MIGRATION})")

    def _order_by_code_point(self, tables: Iterable[str]) -> None:
        found: dict[str, list[str]] = {}
        for table, column, kind in self.execute_sql(_OTHER_COLLATION, (list(tables),)).fetchall():
            found.setdefault(table, []).append(f'ALTER "{column}" TYPE {kind} COLLATE "C"')
        for table, changes in found.items():
            self.execute_sql(f'ALTER TABLE "{table}" {", ".join(changes)}')

    def _value(self, sql: str) -> Any:
        return self.execute_sql(sql).fetchone()[0]


def open_postgresql(url: str) -> Postgresql:
    """Return the database of an address, not connected yet. Raises ConfigurationError."""
    url = "postgresql://" + url.partition("://")[2]  # both spellings are common
    try:
        given = conninfo_to_dict(url)
        _ = urlsplit(url).port
    except (psycopg.ProgrammingError, ValueError):  # the text may hold the password
        raise ConfigurationError(
            "KEYWRIGHT_DATABASE_URL: this is not an address that PostgreSQL understands; "
            "postgresql://user:password@host/database is one."
        ) from None
    wanted = {name: value for name, value in _CONNECTION.items() if name not in given}
    return Postgresql(url, prefer_psycopg3=True, **wanted)


@contextlib.contextmanager
def _no_nul() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        if "NUL" in str(error):
            raise InvalidValue("A text holds a NUL.") from None
        raise


def _is_lost(connection: psycopg.Connection[Any]) -> bool:
    """Say whether a connection at rest is gone: the server talks unasked only to say goodbye."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
