# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What changed, noted in the transaction that changes it, for the streams that ask to hear.

The verbs of `directory`, `groups` and `keys` note here, whoever called them: SCIM, the panel, the
command line, the worker. What a transaction notes of one resource becomes one event for each
stream of its connection, written right before the commit. Where no stream is, noting is a look at
the clock: a process asks once a second which connections have one.

A word on the wire is the business of the door that speaks it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique

from ..clock import now_ms
from ..models import EventStream, Group, StreamEvent, User
from ..storage.db import Gathered, database
from ..storage.statements import Statements, parameter, rows_of

Document = Mapping[str, object]

KEYS = "securityKeys"
"""What a person's keys are called among attributes."""

_LOOK_EVERY = 1.0  # seconds
_AT_ONCE = 50  # rows in one statement: databases limit the number of its parameters
_NOTHING: Document = {}


@unique
class Kind(StrEnum):
    """What happened to a resource. `joined` and `left`: another connection has it from now on."""

    CREATED = "created"
    CHANGED = "changed"
    REPLACED = "replaced"
    DELETED = "deleted"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    JOINED = "joined"
    LEFT = "left"
    ANSWERED = "answered"  # a request that its sender did not wait for


@dataclass(frozen=True)
class _Change:
    kind: Kind
    row: User | Group
    connection: int
    attributes: Sequence[str]


class _Heard:
    """Which connections have a stream, when this process asks again, and where it asked."""

    connections: frozenset[int] = frozenset()
    next_look = 0.0
    place: object = None


def note(
    kind: Kind,
    row: User | Group,
    before: Document = _NOTHING,
    after: Document = _NOTHING,
    *,
    also: Iterable[str] = (),
) -> None:
    """Note what happens to a resource, in the caller's transaction.

    The event names the attributes in which the documents differ, and those in `also`.
    """
    connection = row.connection_id
    if connection is not None and is_heard(connection):
        _CHANGES.add(_Change(kind, row, connection, [*_differing(before, after), *also]))


def note_keys(user: User | None) -> None:
    """Note that a person's keys have changed; of who was deleted nobody hears again."""
    if user is not None and user.deleted_at is None:
        note(Kind.CHANGED, user, also=(KEYS,))


def note_move(row: User | Group, old: int | None, new: int | None) -> None:
    """Note that a resource goes from one connection to another."""
    for connection, kind in ((old, Kind.LEFT), (new, Kind.JOINED)):
        if connection is not None and is_heard(connection):
            _CHANGES.add(_Change(kind, row, connection, ()))


def answer(connection: int, txn: str, type_: str, subject: str, outcome: Document) -> None:
    """Tell a connection's streams what became of a request, behind what it has changed."""
    content = json.dumps({"outcome": dict(outcome)}, ensure_ascii=False)
    for stream, _detail in _STREAMS.rows((), (connection,)):
        jti = uuid.uuid4().hex
        _ANSWERS.add((stream, jti, txn, Kind.ANSWERED, type_, subject, None, None, content))


def is_heard(connection: int) -> bool:
    """Say whether a connection has a stream; at most a second behind other processes."""
    if time.monotonic() >= _Heard.next_look or _Heard.place is not database.obj:
        _Heard.next_look, _Heard.place = time.monotonic() + _LOOK_EVERY, database.obj
        _Heard.connections = frozenset(pk for (pk,) in _HEARD.rows((), ()))
    return connection in _Heard.connections


def forget() -> None:
    """Ask anew at the next note: this process has changed the streams."""
    _Heard.next_look = 0.0


def _differing(before: Document, after: Document) -> list[str]:
    """Return what changed, and of a schema's own part which of its attributes."""
    paths: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        parts = [each for each in (old, new) if isinstance(each, Mapping)]
        if ":" in name and parts:
            inner = [dict(old) if isinstance(old, Mapping) else {},
                     dict(new) if isinstance(new, Mapping) else {}]  # fmt: skip
            paths += [f"{name}:{part}" for part in _differing(*inner)]
        else:
            paths.append(name)
    return paths


def _write(changes: Sequence[_Change]) -> None:
    txn = uuid.uuid4().hex
    told: dict[tuple[int, str, int], list[_Change]] = {}
    for change in changes:
        key = (change.connection, type(change.row).__name__, change.row.id)
        told.setdefault(key, []).append(change)
    streams = {c: _STREAMS.rows((), (c,)) for c in {key[0] for key in told}}
    _insert(
        row
        for (connection, name, _pk), each in told.items()
        for row in _rows(txn, name, each, streams[connection])
    )


def _rows(
    txn: str, name: str, changes: Sequence[_Change], streams: Iterable[tuple[object, ...]]
) -> Iterable[tuple[object, ...]]:
    """Yield one event for each stream: what a transaction did to one resource, put together."""
    kinds = list(dict.fromkeys(change.kind for change in changes))
    if Kind.DELETED in kinds:
        if Kind.CREATED in kinds:
            return  # it came and went before anybody could see it
        kinds = [Kind.DELETED]
    elif Kind.CREATED in kinds or Kind.REPLACED in kinds:
        kinds = [kind for kind in kinds if kind is not Kind.CHANGED]
        kinds = [k for k in kinds if k is not Kind.REPLACED or Kind.CREATED not in kinds]
    attributes = list(dict.fromkeys(name for change in changes for name in change.attributes))
    # Several instances of one row may have been at work, and one of them is behind.
    row = max((change.row for change in changes), key=lambda each: each.version)
    for stream, detail in streams:
        content: dict[str, object] = {"attributes": attributes}
        # A group's document says nothing of its members, and would be read as an empty group's.
        if detail == "full" and isinstance(row, User) and Kind.DELETED not in kinds:
            content["document"] = json.loads(row.document)
            content["times"] = [row.created_at, row.updated_at]
        yield (
            stream,
            uuid.uuid4().hex,
            txn,
            " ".join(kinds),
            name,
            row.resource_id,
            row.external_id,
            row.version,
            json.dumps(content, ensure_ascii=False),
        )


def _insert(rows: Iterable[tuple[object, ...]]) -> None:
    now = now_ms()
    values = [value for row in rows for value in (*row, "waiting", 0, "", now)]
    width = len(_COLUMNS)
    for start in range(0, len(values), width * _AT_ONCE):
        part = values[start : start + width * _AT_ONCE]
        _ADD.say((len(part) // width,), part)


_COLUMNS = (
    "stream_id",
    "jti",
    "txn",
    "kinds",
    "type",
    "subject",
    "external_id",
    "version",
    "content",
    "state",
    "attempts",
    "last_error",
    "at",
)
_CHANGES = Gathered(_write)
_ANSWERS: Gathered[tuple[object, ...]] = Gathered(_insert)
_ADD = Statements(lambda count: rows_of(StreamEvent, _COLUMNS, count))
_HEARD = Statements(
    lambda: EventStream.select(EventStream.connection).where(EventStream.state == "active")
)
_STREAMS = Statements(
    lambda: EventStream.select(EventStream.id, EventStream.detail).where(
        EventStream.connection == parameter(0), EventStream.state == "active"
    )
)
