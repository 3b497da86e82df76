# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Poll streams: a receiver comes for its events and says which it has (RFC 8936).

An event is given again until it is acknowledged. A request may wait for events, bounded in time
and in number: it holds a thread of the web process.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic, sleep

from provisioning.errors import InvalidValue, NotFound, WrongState
from provisioning.event_streams import streams
from provisioning.event_streams.streams import Method, StreamState
from provisioning.models import EventStream, StreamEvent
from provisioning.storage.db import transaction

from .caller import Caller
from .door import Waits
from .security_events import token_of

MAX_EVENTS = 100
WAIT = 20.0  # seconds that an empty stream may hold a request
PAUSE = 0.25

Json = dict[str, object]


def answer(caller: Caller, resource_id: str, body: Mapping[str, object]) -> Json:
    """Take acknowledgements, and return what waits: `sets` and `moreAvailable` (§2.4).

    Raises NotFound for another's stream or one that pushes, WrongState for one that is stopped, by
    now if it waited, and InvalidValue.
    """
    stream = _stream(caller, resource_id)
    services, waits = caller.door.services, caller.door.waits
    most = _count(body.get("maxEvents"))
    _acknowledge(stream, body)
    found = streams.next_events(stream, most + 1) if most else []
    if not found and most and not _flag(body.get("returnImmediately")) and waits is not None:
        found = _wait(stream, most + 1, waits)
        stream = _stream(caller, resource_id)
    return {
        "sets": {each.jti: token_of(each, stream, services) for each in found[:most]},
        "moreAvailable": len(found) > most if most else bool(streams.next_events(stream, 1)),
    }


def _stream(caller: Caller, resource_id: str) -> EventStream:
    stream = streams.get(resource_id, caller.connection)
    if stream.method != Method.POLL:
        raise NotFound("This stream pushes its events.")
    if stream.state != StreamState.ACTIVE:
        raise WrongState("This stream is stopped.")
    return stream


def _wait(stream: EventStream, limit: int, waits: Waits) -> list[StreamEvent]:
    """Look again and again; without a place there is no waiting."""
    until = monotonic() + WAIT
    with waits.place() as mine:
        while mine and monotonic() < until and not waits.is_over():
            sleep(PAUSE)
            found = streams.next_events(stream, limit)
            if found:
                return found
    return []


def _acknowledge(stream: EventStream, body: Mapping[str, object]) -> None:
    acks, faults = body.get("ack", []), body.get("setErrs", {})
    if not isinstance(acks, list) or not all(isinstance(each, str) for each in acks):
        raise InvalidValue("ack is a list of identifiers.", "ack")
    if not isinstance(faults, Mapping):
        raise InvalidValue("setErrs is an object.", "setErrs")
    if len(acks) + len(faults) > 1_000:
        raise InvalidValue("At most 1,000 events are acknowledged at once.", "ack")
    if not acks and not faults:
        return
    with transaction():
        streams.delivered(stream, acks)
        refused = StreamEvent.select().where(
            StreamEvent.stream == stream, StreamEvent.jti.in_(list(faults))
        )
        for event in list(refused) if faults else ():
            fault = faults[event.jti]
            word = fault.get("err") if isinstance(fault, Mapping) else None
            streams.refuse(event, word if isinstance(word, str) else "refused", final=True)


def _count(value: object) -> int:
    if value is None:
        return MAX_EVENTS
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValue("maxEvents is a whole number, 0 or more.", "maxEvents")
    return min(value, MAX_EVENTS)


def _flag(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidValue("returnImmediately is true or false.", "returnImmediately")
    return value is True
