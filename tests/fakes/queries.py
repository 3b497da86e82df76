# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Counting what is asked of the database."""

from __future__ import annotations

from collections.abc import Iterator
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
