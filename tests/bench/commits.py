# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The other yardstick: a row and its commit, and nothing else, on the same database and disk."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

Commit = Callable[[int], None]


@contextmanager
def bare(folder: Path, database_url: str) -> Iterator[Callable[[int], float]]:
    """Yield what times so many bare commits, the seconds of one in the mean.

    On SQLite in a file beside the product's, with its promise: WAL and synchronous=FULL.
    """
    numbers = itertools.count()
    with _postgresql(database_url) if database_url else _sqlite(folder) as commit:

        def timed(count: int) -> float:
            begun = time.perf_counter()
            for number in itertools.islice(numbers, count):
                commit(number)
            return (time.perf_counter() - begun) / count

        yield timed


@contextmanager
def _sqlite(folder: Path) -> Iterator[Commit]:
    with closing(sqlite3.connect(folder / "commits.sqlite3", isolation_level=None)) as opened:
        opened.execute("PRAGMA journal_mode = wal")
        opened.execute("PRAGMA synchronous = full")
        opened.execute("CREATE TABLE bare (number INTEGER, text TEXT)")
        yield lambda number: _done(opened.execute("INSERT INTO bare VALUES (?, 'x')", (number,)))


@contextmanager
def _postgresql(url: str) -> Iterator[Commit]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as opened:
        opened.execute("CREATE TABLE bare (number INTEGER, text TEXT)")
        yield lambda number: _done(opened.execute("INSERT INTO bare VALUES (%s, 'x')", (number,)))


def _done(_: object) -> None:
    return None
