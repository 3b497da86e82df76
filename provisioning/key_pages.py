# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""All keys for a page: counters, search by key or person, keyset pages, the newest first."""

from __future__ import annotations

from dataclasses import dataclass

from peewee import fn

from . import people
from .db import tuples
from .lifecycle import KeyState
from .models import SecurityKey, User

PAGE = 50
SHOWN = tuple(state for state in KeyState if state is not KeyState.DRAFT)


@dataclass(frozen=True)
class Wanted:
    """What a page shows; `after` is the row id of the last key before it."""

    state: KeyState | None = None
    model: str = ""
    search: str = ""
    after: int = 0


@dataclass(frozen=True)
class Line:
    """One key in the list."""

    row: int
    name: str
    kind: str
    state: str
    model: str | None
    last_used_at: int | None
    person: str
    person_id: str
    person_gone: bool


def counts() -> dict[KeyState, int]:
    """Return how many keys there are in each state, drafts left out."""
    rows = SecurityKey.select(SecurityKey.state, fn.COUNT(SecurityKey.id)).group_by(
        SecurityKey.state
    )
    found = {KeyState(state): int(count) for state, count in tuples(rows)}
    return {state: found.get(state, 0) for state in SHOWN}


def models() -> list[tuple[str, str]]:
    """Return the models that there are, for a filter."""
    rows = SecurityKey.select(SecurityKey.model).where(SecurityKey.model.is_null(False)).distinct()
    return [(row[0], row[0]) for row in tuples(rows.order_by(SecurityKey.model))]


def page(wanted: Wanted, size: int = PAGE) -> tuple[list[Line], bool]:
    """Return a page, the newest key first, and whether more follow.

    A key that was given up in a wizard never had a holder and is not shown.
    """
    query = (
        SecurityKey.select(
            SecurityKey.id,
            SecurityKey.name,
            SecurityKey.kind,
            SecurityKey.state,
            SecurityKey.model,
            SecurityKey.last_used_at,
            User.display_name,
            User.resource_id,
            User.deleted_at.is_null(False),
        )
        .join(User)
        .where(
            SecurityKey.state == wanted.state
            if wanted.state is not None
            else SecurityKey.state != KeyState.DRAFT
        )
    )
    if wanted.model:
        query = query.where(SecurityKey.model == wanted.model)
    if wanted.after:
        query = query.where(SecurityKey.id < wanted.after)
    if wanted.search.strip():
        query = query.where(
            SecurityKey.name.contains(wanted.search.strip())
            | people.are_found(SecurityKey.user, wanted.search)
        )
    rows = list(tuples(query.order_by(SecurityKey.id.desc()).limit(size + 1)))
    return [Line(*row) for row in rows[:size]], len(rows) > size
