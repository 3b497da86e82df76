# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Filters to SQL over the look-up columns, the same on SQLite and PostgreSQL.

A condition is exact, or it lets through more than the filter does; what is let through is then
read and asked by `matching`. So no answer depends on what a database thinks of case, Unicode or
JSON, and what directories filter by is answered by an index. A list's elements are looked for by
a subquery, never a join: `not (emails.value eq "x")` means that none is x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import reduce
from operator import and_, or_
from typing import Any

from peewee import SQL, Field, PostgresqlDatabase, fn

from provisioning.storage.db import database

from .expressions import (
    And,
    Comparison,
    Element,
    Expression,
    Never,
    Not,
    Operator,
    Or,
    Present,
    Value,
)
from .matching import sought
from .schema import Attribute
from .statements import Parameter, parameter

# peewee's expressions are untyped; `Any` here is "something for where()".
Sql = Any
Leaf = Comparison | Present | Element


@dataclass(frozen=True)
class Condition:
    """`sql` lets through every row that matches (None: every row); exact if no other one."""

    sql: Sql | None
    exact: bool


ALWAYS = Condition(None, exact=True)
NEVER = Condition(SQL("1 = 0"), exact=True)
UNKNOWN = Condition(None, exact=False)


def constant(value: bool) -> Condition:
    """Return the condition that holds always or never."""
    return ALWAYS if value else NEVER


def compile_filter(
    expression: Expression, leaf: Callable[[Leaf], Condition], *, negates: bool = True
) -> Condition:
    """Put a filter together from what `leaf` answers for its terms.

    Without `negates` a negation is left to `matching`: some elements have no row to negate.
    """
    match expression:
        case Never():
            return NEVER
        case Not(term):
            inner = compile_filter(term, leaf, negates=negates)
            if not inner.exact or not negates:
                return UNKNOWN
            if inner.sql is None:
                return NEVER
            return Condition(~fn.COALESCE(inner.sql, False), exact=True)
        case And(terms):
            found = [compile_filter(term, leaf, negates=negates) for term in terms]
            sqls = [each.sql for each in found if each.sql is not None]
            return Condition(reduce(and_, sqls) if sqls else None, all(c.exact for c in found))
        case Or(terms):
            found = [compile_filter(term, leaf, negates=negates) for term in terms]
            sqls = [each.sql for each in found if each.sql is not None]
            whole = len(sqls) == len(found)
            return Condition(
                reduce(or_, sqls) if whole and sqls else None, all(c.exact for c in found)
            )
        case Comparison() | Present() | Element():
            return leaf(expression)


def text(column: Field[Any], attribute: Attribute, op: Operator, value: Value) -> Sql:
    """Compare a column that holds what the attribute compares by (`matching.key`).

    No LIKE: its wildcards need escapes, and its case rule differs between databases.
    """
    if isinstance(value, Parameter):
        return column == parameter(value.index)
    wanted = sought(attribute, op, str(value))
    if op is Operator.EQ:
        return column == wanted
    if not wanted and op.searches:
        return column.is_null(False)
    if op is Operator.CO:
        return fn.REPLACE(column, wanted, "") != column
    if op is Operator.EW:
        size = len(wanted)
        ending = fn.SUBSTR(column, fn.LENGTH(column) - (size - 1))
        return (fn.LENGTH(column) >= size) & (ending == wanted)
    if op is Operator.SW:
        after = _after(wanted)
        starts = _ordered(column) >= wanted
        return starts & (_ordered(column) < after) if after is not None else starts
    return _relation(_ordered(column), op, wanted)


def date(column: Field[Any], op: Operator, value: Value) -> Sql:
    """Compare a column of whole milliseconds with an instant of any precision."""
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    down = int(exact.to_integral_value(ROUND_FLOOR))
    up = int(exact.to_integral_value(ROUND_CEILING))
    if op is Operator.EQ:
        return column == down if down == up else SQL("1 = 0")
    return _relation(column, op, up if op in (Operator.GE, Operator.LT) else down)


def order_by(column: Field[Any], *, descending: bool) -> list[Sql]:
    """Return ORDER BY terms: no value comes last, or first in descending order.

    A column that always has a value is ordered by itself, so that an index may do it.
    """
    missing = column.is_null()
    ordered = _ordered(column)
    if descending:
        return [*([missing.desc()] if column.null else []), ordered.desc()]
    return [*([missing.asc()] if column.null else []), ordered.asc()]


def beyond(
    column: Field[Any], pk: Field[Any], edge: tuple[Any, Any], *, valued: bool, descending: bool
) -> Sql:
    """Return what lies behind an edge in the order of `order_by`, ties by row id.

    `edge` is the value and the row id there; not `valued`: there is no value. The first half of
    each pair is the range that an index serves.
    """
    value, last = edge
    if not valued:
        behind = column.is_null() & (pk > last)
        return behind | column.is_null(False) if descending else behind
    ordered = _ordered(column)
    if descending:
        return (ordered <= value) & ((ordered < value) | (pk > last))
    behind = (ordered >= value) & ((ordered > value) | (pk > last))
    return behind | column.is_null() if column.null else behind


def _relation(column: Sql, op: Operator, value: object) -> Sql:
    match op:
        case Operator.GT:
            return column > value
        case Operator.GE:
            return column >= value
        case Operator.LT:
            return column < value
        case Operator.LE:
            return column <= value
    raise ValueError(f"{op} orders nothing")


def _ordered(column: Field[Any]) -> Sql:
    """Order text by code point as SQLite does; PostgreSQL would ask the system's locale."""
    if isinstance(database.obj, PostgresqlDatabase) and column.field_type in ("VARCHAR", "TEXT"):
        return column.collate('"C"')
    return column


def _after(prefix: str) -> str | None:
    """Return the first text after all that start with the prefix, or None if there is none."""
    head, last = prefix[:-1], ord(prefix[-1]) + 1
    if last > 0x10FFFF:
        return None
    return head + chr(0xE000 if 0xD800 <= last <= 0xDFFF else last)
