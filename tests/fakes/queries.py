# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is asked of the database: how often, and which indexes answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from provisioning.storage.db import database, is_sqlite


def _ways() -> list[str]:
    """By which methods a statement reaches the database, none of which calls another."""
    return ["execute_sql"] if is_sqlite() else ["execute_sql", "run", "say", "ask_ahead"]


@contextmanager
def _met(meet: Callable[[str, Any], None]) -> Iterator[None]:
    """In the block, `meet` sees each statement before it runs, of all threads of this process."""
    opened = database.obj
    ways = _ways()

    def met(way: str) -> Callable[..., Any]:
        run = getattr(opened, way)

        def meeting(sql: str, params: Any = None) -> Any:
            meet(sql, params)
            return run(sql, params)

        return meeting

    for way, run in [(way, met(way)) for way in ways]:
        setattr(opened, way, run)
    try:
        yield
    finally:
        for way in ways:
            delattr(opened, way)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that run in the block, with their values, of all threads of this process."""
    seen: list[str] = []
    with _met(lambda sql, params: seen.append(f"{sql} {list(params or ())}")):
        yield seen


@contextmanager
def interrupted(at: int, others: Callable[[], object]) -> Iterator[None]:
    """In the block, right before the statement of this number, others do what they do."""
    left = [at]

    def meet(*_: object) -> None:
        left[0] -= 1
        if left[0] == -1:  # theirs count on, far below
            others()

    with _met(meet):
        yield


@contextmanager
def journeys() -> Iterator[list[list[str]]]:
    """The messages to PostgreSQL in the block, each as the first words of its kept statements."""
    from provisioning.storage.pipeline import Pipeline  # the unit lane runs without its driver

    said: list[list[str]] = []
    message: list[str] = []
    put, drop, send = Pipeline.put, Pipeline.drop, Pipeline._exchange

    def putting(self: Pipeline, sql: str, params: Any = None) -> Any:
        message.append(sql.split()[0])
        return put(self, sql, params)

    def dropping(self: Pipeline) -> None:
        message.clear()
        drop(self)

    def sending(self: Pipeline) -> None:
        said.append(message.copy())
        message.clear()
        send(self)

    with (
        patch.object(Pipeline, "put", putting),
        patch.object(Pipeline, "drop", dropping),
        patch.object(Pipeline, "_exchange", sending),
    ):
        yield said


def plans(statements: list[str]) -> list[str]:
    """How SQLite would answer each of the statements that `counted` has seen."""
    asked = [each.rpartition(" [")[0] for each in statements]
    return [
        str(database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall())
        for sql in asked
    ]
