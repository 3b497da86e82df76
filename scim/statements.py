# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Queries that are written by peewee once and run many times.

Building a query costs peewee twenty times what SQLite needs to answer it. A statement is built
at its first use, with parameters in the place of values, and kept by its shape; every database's
dialect stays peewee's business.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import Value

from provisioning.db import database

MAX_KEPT = 1_000  # shapes; a client that invents new ones makes the rest start again

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Parameter:
    """Stands for the value at this place when the statement is run."""

    index: int


def parameter(index: int) -> Any:
    """Return a parameter as a term of a query; no column converts it."""
    return Value(Parameter(index), converter=False)


class Statements:
    """The statements that one function builds: one for each shape it is asked for."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._kept: dict[Hashable, tuple[str, list[object]]] = {}

    def rows(self, shape: tuple[Hashable, ...], values: Sequence[object]) -> Rows:
        """Run the statement that `build(*shape)` makes, and return its rows."""
        key = (type(database.obj), *shape)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            kept = self._kept[key] = self._build(*shape).sql()
        sql, terms = kept
        given = [values[term.index] if isinstance(term, Parameter) else term for term in terms]
        found: Rows = database.execute_sql(sql, given).fetchall()
        return found


class ListStatements:
    """Statements over a list of row ids, `build(ids, scope, …)`: few lengths, the rest padded.

    `scope` is one more parameter, for whoever the rows must belong to.
    """

    LONGEST = 512

    def __init__(self, build: Callable[..., Any]) -> None:
        self._statements = Statements(
            lambda size, *shape: build([parameter(place) for place in range(size)],
                                       parameter(size), *shape)
        )

    def rows(
        self, ids: Sequence[int], *shape: Hashable, scope: object = None
    ) -> Iterator[tuple[Any, ...]]:
        """Run the statement on all the ids, in as many turns as they need."""
        for start in range(0, len(ids), self.LONGEST):
            part = list(ids[start:start + self.LONGEST])
            size = 1 << (len(part) - 1).bit_length()
            part += [part[-1]] * (size - len(part))
            yield from self._statements.rows((size, *shape), [*part, scope])
