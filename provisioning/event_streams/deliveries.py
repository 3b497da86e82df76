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

# Said of whoever sends, of the receiver or of the moment, never of the event (RFC 9110 §15.5,
# RFC 6585 §4, RFC 8470 §5.2), and so are a redirect and 5xx. 400 with one of the words as well.
_MAY_PASS = frozenset({401, 403, 407, 408, 421, 425, 429})
_OF_THE_SENDER = frozenset({"authentication_failed", "access_denied"})  # RFC 8935 §2.4

log = structlog.get_logger()


@dataclass(frozen=True)
class Token:
    """An event as it goes over the wire."""

    body: bytes
    media_type: str


@dataclass(frozen=True)
class Failure:
    """Why a stream must rest, and for how many ms its receiver asked at least."""

    error: str
    rest: int = 0


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
    sent, until = 0, time.monotonic() + BUDGET
    failed: Failure | None = None
    try:
        authorization = streams.authorization_of(stream, services.vault)
        for event in streams.next_events(stream, BATCH):
            failed = _push(event, stream, authorization, services)
            if failed is not None:
                break
            sent += 1
            if time.monotonic() >= until:
                break
    except SealBroken as broken:
        failed = Failure(str(broken))
    except Exception as fault:
        # Other streams go on.
        failed = Failure(f"A fault in this program: {type(fault).__name__}.")
        raise
    finally:
        with transaction():
            if failed is None:
                streams.release(stream)
            else:
                streams.release(stream, error=failed.error, rest=failed.rest)
    return sent


def _push(
    event: StreamEvent, stream: EventStream, authorization: str | None, services: Services
) -> Failure | None:
    """Send one event; return why the stream must rest, if it must."""
    token = _writers[0](event, stream, services)
    headers = {"Content-Type": token.media_type, "Accept": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    try:
        answer = receivers.post(
            stream.endpoint, token.body, headers, local=services.settings.local_receivers
        )
    except (Refused, InvalidValue) as refused:
        return Failure(_stop(stream, str(refused)))
    except Unreachable as away:
        return Failure(str(away))
    if answer.status in (200, 202, 204):
        with transaction():
            streams.delivered(stream, [event.jti])
        return None
    word = _told(answer.body)
    error = f"{answer.status} {word}".strip()
    log.warning("event refused", stream=stream.resource_id, jti=event.jti, error=error)
    if _is_about_the_event(answer.status, word):
        final = answer.status == 400 and word != ""  # a reason (RFC 8935 §2.3)
        with transaction():
            if streams.refuse(event, error, final=final):
                return None
    return Failure(f"The receiver answered {error}.", answer.rest)


def _is_about_the_event(status: int, word: str) -> bool:
    """Say whether to send it again is of little use; whatever else is wrong may pass."""
    return 400 <= status < 500 and status not in _MAY_PASS and word not in _OF_THE_SENDER


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
    return word[:64] if isinstance(word, str) and word.isprintable() else ""
