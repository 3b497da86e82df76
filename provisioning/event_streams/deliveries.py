# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Pushing events to their receivers (RFC 8935), as the worker does it.

A stream is leased, its events go out one after the other outside of any transaction, and what
became of each is noted in another. A worker that dies in between lets the lease run out, and the
event goes out again under the same identifier, by which its receiver knows it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from .. import audit
from ..audit import Event
from ..clock import now_ms
from ..errors import InvalidValue
from ..models import EventStream, StreamEvent
from ..services import Services
from ..storage.db import transaction
from ..vault import SealBroken
from . import receivers, streams
from .receivers import Refused, Unreachable

BATCH = 20  # events of one stream in one turn
BUDGET = 5.0  # seconds of one turn, and of the last event's try on top

log = structlog.get_logger()


@dataclass(frozen=True)
class Token:
    """An event as it goes over the wire."""

    body: bytes
    media_type: str


Writer = Callable[[StreamEvent, EventStream, Services], Token]

_writers: list[Writer] = []


def speak(writer: Writer) -> None:
    """Give this process what turns an event into a token: a door's business."""
    _writers[:] = [writer]


def work(services: Services) -> int:
    """Give the push stream that is due longest a turn; return how many events went out.

    A slow receiver's turn ends with `BUDGET`: mails and other streams wait behind it.
    """
    if not _writers or not streams.is_due(now_ms()):
        return 0
    with transaction():
        stream = streams.claim(now_ms())
    if stream is None:
        return 0
    sent, error, until = 0, "", time.monotonic() + BUDGET
    try:
        authorization = streams.authorization_of(stream, services.vault)
        for event in streams.next_events(stream, BATCH):
            error = _push(event, stream, authorization, services)
            if error:
                break
            sent += 1
            if time.monotonic() >= until:
                break
    except SealBroken as broken:
        error = str(broken)
    except Exception as fault:
        error = f"A fault in this program: {type(fault).__name__}."  # other streams go on
        raise
    finally:
        with transaction():
            streams.release(stream, error=error)
    return sent


def _push(
    event: StreamEvent, stream: EventStream, authorization: str | None, services: Services
) -> str:
    """Send one event; return why the stream must rest, or nothing."""
    token = _writers[0](event, stream, services)
    headers = {"Content-Type": token.media_type, "Accept": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    try:
        answer = receivers.post(
            stream.endpoint, token.body, headers, local=services.settings.local_receivers
        )
    except (Refused, InvalidValue) as refused:
        return _stop(stream, str(refused))
    except Unreachable as away:
        return str(away)
    if answer.status in (200, 202, 204):
        with transaction():
            streams.delivered(stream, [event.jti])
        return ""
    error = f"{answer.status}{_told(answer.body)}"
    # 400 with a reason is about this event (RFC 8935 §2.3); anything else may pass.
    final = answer.status == 400 and bool(_told(answer.body))
    with transaction():
        dead = streams.refuse(event, error, final=final)
    log.warning("event refused", stream=stream.resource_id, jti=event.jti, error=error)
    return "" if dead else f"The receiver answered {error}."


def _stop(stream: EventStream, error: str) -> str:
    if error != stream.last_error:  # once, and not at each try
        with transaction():
            audit.record(
                audit.SYSTEM,
                Event.STREAM_REFUSED,
                connection=stream.connection.name,
                stream=stream.resource_id,
                error=error,
            )
    return error


def _told(body: bytes) -> str:
    """Return the reason that a receiver gave, cut short."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    word = told.get("err") if isinstance(told, dict) else None
    return f" {word[:64]}" if isinstance(word, str) and word.isprintable() else ""
