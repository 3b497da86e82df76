# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is asked of the database: how often, and which indexes answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from provisioning.storage.db import database


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that run in the block, with their values, of all threads of this process."""
    seen: list[str] = []
    opened = database.obj
    run = opened.execute_sql

    def noting(sql: str, params: Any = None) -> Any:
        seen.append(f"{sql} {list(params or ())}")
        return run(sql, params)

    opened.execute_sql = noting
    try:
        yield seen
    finally:
        del opened.execute_sql


@contextmanager
def interrupted(at: int, others: Callable[[], object]) -> Iterator[None]:
    """In the block, right before the statement of this number, others do what they do."""
    opened = database.obj
    run, left = opened.execute_sql, [at]

    def waiting(sql: str, params: Any = None) -> Any:
        left[0] -= 1
        if left[0] == -1:
            del opened.execute_sql
            others()
            opened.execute_sql = waiting
        return run(sql, params)

    opened.execute_sql = waiting
    try:
        yield
    finally:
        del opened.execute_sql


def plans(statements: list[str]) -> list[str]:
    """How SQLite would answer each of the statements that `counted` has seen."""
    asked = [each.rpartition(" [")[0] for each in statements]
    return [
        str(database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall())
        for sql in asked
    ]
