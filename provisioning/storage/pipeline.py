# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Kept statements on their way to PostgreSQL: prepared once, and many of them in one message.

psycopg's cursors take each statement for a stranger and send it on its own, in its pipelines,
too; for a request of ten statements that costs more than the server needs to do them. So these go
by what psycopg's cursors are made of: its libpq, its adaptation of values, its waiting.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import count
from typing import Any

import psycopg
from peewee import EXCEPTIONS, ExceptionWrapper, InternalError  # type: ignore[attr-defined]
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, pipeline_communicate, send
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8Dumper

MAX_PREPARED = 200  # on one connection; the one that was used longest ago makes room

_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED)
_Key = tuple[str, tuple[int, ...]]
_Undo = Callable[[], object]

_as_peewee_has_it = ExceptionWrapper(EXCEPTIONS)


class Answer:
    """What the server says to a statement; whoever looks has everything sent that waits."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.result: PGresult | None = None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows. Raises PeeweeException for the first that failed up to here."""
        return self.pipeline.rows(self._told())

    def changed(self) -> int:
        """Return how many rows it changed. Raises as `fetchall` does."""
        return self._told().command_tuples or 0

    @property
    def done(self) -> str:
        """What the server calls what it did, as in COMMIT. Raises as `fetchall` does."""
        return (self._told().command_status or b"").decode()

    def _told(self) -> PGresult:
        if self.result is None:
            self.pipeline.send()
        if self.result is None:  # and whoever asked has gone on all the same
            raise InternalError("This was not done: something before it failed.")
        return self.result


class Pipeline:
    """What a connection has not been told yet, and what is prepared on it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._pgconn = connection.pgconn
        self._values = Transformer(_Adapted(connection))
        self._prepared: OrderedDict[_Key, bytes] = OrderedDict()
        self._names = 0
        self._commands: deque[Callable[[], None]] = deque()
        # For each command whom its result concerns, or what is to be done if it was not.
        self._awaited: list[Answer | _Undo] = []

    def __len__(self) -> int:
        return len(self._commands)

    def is_idle(self) -> bool:
        """Say whether the server knows of no transaction here, or has given it up with all else."""
        return self.connection.closed or self._pgconn.transaction_status == TransactionStatus.IDLE

    def put(self, sql: str, params: Sequence[Any] | None = None) -> Answer:
        """Add a statement. Raises PeeweeException for a value that PostgreSQL cannot have."""
        values, formats = None, None
        types: tuple[int, ...] = ()
        if params:
            try:
                values = self._values.dump_sequence(params, [PyFormat.AUTO] * len(params))
            except psycopg.Error:
                with _as_peewee_has_it:
                    raise
            types, formats = self._values.types or (), self._values.formats
        answer = Answer(self)
        if sql.startswith("ROLLBACK"):
            # What has failed takes nothing else: also no DEALLOCATE that makes room for this.
            self._add(partial(self._pgconn.send_query_params, sql.encode(), None), answer)
        else:
            name = self._prepare((sql, types))
            self._add(partial(self._pgconn.send_query_prepared, name, values, formats), answer)
        return answer

    def send(self) -> None:
        """Say all that waits, in one message, and wait for what the server says.

        Raises PeeweeException for the first that failed; nothing behind it was done.
        """
        try:
            self._exchange()
        except psycopg.Error:
            with _as_peewee_has_it:
                raise

    def drop(self) -> None:
        """Forget what the server has not been told."""
        self._undo(self._awaited)
        self._commands.clear()
        self._awaited.clear()

    def rows(self, result: PGresult) -> list[tuple[Any, ...]]:
        """Return the rows of a result."""
        self._values.set_pgresult(result, set_loaders=True)
        rows = self._values.load_rows(0, result.ntuples, tuple)
        self._values.set_pgresult(None)  # a page of documents is not to live until the next one
        return rows

    def _prepare(self, key: _Key) -> bytes:
        name = self._prepared.get(key)
        if name is not None:
            self._prepared.move_to_end(key)
            return name
        if len(self._prepared) >= MAX_PREPARED:
            oldest, name = self._prepared.popitem(last=False)
            deallocate = partial(self._pgconn.send_query_params, b"DEALLOCATE " + name, None)
            self._add(deallocate, partial(self._restore, oldest, name))
        self._names += 1
        name = self._prepared[key] = b"kept_%d" % self._names
        sql, types = key
        prepare = partial(self._pgconn.send_prepare, name, _numbered(sql), types)
        self._add(prepare, partial(self._prepared.pop, key))
        return name

    def _restore(self, oldest: _Key, name: bytes) -> None:
        self._prepared[oldest] = name
        self._prepared.move_to_end(oldest, last=False)

    def _undo(self, awaited: Sequence[Answer | _Undo]) -> None:
        """Know again what was prepared before these, none of which the server has done."""
        for whom in reversed(awaited):
            if not isinstance(whom, Answer):
                whom()

    def _add(self, command: Callable[[], None], whom: Answer | _Undo) -> None:
        self._commands.append(command)
        self._awaited.append(whom)

    def _exchange(self) -> None:
        commands, awaited = self._commands, self._awaited
        self._commands, self._awaited = deque(), []
        commands.append(self._pgconn.pipeline_sync)
        wait = self.connection.wait
        try:
            self._pgconn.enter_pipeline_mode()
            results = wait(pipeline_communicate(self._pgconn, commands))
            if self._pgconn.flush():  # more than the socket took: the server waits for the rest
                wait(send(self._pgconn))
            while len(results) <= len(awaited):  # and one for the sync
                results.append(wait(fetch_many(self._pgconn)))
            self._pgconn.exit_pipeline_mode()
        except BaseException:  # nobody knows how far it came
            self.connection.close()
            raise
        for place, (whom, (result, *_)) in enumerate(zip(awaited, results, strict=False)):
            if result.status in _FAILED:  # and all behind it were passed over
                self._undo(awaited[place:])
                raise error_from_result(result, self.connection.info.encoding)
            if isinstance(whom, Answer):
                whom.result = result


class _Adapted:
    """How values are told: as psycopg has it, but all whole numbers as one type.

    A statement is prepared for types, and psycopg has three for numbers, by their size.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(connection.adapters)
        self.adapters.register_dumper(int, Int8Dumper)


@lru_cache(maxsize=2_000)
def _numbered(sql: str) -> bytes:
    """Return a statement with its parameters as PostgreSQL itself has them: $1, $2 …"""
    places = count(1)
    text = re.sub("%[s%]", lambda each: "%" if each[0] == "%%" else f"${next(places)}", sql)
    return text.encode()
