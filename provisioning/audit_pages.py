# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The audit log for a page: the newest first, filtered, in keyset pages."""

from __future__ import annotations

from . import people
from .models import AuditEvent, AuditHead, User

PAGE = 50


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
    query = AuditEvent.select()
    if kind:
        query = query.where((AuditEvent.event >= kind + ".") & (AuditEvent.event < kind + "/"))
    if person is not None:
        query = query.where(AuditEvent.user == person)
    if search.strip():
        query = query.where(
            AuditEvent.actor_name.startswith(search.strip())
            | people.are_found(AuditEvent.user, search)
        )
    if after:
        query = query.where(AuditEvent.id < after)
    rows = list(query.order_by(AuditEvent.id.desc()).limit(size + 1))
    return rows[:size], len(rows) > size
