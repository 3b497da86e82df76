# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""All keys for a page: counters, search by key or person, keyset pages, the newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from peewee import JOIN, ModelSelect, fn

from ..lifecycle import KeyKind, KeyState
from ..models import Credential, SecurityKey, User
from ..storage.db import tuples
from . import people

PAGE = 50
SHOWN = tuple(state for state in KeyState if state is not KeyState.DRAFT)


@dataclass(frozen=True)
class Wanted:
    """What a page shows; `after` is the row id of the last key before it."""

    state: KeyState | None = None
    model: str = ""
    kind: KeyKind | None = None
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
    columns = (
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
    query = _found(SecurityKey.select(*columns), wanted)
    rows = list(tuples(query.order_by(SecurityKey.id.desc()).limit(size + 1)))
    return [Line(*row) for row in rows[:size]], len(rows) > size


@dataclass(frozen=True)
class Exported:
    """One key with all that an auditor asks for; times in ms."""

    row: int
    name: str
    kind: str
    state: str
    reason: str | None
    model: str | None
    aaguid: str | None
    attestation: str | None
    person: str
    user_name: str
    created_at: int
    activated_at: int | None
    confirmed_at: int | None
    revoked_at: int | None
    last_used_at: int | None


def export(wanted: Wanted) -> Iterator[Exported]:
    """Stream every key that the filters let through, the newest first."""
    columns = (
        SecurityKey.id,
        SecurityKey.name,
        SecurityKey.kind,
        SecurityKey.state,
        SecurityKey.reason,
        SecurityKey.model,
        SecurityKey.aaguid,
        Credential.attestation_format,
        User.display_name,
        User.user_name,
        SecurityKey.created_at,
        SecurityKey.activated_at,
        SecurityKey.confirmed_at,
        SecurityKey.revoked_at,
        SecurityKey.last_used_at,
    )
    after = 0
    while True:
        query = _found(SecurityKey.select(*columns), replace(wanted, after=after))
        query = query.join_from(
            SecurityKey, Credential, JOIN.LEFT_OUTER, on=(Credential.key == SecurityKey.id)
        )
        part = [Exported(*row) for row in tuples(query.order_by(SecurityKey.id.desc()).limit(500))]
        yield from part
        if not part:
            return
        after = part[-1].row


def _found(query: ModelSelect[SecurityKey], wanted: Wanted) -> ModelSelect[SecurityKey]:
    query = query.join(User).where(
        SecurityKey.state == wanted.state
        if wanted.state is not None
        else SecurityKey.state != KeyState.DRAFT
    )
    if wanted.model:
        query = query.where(SecurityKey.model == wanted.model)
    if wanted.kind is not None:
        query = query.where(SecurityKey.kind == wanted.kind)
    if wanted.after:
        query = query.where(SecurityKey.id < wanted.after)
    if wanted.search.strip():
        query = query.where(
            SecurityKey.name.contains(wanted.search.strip())
            | people.are_found(SecurityKey.user, wanted.search)
        )
    return query
