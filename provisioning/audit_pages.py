# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The audit log for a page: the newest first, filtered, in keyset pages."""

from __future__ import annotations

from peewee import JOIN, Expression

from . import people
from .audit import CLI, SYSTEM
from .models import AuditEvent, AuditHead, Connection, PanelAccount, Station, User

PAGE = 50
_FEW = 200  # people whose lines are looked up one by one instead of on the way through the log


def count() -> int:
    """Return how many rows the log has."""
    head = AuditHead.select().first()
    return int(head.rows) if head is not None else 0


def page(
    *,
    search: str = "",
    kind: str = "",
    person: User | None = None,
    after: int = 0,
    size: int = PAGE,
) -> tuple[list[AuditEvent], bool]:
    """Return a page and whether older rows follow; `after` is the row id before it.

    `kind` is an event's first word ("key"); a search finds beginnings of an actor's and of a
    person's name.
    """
    query = AuditEvent.select(AuditEvent, User).join(User, JOIN.LEFT_OUTER)
    if kind:
        query = query.where((AuditEvent.event >= kind + ".") & (AuditEvent.event < kind + "/"))
    if person is not None:
        query = query.where(AuditEvent.user == person)
    if search.strip():
        whose = _whose(search.strip())
        if whose is None:
            return [], False
        query = query.where(whose)
    if after:
        query = query.where(AuditEvent.id < after)
    rows = list(query.order_by(AuditEvent.id.desc()).limit(size + 1))
    return rows[:size], len(rows) > size


def _whose(search: str) -> Expression | None:
    """Return the condition for lines of and by those whom a search finds; None: it finds nobody.

    A walk through the whole log is long when it meets nobody, and short when it meets many.
    """
    found = User.select(User.id).where(people.are_found(User.id, search)).limit(_FEW + 1)
    whom = [user.id for user in found]
    acts = _is_known_actor(search)
    if not whom and not acts:
        return None
    if len(whom) <= _FEW and not acts:
        few: Expression = AuditEvent.user.in_(whom)
        return few
    either: Expression = AuditEvent.actor_name.startswith(search) | (
        AuditEvent.user.in_(whom)
        if len(whom) <= _FEW
        else people.are_found(AuditEvent.user, search)
    )
    return either


def _is_known_actor(search: str) -> bool:
    """Say whether anybody who acts is called so; what people do themselves is about them, too."""
    if any(one.name.lower().startswith(search.lower()) for one in (SYSTEM, CLI)):
        return True
    return any(
        table.select().where(table.name.startswith(search)).exists()
        for table in (PanelAccount, Connection, Station)
    )
