# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Conflicts: a directory wants a name that something else holds.

The directory hears 409 and nothing of who holds it. A person decides in the panel: the holder is
handed over, so that the directory's next look-up finds it, or the conflict is dismissed. Functions
never commit: the caller holds `db.transaction()`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

import orjson
from peewee import EXCLUDED, chunked, fn

from .. import audit, groups
from ..audit import Actor, Event
from ..clock import DAY, now_ms
from ..errors import NotFound, WrongState
from ..event_streams import events
from ..lifecycle import KeyState
from ..models import Conflict, Connection, Group, Member, PanelAccount, SecurityKey, User
from ..naming import fold
from ..panel import access
from ..panel.access import Role
from ..storage.db import tuples
from . import tally

MOST = 1_000  # conflicts of one connection; a directory in a loop does not fill the table
LONGEST = 256
AGE = 30 * DAY
_CHUNK = 100


@dataclass(frozen=True)
class Clash:
    """One refusal: which connection wanted what; `at` in ms, `kind` User or Group."""

    connection: int
    at: int
    kind: str
    attribute: str
    value: str


@unique
class Held(StrEnum):
    """Who holds the name by now."""

    ELSEWHERE = "elsewhere"  # the panel's own, or another directory's: may be handed over
    OWN = "own"  # the same directory's: it did not recognise what it made itself
    FREE = "free"  # nobody's any more: the next attempt will do


@dataclass(frozen=True)
class Line:
    """A conflict as the panel shows it, with the holder if there is one."""

    conflict: Conflict
    held: Held
    holder: User | Group | None


@dataclass(frozen=True)
class Consequences:
    """What handing a person over brings, in numbers; `account` is their role in the panel."""

    source: str | None
    groups: int
    keys: int
    account: str | None


def note(clashes: Iterable[Clash]) -> None:
    """Count refusals: one row for each connection and name. Raises nothing for what is gone."""
    found: dict[tuple[int, str, str, str], Clash] = {}
    counted: Counter[tuple[int, str, str, str]] = Counter()
    for clash in clashes:
        key = (clash.connection, clash.kind, clash.attribute, _key(clash.attribute, clash.value))
        counted[key] += 1
        found[key] = clash
    for connection in sorted({key[0] for key in found}):
        room = _room(connection)
        if room is None:
            continue
        mine = [key for key in found if key[0] == connection]
        for part in chunked(_fitting(mine, room), _CHUNK):
            rows = [
                {
                    "connection": connection,
                    "kind": key[1],
                    "attribute": key[2],
                    "value": found[key].value[:LONGEST],
                    "value_key": key[3],
                    "seen": counted[key],
                    "first_seen_at": found[key].at,
                    "last_seen_at": found[key].at,
                }
                for key in part
            ]
            Conflict.insert_many(rows).on_conflict(
                conflict_target=[
                    Conflict.connection,
                    Conflict.kind,
                    Conflict.attribute,
                    Conflict.value_key,
                ],
                update={
                    Conflict.seen: Conflict.seen + EXCLUDED.seen,
                    Conflict.last_seen_at: EXCLUDED.last_seen_at,
                },
            ).execute()


def count(connection: Connection) -> int:
    """Return how many wait for a decision."""
    query = Conflict.select(fn.COUNT(Conflict.id)).where(
        Conflict.connection == connection, Conflict.dismissed_at.is_null()
    )
    return int(query.scalar() or 0)


def counts() -> dict[int, int]:
    """Return the same for all connections that have some."""
    rows = (
        Conflict.select(Conflict.connection, fn.COUNT(Conflict.id))
        .where(Conflict.dismissed_at.is_null())
        .group_by(Conflict.connection)
    )
    return {number: int(waiting) for number, waiting in tuples(rows)}


def page(
    connection: Connection, *, dismissed: bool = False, after: int = 0, size: int = 50
) -> tuple[list[Line], bool]:
    """Return conflicts, the latest first, those below a row id if one is given; and if more."""
    query = Conflict.select().where(
        Conflict.connection == connection, Conflict.dismissed_at.is_null(not dismissed)
    )
    if after:
        query = query.where(Conflict.id < after)
    rows = list(query.order_by(Conflict.id.desc()).limit(size + 1))
    return _lines(connection, rows[:size]), len(rows) > size


def get(conflict_id: int, connection: Connection) -> Line:
    """Return one of a connection's conflicts; raises NotFound."""
    found = Conflict.get_or_none(Conflict.id == conflict_id, Conflict.connection == connection)
    if found is None:
        raise NotFound("There is no such conflict any more.")
    return _lines(connection, [found])[0]


def consequences(user: User) -> Consequences:
    """Return what handing a person over brings."""
    keys = SecurityKey.select().where(
        SecurityKey.user == user, SecurityKey.state == KeyState.ACTIVE
    )
    roles = [
        Role(account.role)
        for account in PanelAccount.select().where(
            PanelAccount.user == user, PanelAccount.state == "active"
        )
    ]
    return Consequences(
        source=user.connection.name if user.connection is not None else None,
        groups=len(_groups_of_others(user)),
        keys=keys.count(),
        account=max(roles, key=access.RANK.index, default=None),
    )


def hand_over(line: Line, actor: Actor) -> User:
    """Give the person who holds the name to the directory that wants it.

    Keys, sessions and the groups made by hand stay. The groups of the directory before lose the
    person, and so does the external id that it gave: it belongs to that directory. Raises
    WrongState when nobody else holds the name by now, or a mass departure holds the person.
    """
    user, connection = line.holder, line.conflict.connection
    if line.held is not Held.ELSEWHERE or not isinstance(user, User):
        raise WrongState("Nobody else holds this name any more.")
    if user.departure_id is not None:
        raise WrongState("A mass departure holds this person: decide that first.")
    before = user.connection
    for group in _groups_of_others(user):
        groups.remove_members(group, [user.resource_id], actor=actor)
    document = orjson.loads(user.document)
    document.pop("externalId", None)
    user.document = orjson.dumps(document).decode()
    user.external_id = None
    user.connection = connection
    user.version += 1
    user.updated_at = now_ms()
    user.save()
    events.note_move(user, before.id if before is not None else None, connection.id)
    tally.add(User, before.id if before is not None else None, -1)
    tally.add(User, connection.id, 1)
    line.conflict.delete_instance()
    audit.record(
        actor,
        Event.USER_HANDED_OVER,
        user=user,
        user_name=user.user_name,
        source=before.name if before is not None else None,
        connection=connection.name,
    )
    return user


def dismiss(conflict: Conflict, actor: Actor) -> None:
    """Let a conflict be: it is counted on and waits for nobody."""
    conflict.dismissed_at = now_ms()
    conflict.save()
    _record(Event.CONFLICT_DISMISSED, conflict, actor)


def reopen(conflict: Conflict, actor: Actor) -> None:
    """Take a dismissal back."""
    conflict.dismissed_at = None
    conflict.save()
    _record(Event.CONFLICT_REOPENED, conflict, actor)


def sweep() -> int:
    """Delete what no directory has wanted for a month; return how many rows."""
    query = Conflict.delete().where(Conflict.last_seen_at < now_ms() - AGE)
    return int(query.execute())


def _record(event: Event, conflict: Conflict, actor: Actor) -> None:
    audit.record(
        actor,
        event,
        connection=conflict.connection.name,
        attribute=conflict.attribute,
        value=conflict.value,
    )


def _key(attribute: str, value: str) -> str:
    """Names have no case, external ids do (S7)."""
    return (value if attribute == "externalId" else fold(value))[:LONGEST]


def _room(connection: int) -> tuple[set[tuple[str, str, str]], int] | None:
    """Return which conflicts a connection has, and how many more it may; None if it is gone."""
    if not Connection.select().where(Connection.id == connection).exists():
        return None
    known = set(
        tuples(
            Conflict.select(Conflict.kind, Conflict.attribute, Conflict.value_key).where(
                Conflict.connection == connection
            )
        )
    )
    return known, MOST - len(known)


def _fitting(
    keys: Sequence[tuple[int, str, str, str]], room: tuple[set[tuple[str, str, str]], int]
) -> list[tuple[int, str, str, str]]:
    known, left = room
    old = [key for key in keys if key[1:] in known]
    new = [key for key in keys if key[1:] not in known]
    return old + new[: max(left, 0)]


def _lines(connection: Connection, conflicts: Sequence[Conflict]) -> list[Line]:
    """Look all holders up at once."""
    held: dict[tuple[str, str, str], User | Group] = {}
    for kind, attribute, column, table in (
        ("User", "userName", User.user_name_key, User),
        ("User", "externalId", User.external_id, User),
        ("Group", "displayName", Group.display_name_key, Group),
        ("Group", "externalId", Group.external_id, Group),
    ):
        keys = [c.value_key for c in conflicts if (c.kind, c.attribute) == (kind, attribute)]
        for part in chunked(keys, _CHUNK):
            rows: Any = table.select().where(column.in_(part), table.deleted_at.is_null())
            if attribute != "userName":  # only userName is unique beyond one connection
                rows = rows.where(table.connection == connection)
            for row in rows:
                held[kind, attribute, getattr(row, column.name)] = row
    return [_line(connection, each, held) for each in conflicts]


def _line(
    connection: Connection, conflict: Conflict, held: dict[tuple[str, str, str], User | Group]
) -> Line:
    holder = held.get((conflict.kind, conflict.attribute, conflict.value_key))
    if holder is None:
        return Line(conflict, Held.FREE, None)
    own = holder.connection_id == connection.id
    return Line(conflict, Held.OWN if own else Held.ELSEWHERE, holder)


def _groups_of_others(user: User) -> list[Group]:
    """The groups that the person's directory, not the panel, put them into."""
    mine = Group.select().join(Member, on=(Member.group == Group.id)).where(Member.user == user)
    return list(mine.where(Group.connection.is_null(False)))
