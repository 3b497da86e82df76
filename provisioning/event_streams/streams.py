# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Streams of events: who hears of a connection's resources, and what waits for them.

A push stream is delivered by the worker (`deliveries`), a poll stream is fetched by its receiver.
Either way events go in order, and an event is gone once the receiver has it. Functions never
commit: the caller holds `db.transaction()`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from enum import StrEnum, unique
from typing import Any

from .. import audit
from ..audit import Actor, Event
from ..clock import DAY, HOUR, MINUTE, SECOND, now_ms
from ..errors import InvalidValue, NotFound, WrongState
from ..models import Connection, EventStream, StreamEvent
from ..sealing import columns
from ..storage.db import database, tuples
from ..vault import Vault
from . import events
from .receivers import check_address

LEASE = 2 * MINUTE
FIRST_WAIT, LONGEST_WAIT = 5 * SECOND, HOUR
MAX_ATTEMPTS = 10
MAX_AGE = 7 * DAY  # how long an event waits for its receiver, dead ones included
MAX_WAITING = 200_000  # events of one stream; looked at once an hour
MAX_STREAMS = 10  # of one connection


@unique
class Method(StrEnum):
    """How events reach the receiver: RFC 8935 or RFC 8936."""

    PUSH = "push"
    POLL = "poll"


@unique
class Detail(StrEnum):
    """What an event holds: names of attributes, or the resource's document as well."""

    NOTICE = "notice"
    FULL = "full"


@unique
class StreamState(StrEnum):
    """A stopped stream is told nothing and loses what happens meanwhile."""

    ACTIVE = "active"
    STOPPED = "stopped"


@unique
class EventState(StrEnum):
    """A dead event was refused by the receiver; it can be tried by hand."""

    WAITING = "waiting"
    DEAD = "dead"


def add(
    connection: Connection,
    actor: Actor,
    *,
    vault: Vault,
    method: Method,
    detail: Detail = Detail.NOTICE,
    audience: str = "",
    endpoint: str = "",
    authorization: str = "",
    local: bool = False,
) -> EventStream:
    """Make a stream. Raises InvalidValue with the field, and WrongState for one too many.

    `local`: receivers on this machine are allowed, for trials.
    """
    if method is Method.PUSH:
        check_address(endpoint, local=local)
    elif endpoint or authorization:
        raise InvalidValue("A poll stream has no address: its receiver comes for it.", "endpoint")
    if any(ord(character) < 32 or ord(character) > 126 for character in authorization):
        raise InvalidValue("The authorization is one line of plain characters.", "authorization")
    audience = audience.strip() or endpoint or connection.name
    if len(audience) > 255:
        raise InvalidValue("An audience has at most 255 characters.", "audience")
    if EventStream.select().where(EventStream.connection == connection).count() >= MAX_STREAMS:
        raise WrongState(f"{connection.name} has {MAX_STREAMS} streams already.")
    resource_id = str(uuid.uuid4())
    stream = EventStream.create(
        resource_id=resource_id,
        connection=connection,
        method=method,
        detail=detail,
        audience=audience,
        endpoint=endpoint,
        sealed_authorization=(
            vault.seal(authorization.encode(), bound_to=_bound(resource_id))
            if authorization
            else None
        ),
    )
    _record(Event.STREAM_CREATED, stream, actor, method=method, detail=detail)
    events.forget()
    return stream


def remove(stream: EventStream, actor: Actor) -> None:
    """Delete a stream with what waits in it."""
    _record(Event.STREAM_REMOVED, stream, actor, waiting=waiting(stream))
    stream.delete_instance()
    events.forget()


def set_state(stream: EventStream, state: StreamState, actor: Actor) -> None:
    """Stop a stream or let it go on. Raises WrongState where it is so already."""
    if stream.state == state:
        raise WrongState(f"This stream is {state} already.")
    stream.state, stream.failures, stream.due_at = state, 0, 0
    stream.save()
    _record(Event.STREAM_CHANGED, stream, actor, state=state)
    events.forget()


def get(resource_id: str, connection: Connection | None = None) -> EventStream:
    """Return a stream, perhaps only of one connection. Raises NotFound."""
    found: EventStream | None = EventStream.get_or_none(EventStream.resource_id == resource_id)
    if found is None or (connection is not None and found.connection_id != connection.id):
        raise NotFound("There is no such stream.")
    return found


def every(connection: Connection | None = None) -> Sequence[EventStream]:
    """Return all streams, perhaps of one connection, the oldest first."""
    query = EventStream.select(EventStream, Connection).join(Connection)
    if connection is not None:
        query = query.where(EventStream.connection == connection)
    return list(query.order_by(EventStream.id))


def waiting(stream: EventStream, state: EventState = EventState.WAITING) -> int:
    """Return how many events wait, or are dead."""
    mine = (StreamEvent.stream == stream) & (StreamEvent.state == state)
    return int(StreamEvent.select().where(mine).count())


def authorization_of(stream: EventStream, vault: Vault) -> str | None:
    """Return what the receiver wants in the Authorization header."""
    if stream.sealed_authorization is None:
        return None
    sealed = bytes(stream.sealed_authorization)
    return vault.unseal(sealed, bound_to=_bound(stream.resource_id)).decode()


def next_events(stream: EventStream, limit: int) -> list[StreamEvent]:
    """Return what waits, the oldest first."""
    mine = (StreamEvent.stream == stream) & (StreamEvent.state == EventState.WAITING)
    return list(StreamEvent.select().where(mine).order_by(StreamEvent.id).limit(limit))


def claim(now: int) -> EventStream | None:
    """Lease the push stream that has been due longest and has something to deliver, or None."""
    has_events = StreamEvent.select(StreamEvent.stream).where(
        StreamEvent.state == EventState.WAITING
    )
    due = (
        (EventStream.method == Method.PUSH)
        & (EventStream.state == StreamState.ACTIVE)
        & (EventStream.due_at <= now)
        & (EventStream.leased_until.is_null() | (EventStream.leased_until < now))
    )
    oldest = EventStream.select(EventStream.id).where(due, EventStream.id.in_(has_events))
    oldest = oldest.order_by(EventStream.due_at, EventStream.id).limit(1)
    if database.for_update:
        oldest = oldest.for_update(True, skip_locked=True)
    claimed = (
        EventStream.update(leased_until=now + LEASE)
        .where(EventStream.id == oldest, due)
        .returning(EventStream)
        .execute()
    )
    return next(iter(claimed), None)


def is_due(now: int) -> bool:
    """Say whether a claim may find something; asked without a lock by an idle worker."""
    return bool(
        EventStream.select()
        .join(StreamEvent)
        .where(
            EventStream.method == Method.PUSH,
            EventStream.state == StreamState.ACTIVE,
            EventStream.due_at <= now,
            StreamEvent.state == EventState.WAITING,
        )
        .exists()
    )


def delivered(stream: EventStream, jtis: Collection[str]) -> int:
    """The receiver has these: forget them; return how many there were."""
    if not jtis:
        return 0
    gone = StreamEvent.delete().where(StreamEvent.stream == stream, StreamEvent.jti.in_(list(jtis)))
    count = int(gone.execute())
    if count:
        EventStream.update(
            delivered=EventStream.delivered + count,
            delivered_at=now_ms(),
            failures=0,
            last_error="",
        ).where(EventStream.id == stream.id).execute()
    return count


def release(stream: EventStream, *, error: str = "", rest: int = 0) -> None:
    """End a lease; with an error the stream rests, twice as long at each failure in a row.

    `rest`: for how many ms its receiver asked; it gets an hour at most.
    """
    changes: dict[str, object] = {"leased_until": None}
    if error:
        wait = min(max(FIRST_WAIT << min(stream.failures, 20), rest), LONGEST_WAIT)
        changes |= {
            "failures": EventStream.failures + 1,
            "last_error": error[:500],
            "due_at": now_ms() + wait,
        }
    EventStream.update(changes).where(EventStream.id == stream.id).execute()


def refuse(event: StreamEvent, error: str, *, final: bool) -> bool:
    """Count a try that the receiver answered with a refusal of it; the last one ends the event.

    Return whether it is dead now. A receiver that is away, busy, under repair or that does not
    know us refuses no event: those wait for it, `MAX_AGE` at most.
    """
    event.attempts += 1
    event.last_error = error[:500]
    if final or event.attempts >= MAX_ATTEMPTS:
        event.state = EventState.DEAD
        _record(Event.STREAM_EVENT_DEAD, event.stream, audit.SYSTEM, jti=event.jti, error=error)
    event.save()
    return event.state == EventState.DEAD


def retry(stream: EventStream, actor: Actor) -> int:
    """Let dead events wait again, and the stream go on at once; return how many."""
    count = int(
        StreamEvent.update(state=EventState.WAITING, attempts=0)
        .where(StreamEvent.stream == stream, StreamEvent.state == EventState.DEAD)
        .execute()
    )
    EventStream.update(due_at=0, failures=0).where(EventStream.id == stream.id).execute()
    _record(Event.STREAM_CHANGED, stream, actor, state="retried", events=count)
    return count


def forget_old() -> int:
    """Delete events that nobody has come for in seven days, and the oldest of too many.

    Return how many; the audit log says whose.
    """
    return sum(_trim(stream) for stream in every())


def _trim(stream: EventStream) -> int:
    mine = StreamEvent.stream == stream
    newest = StreamEvent.select(StreamEvent.id).where(mine).order_by(StreamEvent.id.desc())
    beyond = next(iter(tuples(newest.offset(MAX_WAITING).limit(1))), (0,))
    gone = (StreamEvent.at < now_ms() - MAX_AGE) | (StreamEvent.id <= beyond[0])
    count = int(StreamEvent.delete().where(mine, gone).execute())
    if count:
        error = "too many" if beyond[0] else "too old"
        _record(Event.STREAM_EVENT_DEAD, stream, audit.SYSTEM, events=count, error=error)
    return count


def _record(event: Event, stream: EventStream, actor: Actor, **detail: Any) -> None:
    connection = stream.connection.name
    audit.record(actor, event, connection=connection, stream=stream.resource_id, **detail)


def _bound(resource_id: str) -> str:
    return columns.STREAM.binding(resource_id)
