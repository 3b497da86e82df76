# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Statements that peewee writes once and that run many times, for the paths that must be fast.

Building a query costs peewee twenty times what SQLite needs to answer it (139 µs against 7), and
making models of the answer as much again. A statement is built at its first use, with parameters
in the place of values, and kept by its shape; every database's dialect stays peewee's business.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from peewee import BooleanField, Database, Value

from ..models import Row
from .db import database

MAX_KEPT = 1_000  # shapes; a client that invents new ones makes the rest start again

Rows = list[tuple[Any, ...]]
Changed = Callable[[], int]  # of rows that a statement changes, for whoever asks when it is over
R = TypeVar("R", bound=Row)
# Its text; its terms; at which of them which value goes; whether the values are just what it takes.
_Statement = tuple[str, list[Any], list[tuple[int, int]], bool]


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
        self._kept: dict[Hashable, _Statement] = {}

    def rows(self, shape: tuple[Hashable, ...], values: Sequence[object]) -> Rows:
        """Run the statement that `build(*shape)` makes, and return its rows."""
        found: Rows = database.obj.run(*self._filled(shape, values)).fetchall()
        return found

    def change(self, shape: tuple[Hashable, ...], values: Sequence[object]) -> int:
        """The same for a statement that has no rows; return how many it changed."""
        return self.say(shape, values)()

    def say(self, shape: tuple[Hashable, ...], values: Sequence[object]) -> Changed:
        """Have it run before whatever this transaction asks next; return what tells how many rows.

        For what cannot fail but with all the rest: what it raises is raised then.
        """
        changed: Changed = database.obj.say(*self._filled(shape, values))
        return changed

    def ahead(self, shape: tuple[Hashable, ...], values: Sequence[object]) -> Callable[[], Rows]:
        """The same as `rows` for a transaction that is about to ask something else.

        It may travel along with that: the rows are to be asked for afterwards.
        """
        asked: Callable[[], Rows] = database.obj.ask_ahead(*self._filled(shape, values))
        return asked

    def _filled(
        self, shape: tuple[Hashable, ...], values: Sequence[object]
    ) -> tuple[str, Sequence[object]]:
        opened = database.obj  # and not the proxy, which looks each name up for each call
        kept = self._kept.get((opened.__class__, shape))
        if kept is None:
            kept = self._keep(opened, shape)
        sql, constants, places, in_order = kept
        if in_order and len(values) == len(constants):
            return sql, values
        given = constants.copy()
        for place, index in places:
            given[place] = values[index]
        return sql, given

    def _keep(self, opened: Database, shape: tuple[Hashable, ...]) -> _Statement:
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        sql, terms = self._build(*shape).sql()
        # A driver takes a member of an enumeration for a type of somebody's own, and looks for
        # whoever could adapt it.
        constants = [term.value if isinstance(term, Enum) else term for term in terms]
        places = [(place, t.index) for place, t in enumerate(terms) if isinstance(t, Parameter)]
        in_order = places == [(place, place) for place in range(len(terms))]
        kept = self._kept[opened.__class__, shape] = sql, constants, places, in_order
        return kept


class ListStatements:
    """Statements over a list of ids, `build(ids, scope, …)`: few lengths, the rest padded.

    `scope` is one more parameter, for whoever the rows must belong to.
    """

    LONGEST = 512

    def __init__(self, build: Callable[..., Any]) -> None:
        self._statements = Statements(
            lambda size, *shape: build(
                [parameter(place) for place in range(size)], parameter(size), *shape
            )
        )

    def rows(
        self, ids: Sequence[object], *shape: Hashable, scope: object = None
    ) -> Iterator[tuple[Any, ...]]:
        """Run the statement on all the ids, in as many turns as they need."""
        for size, values in self._parts(ids, scope):
            yield from self._statements.rows((size, *shape), values)

    def change(self, ids: Sequence[object], *shape: Hashable, scope: object = None) -> int:
        """The same for a statement that has no rows; return how many it changed."""
        return sum(
            self._statements.change((size, *shape), values)
            for size, values in self._parts(ids, scope)
        )

    def _parts(self, ids: Sequence[object], scope: object) -> Iterator[tuple[int, list[object]]]:
        for start in range(0, len(ids), self.LONGEST):
            part = list(ids[start : start + self.LONGEST])
            size = 1 << (len(part) - 1).bit_length()
            part += [part[-1]] * (size - len(part))
            yield size, [*part, scope]


def new(table: type[R], **values: object) -> R:
    """Return a row to insert, with its columns as they are stored.

    The model's own way costs three times as much.
    """
    plain, made = _defaults(table)
    row: R = table(__no_default__=1)
    row.__data__ = {**plain, **{name: make() for name, make in made}, **values}
    return row


def insert(row: Row) -> None:
    """Write a new row and learn its id."""
    names = _columns(type(row))
    row.id = _INSERT.rows((type(row),), _values(row, names))[0][0]


def update(row: Row, *names: str, refusable: bool = True) -> None:
    """Write these columns of a row that is there; all of them where none is named.

    `refusable`: False where no index may refuse them, so that nobody needs to wait.
    """
    names = names or _columns(type(row))
    changed = _UPDATE.say((type(row), names), (*_values(row, names), row.id))
    if refusable:
        changed()


def rows_of(table: type[Row], columns: Sequence[str], count: int) -> Any:
    """Return the statement that writes so many rows, their values one after the other."""
    width = len(columns)
    rows = [
        {column: parameter(row * width + place) for place, column in enumerate(columns)}
        for row in range(count)
    ]
    return table.insert_many(rows).returning()  # nothing: on PostgreSQL peewee wants their keys


def models(table: type[R], rows: Rows) -> list[R]:
    """Return rows of all columns, as `table.select()` has them, as models."""
    names, booleans = table._meta.sorted_field_names, _booleans(table)
    made = []
    for row in rows:
        data = dict(zip(names, row, strict=True))
        for name in booleans:  # SQLite has none of its own
            if data[name] is not None:
                data[name] = bool(data[name])
        each: R = table(__no_default__=1)
        each.__data__ = data
        made.append(each)
    return made


def model(table: type[R], row: tuple[Any, ...]) -> R:
    """Return one of them."""
    return models(table, [row])[0]


def _values(row: Row, names: Sequence[str]) -> list[object]:
    return [row.__data__.get(name) for name in names]


@cache
def _columns(table: type[Row]) -> tuple[str, ...]:
    return tuple(name for name in table._meta.sorted_field_names if name != "id")


@cache
def _defaults(
    table: type[Row],
) -> tuple[dict[str, object], tuple[tuple[str, Callable[[], object]], ...]]:
    """Return what columns begin with, and what makes the rest of these values."""
    given = {
        field.name: field.default
        for field in table._meta.sorted_fields
        if field.default is not None
    }
    made = tuple((name, value) for name, value in given.items() if callable(value))
    return {name: value for name, value in given.items() if not callable(value)}, made


@cache
def _booleans(table: type[Row]) -> tuple[str, ...]:
    fields = table._meta.sorted_fields
    return tuple(field.name for field in fields if isinstance(field, BooleanField))


_INSERT = Statements(
    lambda table: table.insert(
        {name: parameter(place) for place, name in enumerate(_columns(table))}
    ).returning(table.id)
)
_UPDATE = Statements(
    lambda table, names: table.update(
        {name: parameter(place) for place, name in enumerate(names)}
    ).where(table.id == parameter(len(names)))
)
