# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Bulk requests that a directory does not wait for (`Prefer: respond-async`, RFC 9967 §2.5.1).

The request is sealed and put down, the worker carries it out, and each operation's outcome is told
to the directory's streams as `misc:asyncresp`. Effect, outcomes and the mark that it is done
commit together: a worker that dies in between has done nothing, and the next one does it, once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from provisioning import tasks
from provisioning.clock import DAY, now_ms
from provisioning.errors import Forbidden, NotFound, WrongState
from provisioning.event_streams import events
from provisioning.models import Connection, DeferredRequest, EventStream, StreamEvent, Task, TaskRow
from provisioning.sealing import columns
from provisioning.tasks import Kind, Turn
from provisioning.upstream import conflicts, tokens

from . import bulk, extensions, json_body
from .caller import Caller, make_caller
from .door import open_door
from .errors import Busy, describe
from .resource_types import ALL
from .security_events import issuer, token_of
from .tracing import clashes

MOST_WAITING = 20  # of one connection
KEPT = DAY  # how long outcomes can be fetched

Json = dict[str, object]


def wanted(prefer: str | None) -> bool:
    """Say whether a Prefer header asks not to wait (RFC 7240 §2, §4.1)."""
    preferences = (each.split(";")[0].strip().lower() for each in (prefer or "").split(","))
    return "respond-async" in preferences


def accept(caller: Caller, body: Mapping[str, object], token: str) -> str:
    """Put a request down and return its `txn`. The caller holds the transaction.

    `token` is the public id of the one that it came with: it is done only while that works. Raises
    what is wrong with the request as a whole, as if it were carried out, and Busy.
    """
    operations = bulk.check(caller, body)
    mine = DeferredRequest.connection == caller.connection.id
    waiting = DeferredRequest.select().where(mine, DeferredRequest.finished_at.is_null()).count()
    if waiting >= MOST_WAITING:
        raise Busy(f"{waiting} requests of this directory wait already.")
    txn = uuid.uuid4().hex
    sealed = caller.door.services.vault.seal(orjson.dumps(body), bound_to=_bound(txn))
    DeferredRequest.create(txn=txn, connection=caller.connection, token=token, sealed_body=sealed)
    title = f"{len(operations)} × SCIM"
    tasks.begin(KIND, caller.actor, [(txn, caller.connection.name)], title=title)
    return txn


def outcome(caller: Caller, txn: str) -> Json | None:
    """Return the outcomes of a connection's request as tokens, or None while it waits.

    In the shape of a poll (RFC 8936 §2.4): a request has as many as it has operations. Raises
    NotFound.
    """
    row = DeferredRequest.get_or_none(
        DeferredRequest.txn == txn, DeferredRequest.connection == caller.connection.id
    )
    if row is None:
        raise NotFound(f"There is no request {txn}.")
    if row.finished_at is None:
        return None
    services, stream = caller.door.services, EventStream(audience=caller.connection.name)
    sets = {}
    for place, told in enumerate(json.loads(row.outcomes or "[]")):
        event = _event(txn, place, told)
        sets[event.jti] = token_of(event, stream, services)
    return {"sets": sets, "moreAvailable": False}


def forget_old() -> int:
    """Delete what was done a day ago; return how many."""
    old = DeferredRequest.finished_at < now_ms() - KEPT
    return int(DeferredRequest.delete().where(old).execute())


def _carry_out(turn: Turn) -> str:
    """Do one request, in the task's transaction."""
    row = DeferredRequest.get_or_none(DeferredRequest.txn == turn.subject)
    if row is None or row.sealed_body is None:
        raise WrongState("The request is gone.")
    connection: Connection = row.connection
    if connection.retired_at is not None:
        raise Forbidden(f"{connection.name} is retired.")
    if not tokens.works(row.token):
        raise Forbidden("The token that this request came with works no more.")
    extensions.look()
    door = open_door(issuer(turn.services.settings.base_url), turn.services)
    caller = make_caller(connection, door)
    body = turn.services.vault.unseal(bytes(row.sealed_body), bound_to=_bound(row.txn))
    done = bulk.carry_out(caller, json_body.parse(body))
    caller.note_unknown()
    conflicts.note(clashes(caller.connection.id, caller.taken, now_ms()))
    _finish(row, [_outcome(each) for each in done])
    failed = sum(each.failed for each in done)
    return f"{len(done)} operations, {failed} refused"


def _close(task: Task) -> None:
    """Tell what became of a request that never ran: its directory waits for an answer."""
    for row in TaskRow.select().where(TaskRow.task == task):
        request = DeferredRequest.get_or_none(
            DeferredRequest.txn == row.subject, DeferredRequest.finished_at.is_null()
        )
        if request is not None:
            fault = describe(WrongState(row.detail or "The request was stopped."))
            told: Json = {"method": "POST", "status": str(fault.status), "response": fault.body()}
            _finish(request, [told])


def _finish(row: DeferredRequest, outcomes: list[Json]) -> None:
    row.sealed_body = None
    row.outcomes = json.dumps(outcomes, ensure_ascii=False)
    row.finished_at = now_ms()
    row.save()
    for place, told in enumerate(outcomes):
        event = _event(row.txn, place, told)
        events.answer(row.connection_id, event.txn, event.type, event.subject, told)


def _outcome(operation: bulk.Operation) -> Json:
    """Return an operation's line of the BulkResponse; each one has one (§2.5.1.2)."""
    if operation.outcome is not None:
        return operation.outcome
    fault = describe(WrongState("The request ended before: failOnErrors."))
    told: Json = {"method": operation.method, "status": str(fault.status), "response": fault.body()}
    if operation.bulk_id is not None:
        told["bulkId"] = operation.bulk_id
    return told


def _event(txn: str, place: int, told: Mapping[str, Any]) -> StreamEvent:
    """Return the event of one operation, always under the same identifier."""
    whole = f"{txn}:{place}"
    type_, subject = _subject(str(told.get("location", "")))
    return StreamEvent(
        jti=uuid.uuid5(uuid.NAMESPACE_URL, whole).hex,
        txn=whole,
        kinds=str(events.Kind.ANSWERED),
        type=type_,
        subject=subject,
        content=json.dumps({"outcome": told}, ensure_ascii=False),
    )


def _subject(location: str) -> tuple[str, str]:
    """Return type and id of the resource at an address, or nothing where there is none."""
    for type_ in ALL:
        _, found, resource_id = location.rpartition(f"{type_.endpoint}/")
        if found:
            return type_.name, resource_id
    return "", ""


def _bound(txn: str) -> str:
    return columns.REQUEST.binding(txn)


KIND = tasks.register(Kind("scim_bulk", None, _carry_out, _close))
