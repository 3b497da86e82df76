# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The audit log for a page: the newest first, filtered, in keyset pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

from peewee import JOIN, Expression, fn

from ..audit import CLI, LINK_HOLDER, NOBODY, SYSTEM
from ..models import (
    RARE,
    AuditEvent,
    AuditHead,
    Connection,
    PanelAccount,
    SecurityKey,
    Station,
    User,
)
from ..storage.db import tuples
from . import people

PAGE = 50
_NAMELESS = (SYSTEM, CLI, LINK_HOLDER, NOBODY)
_OFTEN = ("user", "group", "key")  # what the index of events leaves out; see `RARE`
_FEW = 200  # people and keys whose lines are looked up instead of met on the way through the log
_WHOM = fn.COALESCE(AuditEvent.user, SecurityKey.user)


def count() -> int:
    """Return how many rows the log has."""
    head = AuditHead.select().first()
    return int(head.rows) if head is not None else 0


@dataclass(frozen=True)
class Wanted:
    """What a page or an export shows.

    `kind` is an event's first word ("key"), `by` a kind of actor. A search finds beginnings of an
    actor's and of a person's name, and parts of a key's. `since` and `until` in ms, the latter
    excluded; `after` is the row id before the page.
    """

    search: str = ""
    kind: str = ""
    by: str = ""
    person: User | None = None
    since: int | None = None
    until: int | None = None
    after: int = 0


def page(wanted: Wanted, size: int = PAGE) -> tuple[list[AuditEvent], bool]:
    """Return a page, the newest first, and whether older rows follow.

    A row's `user` is whom it is about: where it names a key alone, that key's person.
    """
    query = (
        AuditEvent.select(AuditEvent, User)
        .join_from(AuditEvent, SecurityKey, JOIN.LEFT_OUTER)
        .join_from(AuditEvent, User, JOIN.LEFT_OUTER, on=(User.id == _WHOM), attr="user")
    )
    if wanted.kind:
        first, last = wanted.kind + ".", wanted.kind + "/"
        query = query.where((AuditEvent.event >= first) & (AuditEvent.event < last))
        if wanted.kind not in _OFTEN:
            query = query.where(RARE)  # said, so that the index is seen to have them all
    if wanted.by:
        query = query.where(AuditEvent.actor_kind == wanted.by)
    if wanted.person is not None:
        query = query.where(about([wanted.person.id]))
    if wanted.search.strip():
        whose = _whose(wanted.search.strip())
        if whose is None:
            return [], False
        query = query.where(whose)
    if wanted.since is not None:
        query = query.where(AuditEvent.id >= _first_at(wanted.since))
    if wanted.until is not None:
        query = query.where(AuditEvent.id < _first_at(wanted.until))
    if wanted.after:
        query = query.where(AuditEvent.id < wanted.after)
    rows = list(query.order_by(AuditEvent.id.desc()).limit(size + 1))
    return rows[:size], len(rows) > size


def about(users: Sequence[int]) -> Expression:
    """Return the condition for lines of these people, by row id, and of their keys.

    A wizard's card is tapped before its person is there: those lines name the key alone.
    """
    theirs = SecurityKey.select(SecurityKey.id).where(SecurityKey.user.in_(users))
    found: Expression = AuditEvent.user.in_(users) | _alone(theirs)
    return found


def export(wanted: Wanted) -> Iterator[AuditEvent]:
    """Stream every line that the filters let through, the newest first."""
    after = wanted.after
    while True:
        rows, more = page(replace(wanted, after=after), 500)
        yield from rows
        if not more:
            return
        after = rows[-1].id


def _first_at(moment: int) -> int:
    """Return the id of the first line at or after a moment, or one past the last.

    Lines are numbered in the order of time, so halving finds it; an index of times would have to
    be written with every change of anything.
    """
    newest = AuditEvent.select(fn.MAX(AuditEvent.id)).scalar() or 0
    low, high = 1, newest + 1
    while low < high:
        middle = (low + high) // 2
        line = (
            AuditEvent.select(AuditEvent.id, AuditEvent.at)
            .where(AuditEvent.id >= middle)
            .order_by(AuditEvent.id)
            .first()
        )
        if line is None or line.at >= moment:
            high = middle
        else:
            low = line.id + 1
    return low


def _whose(search: str) -> Expression | None:
    """Return the condition for lines of and by whom and what a search finds; None: it finds none.

    A walk through the whole log is long when it meets nobody, and short when it meets many.
    """
    found = User.select(User.id).where(people.are_found(User.id, search)).limit(_FEW + 1)
    whom = [user.id for user in found]
    named = SecurityKey.select(SecurityKey.id, SecurityKey.user).where(
        SecurityKey.name.contains(search)
    )
    held: dict[int, int | None] = dict(tuples(named.limit(_FEW + 1)))
    parts: list[Expression] = []
    if _is_known_actor(search):
        parts.append(AuditEvent.actor_name.startswith(search))
    if whom:
        few = len(whom) <= _FEW
        parts.append(about(whom) if few else people.are_found(_WHOM, search))
    if held:
        few = len(held) <= _FEW
        parts.append(_of(held) if few else SecurityKey.name.contains(search))
    return reduce(or_, parts) if parts else None


def _of(held: dict[int, int | None]) -> Expression:
    """Return the condition for lines of these keys: their people have an index, and they none."""
    whom = [user for user in held.values() if user is not None]
    theirs: Expression = AuditEvent.user.in_(whom) & AuditEvent.key.in_(list(held))
    return theirs | _alone(list(held))


def _alone(some: Any) -> Expression:
    alone: Expression = AuditEvent.user.is_null() & AuditEvent.key.in_(some)
    return alone


def _is_known_actor(search: str) -> bool:
    """Say whether anybody who acts is called so; what people do themselves is about them, too."""
    if any(one.name.lower().startswith(search.lower()) for one in _NAMELESS):
        return True
    return any(
        table.select().where(table.name.startswith(search)).exists()
        for table in (PanelAccount, Connection, Station)
    )
