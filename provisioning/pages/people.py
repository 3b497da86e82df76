# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The Users list: counters, search, sort and keyset pages, quick with 100,000 people.

A search finds the beginnings of userName and email and of every word of the shown name. The first
two are index ranges; the last walks the index of names alone and stops at a full page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Any

from peewee import Expression, Field, ModelSelect, Tuple, fn

from .. import keys
from ..lifecycle import KeyState, UserStatus
from ..models import Connection, SecurityKey, User
from ..naming import fold
from ..storage.db import tuples
from ..storage.indexes import unindexed

PAGE = 50
MAX_SEARCH = 100


@unique
class Sort(StrEnum):
    """What the list can be ordered by."""

    NAME = "name"
    EMAIL = "email"
    ACTIVITY = "activity"


_COLUMN: dict[Sort, Field[Any]] = {
    Sort.NAME: User.display_name_key,
    Sort.EMAIL: User.email_key,
    Sort.ACTIVITY: User.last_activity_at,
}


@dataclass(frozen=True)
class Wanted:
    """What a page of the list shows; `after` and `before` are resource ids at a page's edge."""

    status: UserStatus | None = None
    search: str = ""
    sort: Sort = Sort.NAME
    descending: bool = False
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Line:
    """One person in the list, with how many keys live and how many of them wait."""

    resource_id: str
    name: str
    user_name: str
    email: str | None
    status: str
    source: str | None
    last_activity_at: int | None
    keys: int
    pending: int


@dataclass(frozen=True)
class Page:
    """A page, and whether there is more on either side."""

    lines: list[Line]
    more_before: bool
    more_after: bool


def counts() -> dict[UserStatus, int]:
    """Return how many living users are shown with each status."""
    # Grouped, the rows would be sorted by status first, which takes twice as long.
    each = (fn.COUNT(User.id).filter(User.status == status) for status in UserStatus)
    found = next(tuples(User.select(*each).where(_is_living(User))))
    return dict(zip(UserStatus, map(int, found), strict=True))


def page(wanted: Wanted, size: int = PAGE) -> Page:
    """Return one page of the list. An edge that is gone starts from the first page."""
    query = _filtered(wanted)
    edge = _edge(wanted.after or wanted.before)
    backwards = edge is not None and wanted.after is None
    descending = wanted.descending != backwards
    if edge is not None:
        query = query.where(_beyond(edge, wanted.sort, descending))
    rows = list(tuples(_ordered(query, wanted.sort, descending).limit(size + 1)))
    more, rows = len(rows) > size, rows[:size]
    if backwards:
        rows.reverse()
    return Page(
        lines=_lines(rows),
        more_before=more if backwards else edge is not None,
        more_after=more or backwards,
    )


def export(wanted: Wanted) -> Iterator[Line]:
    """Stream every line that the filters let through, in the list's order."""
    edge: str | None = None
    while True:
        found = page(replace(wanted, after=edge, before=None), 500)
        yield from found.lines
        if not found.more_after:
            return
        edge = found.lines[-1].resource_id


def _filtered(wanted: Wanted) -> ModelSelect[User]:
    query = (
        User.select(
            User.id,
            User.resource_id,
            User.display_name,
            User.user_name,
            User.email,
            User.status,
            Connection.name,
            User.last_activity_at,
        )
        .left_outer_join(Connection)
        .where(User.deleted_at.is_null())
    )
    if wanted.status is not None:
        query = query.where(User.status == wanted.status)
    return query.where(_sought(wanted)) if fold(wanted.search) else query


def matching(wanted: Wanted) -> ModelSelect[User]:
    """Return everybody whom the filters let through, as a query whose columns may be chosen."""
    query = User.select().where(User.deleted_at.is_null())
    if wanted.status is not None:
        query = query.where(User.status == wanted.status)
    key = fold(wanted.search[:MAX_SEARCH])
    return query.where(_matches(key)) if key else query


def are_found(column: Any, search: str) -> Expression:
    """Return the condition that a user's row id, a column or a term, is one that a search finds."""
    key = fold(search[:MAX_SEARCH])
    other = User.alias()
    name: Any = other.display_name_key
    words = other.select(other.id).where(
        _is_living(other), name.startswith(key) | name.contains(" " + key)
    )
    found: Expression = _begins(column, key) | column.in_(words)
    return found


def _is_living(table: Any) -> Expression:
    """Return the condition for a walk through everybody, which the index of names covers.

    SQLite would take an index of the living alone, and read each row's page besides.
    """
    living: Expression = unindexed(table.deleted_at).is_null()
    return living


def _sought(wanted: Wanted) -> Expression:
    if wanted.sort is Sort.NAME:
        return _matches(fold(wanted.search[:MAX_SEARCH]))
    # The index of another order has no names in it: those found are known before the walk, in
    # place of which SQLite would sort all of them.
    return are_found(unindexed(User.id), wanted.search)


def _matches(key: str) -> Expression:
    # The list walks the index of names anyway, so that words are looked at on the way.
    word = User.display_name_key.startswith(key) | User.display_name_key.contains(" " + key)
    return _begins(User.id, key) | word


def _begins(column: Any, key: str) -> Expression:
    # Ranges instead of LIKE, which no index of a folded key serves; U+10FFFF is in no name.
    end = key + "\U0010ffff"
    other = User.alias()
    living = other.select(other.id).where(other.deleted_at.is_null())
    by_name = living.where((other.user_name_key >= key) & (other.user_name_key < end))
    by_address = living.where((other.email_key >= key) & (other.email_key < end))
    found: Expression = column.in_(by_name) | column.in_(by_address)
    return found


def _edge(resource_id: str | None) -> User | None:
    return User.get_or_none(User.resource_id == resource_id) if resource_id is not None else None


def _beyond(edge: User, sort: Sort, descending: bool) -> Expression:
    """Rows past the edge. What is missing (no address, never active) sorts lowest."""
    column = _COLUMN[sort]
    value = getattr(edge, column.name)
    past: Expression
    if value is None:
        missing = column.is_null()
        if descending:
            past = missing & (User.id < edge.id)
        else:
            past = (missing & (User.id > edge.id)) | column.is_null(False)
        return past
    here, there = Tuple(column, User.id), Tuple(value, edge.id)
    past = here < there if descending else here > there
    return past | column.is_null() if descending and column.null else past


def _ordered(query: ModelSelect[User], sort: Sort, descending: bool) -> ModelSelect[User]:
    column = _COLUMN[sort]
    if descending:
        lowest = "LAST" if column.null else None
        return query.order_by(column.desc(nulls=lowest), User.id.desc())
    lowest = "FIRST" if column.null else None
    return query.order_by(column.asc(nulls=lowest), User.id)


def _lines(rows: list[tuple[Any, ...]]) -> list[Line]:
    living: dict[int, int] = {row[0]: 0 for row in rows}
    pending: dict[int, int] = dict(living)
    # All states, and not the living ones alone: SQLite would go by the state and read all keys.
    counted = (
        SecurityKey.select(SecurityKey.user, SecurityKey.state, fn.COUNT(SecurityKey.id))
        .where(SecurityKey.user.in_(list(living)))
        .group_by(SecurityKey.user, SecurityKey.state)
    )
    for user_id, state, count in tuples(counted) if rows else ():
        if state in keys.LIVING:
            living[user_id] += count
        if state == KeyState.PENDING:
            pending[user_id] += count
    return [Line(*(*row[1:], living[row[0]], pending[row[0]])) for row in rows]
