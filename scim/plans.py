# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How a filter is run: kept statements for the shapes that directories send, others as they come.

Directories ask the same thing with a new value each time, so a statement is kept by the filter's
shape: the filter with parameters in the place of the texts that it compares with `eq`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from peewee import fn

from provisioning.models import Connection, Group, User
from provisioning.storage.db import is_sqlite
from provisioning.upstream import tally

from .columns import ALWAYS, Condition, beyond, compile_filter, order_by
from .cursors import Edge
from .errors import InvalidFilter
from .expressions import (
    And,
    Comparison,
    Element,
    Expression,
    Not,
    Operator,
    Or,
    Present,
    attributes_of,
)
from .lookups import UNASKED, leaf_for, slots, sort_column
from .matching import sought
from .resource_types import ALL, GROUP, SECURITY_KEY, USER
from .rows import primary_key, select
from .schema import AttributePath, ResourceType
from .statements import Parameter, Statements, parameter

_FIRST = 3  # the parameters before a filter's own: connection, limit, offset or last row id
_WALKED = frozenset({"id", "userName", "meta.lastModified"})  # of users: each has an index
_TYPES = {type_.name: type_ for type_ in ALL}
_TALLIED: dict[str, type[User] | type[Group]] = {USER.name: User, GROUP.name: Group}

Found = Iterable[tuple[Any, ...]]


@dataclass(frozen=True)
class Plan:
    """A filter ready to be run. If it is not exact, what it finds is still to be asked."""

    type: ResourceType
    connection: Connection
    condition: Condition
    shape: Expression | None = None
    texts: tuple[str, ...] | None = None  # None: the shape is not worth keeping

    @property
    def exact(self) -> bool:
        """Whether every row that it finds matches the filter."""
        return self.condition.exact

    def page(self, path: AttributePath | None, descending: bool, offset: int, limit: int) -> Found:
        """Return rows in order; without a path in the order of their making.

        Behind each row's own columns comes the one that it was sorted by, if there is one.
        """
        walked = self._is_walked(path, limit + offset)
        return self._run("page", limit, offset, path, descending, offset > 0, walked)

    def batch(self, last: int, limit: int) -> Found:
        """Return the rows after the row id `last`."""
        return self._run("batch", limit, last, walked=self._is_walked(None, limit))

    def after(self, path: AttributePath, descending: bool, edge: Edge, limit: int) -> Found:
        """The same behind an edge in the order of a column, by keyset."""
        missing, value = edge.key if edge.key is not None else (True, "")
        what = "after missing" if missing else "after"
        walked = self._is_walked(path, limit)
        return self._run(what, limit, edge.pk, path, descending, False, walked, value)

    def count(self) -> int:
        """Return how many rows there are."""
        if self.texts == () and self.shape is None and self.type.name in _TALLIED:
            return tally.living(_TALLIED[self.type.name], self.connection.id)
        return int(next(iter(self._run("count", 0, 0)))[0])

    def _is_walked(self, path: AttributePath | None, limit: int) -> bool:
        """Say whether the index of what is sorted by is the short way to a page.

        SQLite sorts all of a connection's people, or keys, instead. The index holds everybody's,
        so that it is the long way for a small directory beside a large one.
        """
        if not is_sqlite() or not self._could_be_walked(path):
            return False
        own = tally.living(User, self.connection.id)
        return own * own > limit * tally.of_all(User)

    def _could_be_walked(self, path: AttributePath | None) -> bool:
        if self.type is SECURITY_KEY:  # whose they are is in another table, so by row id alone
            return path is None
        whole = self.shape is None and self.texts == ()
        return self.type is USER and whole and str(path) in _WALKED

    def _run(
        self,
        what: str,
        limit: int,
        second: int,
        path: AttributePath | None = None,
        descending: bool = False,
        deep: bool = False,
        walked: bool = False,
        edge: object = None,
    ) -> Found:
        if self.texts is None:
            query: Any = _query(
                self.type,
                self.condition.sql,
                what,
                path,
                descending,
                deep,
                walked,
                (self.connection.id, limit, second, edge),
            )
            return query.tuples()  # type: ignore[no-any-return]
        shape = (self.type.name, self.shape, what, path, descending, deep, walked, len(self.texts))
        given = (self.connection.id, limit, second, *self.texts)
        return _KEPT.rows(shape, given if edge is None else (*given, edge))


def plan(
    type_: ResourceType, connection: Connection, base: str, filter_: Expression | None
) -> Plan:
    """Return the plan for a filter. Raises InvalidFilter."""
    if filter_ is None:
        return Plan(type_, connection, ALWAYS, None, ())
    texts: list[str] = []
    shape = _shape(filter_, slots(type_), texts)
    if shape is None:
        condition = compile_filter(filter_, leaf_for(type_, connection, base))
        if type_ is GROUP and not condition.exact and "members" in attributes_of(filter_):
            raise InvalidFilter("Groups are filtered by members or by custom attributes, not both.")
        return Plan(type_, connection, condition)
    return Plan(type_, connection, _condition(type_.name, shape), shape, tuple(texts))


def _shape(filter_: Expression, slots_: frozenset[str], texts: list[str]) -> Expression | None:
    """Return the filter with parameters for its texts, or None if it has anything else."""
    match filter_:
        case Comparison(path, Operator.EQ, str() as text) if str(path) in slots_:
            wanted = sought(path.leaf, Operator.EQ, text)
            if not wanted:
                return None  # of an empty displayName no column knows
            texts.append(wanted)
            return replace(filter_, value=Parameter(_FIRST + len(texts) - 1))
        case Comparison(path, Operator.EQ, bool()) if str(path) in slots_:
            return filter_
        case Comparison(path, Operator.EQ, str()) if str(path) in UNASKED:
            return replace(filter_, value="")
        case Present(path) if str(path) in slots_:
            return filter_
        case Element(path, where):
            inner = _shape(where, slots_, texts)
            return Element(path, inner) if inner is not None else None
        case Not(term):
            inner = _shape(term, slots_, texts)
            return Not(inner) if inner is not None else None
        case And(terms) | Or(terms):
            found = [_shape(term, slots_, texts) for term in terms]
            whole = tuple(each for each in found if each is not None)
            return type(filter_)(whole) if len(whole) == len(terms) else None
    return None


@lru_cache(maxsize=1_000)
def _condition(type_name: str, shape: Expression) -> Condition:
    # Slots are columns and rows only: neither the connection nor the address is asked.
    return compile_filter(shape, leaf_for(_TYPES[type_name], Connection(), ""))


def _query(
    type_: ResourceType,
    sql: Any,
    what: str,
    path: AttributePath | None,
    descending: bool,
    deep: bool,
    walked: bool,
    given: tuple[Any, Any, Any, Any],
) -> Any:
    connection, limit, second, edge = given
    conditions = [sql] if sql is not None else []
    query = select(type_, connection, *conditions, walked=walked)
    pk = primary_key(type_)
    if what == "count":
        return query.select(fn.COUNT(pk))
    if what == "batch":
        return query.where(pk > second).order_by(pk).limit(limit)
    column = sort_column(type_, path)
    if what.startswith("after") and column is not None:
        ahead = beyond(column, pk, (edge, second), valued=what == "after", descending=descending)
        query = query.where(ahead)
    order = [*(order_by(column, descending=descending) if column is not None else []), pk]
    if deep:
        # OFFSET goes over the index alone, so that a page deep in the list reads few documents.
        ids = query.select(pk).order_by(*order).limit(limit).offset(second)
        query = select(type_, connection, pk.in_(ids))
    else:
        query = query.limit(limit)
    if column is not None:
        query = query.select_extend(column)
    return query.order_by(*order)


def _statement(
    type_name: str,
    shape: Expression | None,
    what: str,
    path: AttributePath | None,
    descending: bool,
    deep: bool,
    walked: bool,
    texts: int,
) -> Any:
    condition = ALWAYS if shape is None else _condition(type_name, shape)
    given = (parameter(0), parameter(1), parameter(2), parameter(_FIRST + texts))
    return _query(_TYPES[type_name], condition.sql, what, path, descending, deep, walked, given)


_KEPT = Statements(_statement)
