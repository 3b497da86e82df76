# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The guard against mass departures: a directory's mistake, or a stolen token (R17, T7).

When more than max(10, 5 %) of a connection's users leave within an hour, their keys are suspended
like anybody's — that can be undone — but what cannot be undone waits for a person's decision. The
directory gets its 2xx either way: one that is refused would only try again for ever.
"""

from __future__ import annotations

from typing import Any

import orjson
from peewee import SQL, fn

from .. import audit, groups, keys
from ..audit import Actor, Event
from ..clock import HOUR, now_ms
from ..errors import NotFound, WrongState
from ..event_streams import events
from ..lifecycle import KeyState, Reason
from ..models import Connection, MassDeparture, SecurityKey, User
from ..storage.statements import Statements, parameter
from . import tally

LEAST = 10
SHARE = 0.05
WINDOW = HOUR


def watch(user: User, actor: Actor, *, leaves: bool) -> None:
    """Count this departure; hold those of the last hour when they are too many.

    The caller stores the user: `leaves` says that the row does not have it yet.
    """
    connection = user.connection
    if connection is None or actor.kind != "connection":
        return
    since = now_ms() - WINDOW
    living_now = tally.living_ahead(User, connection.id)
    held, began, decided = _latest(connection)
    since = max(since, decided + 1)  # about those before it somebody has decided
    # It began with those of an hour: whoever leaves in the hour after it leaves with some of them.
    if began < since - WINDOW:
        living = living_now()
        left, deleted = _LEFT.rows((), (connection.id, since, _enough(living)))[0]
        left += leaves
        if not would_hold(left, living + deleted):
            return
    if held is None:
        held = MassDeparture.create(connection=connection, started_at=since).id
        audit.record(actor, Event.DEPARTURES_HELD, connection=connection.name, users=left)
        _HOLD.change((), (held, connection.id, since))
    if user.left_at is not None and user.left_at >= since:
        user.departure = held


def would_hold(left: int, everybody: int) -> bool:
    """Say whether so many of so many in an hour are too many."""
    return left > LEAST and left > SHARE * everybody


def _enough(living: int) -> int:
    """Return how many are too many whatever else happened: so many and no more are counted.

    Everybody is who lives and who was deleted within the hour, at most all who left.
    """
    return max(LEAST, int(SHARE * living / (1 - SHARE))) + 1


def _left() -> Any:
    hour = User.select(User.deleted_at).where(
        User.connection == parameter(0), User.left_at >= parameter(1)
    )
    hour = hour.limit(parameter(2))
    return hour.select_from(fn.COUNT(SQL("*")), fn.COUNT(hour.c.deleted_at))


_LEFT = Statements(_left)
_HOLD = Statements(
    lambda: User.update(departure=parameter(0)).where(
        User.connection == parameter(1), User.left_at >= parameter(2), User.departure.is_null()
    )
)


def open_for(connection: Connection) -> MassDeparture | None:
    """Return the undecided mass departure of a connection, or None."""
    held, _began, _decided = _latest(connection)
    return get(held) if held is not None else None


def _latest(connection: Connection) -> tuple[Any, int, int]:
    """Return the number and start of the undecided one, and when the last one was decided.

    Nobody and 0 where there is none; only the newest can be undecided.
    """
    found = _NEWEST.rows((), (connection.id,))
    number, began, decided = found[0] if found else (None, 0, 0)
    return (number, began, 0) if decided is None else (None, 0, decided)


_NEWEST = Statements(
    lambda: (
        MassDeparture.select(MassDeparture.id, MassDeparture.started_at, MassDeparture.decided_at)
        .where(MassDeparture.connection == parameter(0))
        .order_by(MassDeparture.id.desc())
        .limit(1)
    )
)


def takes_back(connection: Connection) -> bool:
    """Say whether people of a connection are still held by a departure that was decided."""
    mine = MassDeparture.select(MassDeparture.id).where(
        MassDeparture.connection == connection, MassDeparture.decided_at.is_null(False)
    )
    return bool(User.select().where(User.departure.in_(mine)).exists())


def undecided() -> list[MassDeparture]:
    """Return all that waits for a decision, the oldest first."""
    waiting = MassDeparture.select().where(MassDeparture.decided_at.is_null())
    return list(waiting.order_by(MassDeparture.id))


def get(number: int) -> MassDeparture:
    """Return one by its number; raises NotFound, WrongState if it was decided."""
    held = MassDeparture.get_or_none(MassDeparture.id == number)
    if held is None:
        raise NotFound(f"There is no held departure {number}.")
    if held.decided_at is not None:
        raise WrongState(f"Departure {number} was {held.decision} already.")
    return held


def approve(held: MassDeparture, actor: Actor) -> int:
    """Let those who left be gone: their grace time goes on. Return how many users."""
    freed = User.update(departure=None).where(User.departure == held).execute()
    decide(held, "approved", freed, actor)
    return int(freed)


def restore(user: User, held: MassDeparture, actor: Actor) -> bool:
    """Take one departure back; False for a tombstone whose place somebody else has by now."""
    if user.deleted_at is not None:
        if _is_taken(user):
            User.update(departure=None).where(User.id == user.id).execute()
            return False
        tally.add(User, user.connection_id, 1)
        events.note(events.Kind.JOINED, user)
    left = orjson.loads(user.groups_left or "[]")
    user.deleted_at = user.left_at = user.departure = user.groups_left = None
    user.active = True
    user.document = _active_again(user.document)
    user.version += 1
    user.updated_at = now_ms()
    user.save()
    groups.rejoin(user, left, actor)
    events.note(events.Kind.CHANGED, user, also=("active",))
    events.note(events.Kind.ACTIVATED, user)
    suspended = SecurityKey.select().where(
        SecurityKey.user == user,
        SecurityKey.state == KeyState.SUSPENDED,
        SecurityKey.reason == Reason.LEFT,
        SecurityKey.suspended_at >= held.started_at,
    )
    for key in list(suspended):
        keys.resume(key, actor)
    keys.refresh_status(user)
    audit.record(actor, Event.USER_REACTIVATED, user=user, departure=held.id)
    return True


def count(held: MassDeparture) -> int:
    """Return how many users it holds."""
    return int(User.select(fn.COUNT(User.id)).where(User.departure == held).scalar())


def decide(held: MassDeparture, decision: str, users: int, actor: Actor) -> None:
    """Note what was decided; departures from now on are counted anew."""
    held.decided_at, held.decision = now_ms(), decision
    held.save()
    audit.record(
        actor,
        Event.DEPARTURES_DECIDED,
        connection=held.connection.name,
        decision=decision,
        users=users,
    )


def _is_taken(user: User) -> bool:
    """Say whether somebody else has by now what only one person may: a directory made them anew."""
    living = User.select().where(User.deleted_at.is_null())
    # One after the other: for an OR of both SQLite reads everybody.
    if living.where(User.user_name_key == user.user_name_key).exists():
        return True
    if user.external_id is None or user.connection_id is None:
        return False
    mine = User.connection == user.connection_id, User.external_id == user.external_id
    return living.where(*mine).exists()


def _active_again(document: str) -> str:
    content = orjson.loads(document)
    content["active"] = True
    return orjson.dumps(content).decode()
