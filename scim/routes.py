# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The addresses under /scim/v2: load, check, call, reply. Transactions open here.

Whatever goes wrong is told in the form of RFC 7644 §3.12, an address that is none included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING

import orjson
import structlog
from werkzeug.exceptions import HTTPException, NotFound, SecurityError

from provisioning.errors import KeywrightError, Taken
from provisioning.errors import NotFound as NothingThere
from provisioning.event_streams import events
from provisioning.processes.logs import kind_and_place
from provisioning.services import Services
from provisioning.storage.db import RETRY_AFTER, guarded, transaction, will_pass
from provisioning.storage.recorder import Recorder
from provisioning.upstream import tokens
from provisioning.upstream.connections import PatchReply

from . import about, bulk, deferred, extensions, json_body, polling, tracing
from .admission import Outdated, admit, again, is_outdated, look_again, revalidated
from .caller import Caller
from .door import Door, Waits, open_door
from .errors import (
    Fault,
    InvalidVersion,
    SecretFilter,
    Sensitive,
    describe,
    describe_http,
)
from .listing import Listing, answer, from_parameters, from_search, names
from .projection import Projection, projection
from .resource_types import ALL, GROUP, USER
from .resources import Resource, find, render, unseen
from .schema import ResourceType
from .security_events import issuer
from .tracing import Left
from .verbs import WRITABLE
from .wire import JSON, Reply, Request, WsgiApp

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PREFIX = "/scim/v2"
_BRIEF = 64 * 1024  # bytes
_OTHER_VERSION = re.compile(r"/scim/v\d", re.ASCII)

log = structlog.get_logger()

View = Callable[[Request, Caller], Reply]


def hang(
    app: WsgiApp,
    services: Services,
    hosts: Sequence[str],
    recorder: Recorder[Left],
    waits: Waits | None = None,
) -> WsgiApp:
    """Return an app that answers directories under /scim/v2 and leaves the rest to `app`.

    `hosts` are those that a request may be addressed to; `recorder` takes down what was asked;
    `waits` says how a receiver of events may wait for some.
    """
    hung = open_door(issuer(services.settings.base_url), services, waits)

    def door(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path != PREFIX and not path.startswith(PREFIX + "/"):
            if _OTHER_VERSION.match(path) is None:
                return app(environ, start_response)
            fault = describe(InvalidVersion("The service speaks SCIM 2.0, under /scim/v2."))
            return _refusal(fault, {}).send(Request(environ), start_response)
        started = perf_counter_ns()
        request = Request(environ)
        reply = _reply(request, hung, hosts)
        tracing.note(recorder, request, reply, perf_counter_ns() - started)
        return reply.send(request, start_response)

    return door


def _reply(request: Request, door: Door, hosts: Sequence[str]) -> Reply:
    try:
        if not request.is_for(hosts):
            request.token = tokens.public_id(request.header("AUTHORIZATION"))
            raise SecurityError("another host's request")
        if request.path in _OPEN:
            request.allow("GET")
            return _OPEN[request.path](door)
        return _admitted(request, door)
    except KeywrightError as error:
        if isinstance(error, Taken) and request.caller is not None:
            request.caller.taken.append(error)
        fault = describe(error)
        return _refusal(fault, _hints(fault, request))
    except HTTPException as error:
        kept = ("Allow", "Retry-After")
        return _refusal(describe_http(error), {n: v for n, v in error.get_headers() if n in kept})
    except Exception as error:  # noqa: BLE001 - the last resort
        return _surprise(error, request)


def _admitted(request: Request, door: Door) -> Reply:
    caller = request.caller = admit(request, door)
    while True:
        try:
            door.pace.check(caller.connection.id)
            extensions.look()
            view = _view(request.path.removeprefix(PREFIX))
            if not request.reads:
                return view(request, caller)
            with revalidated(request):
                return view(request, caller)
        except (KeywrightError, HTTPException) as error:
            if not isinstance(error, Outdated) and not is_outdated(request):
                raise
        caller = request.caller = again(request, door)


def _view(path: str) -> View:
    """Return what answers at an address, with or without a slash at its end."""
    match path.removesuffix("/").split("/")[1:]:
        case []:
            return _root
        case [name] if name in _TYPES:
            return lambda request, caller: _collection(request, caller, _TYPES[name])
        case [name] if name in _ALONE:
            return _ALONE[name]
        case [name, ".search"] if name in _TYPES:
            return lambda request, caller: _search(request, caller, [_TYPES[name]])
        case [name, wanted] if name in _TYPES and wanted:
            return lambda request, caller: _one(request, caller, _TYPES[name], wanted)
        case ["Bulk", txn]:
            return lambda request, caller: _deferred(request, caller, txn)
        case ["Events", wanted]:
            return lambda request, caller: _poll(request, caller, wanted)
        case ["ResourceTypes", wanted]:
            return lambda request, caller: about.resource_types(request, caller, wanted)
        case ["Schemas", wanted]:
            return lambda request, caller: about.schemas(request, caller, wanted)
    raise NotFound


def _collection(request: Request, caller: Caller, type_: ResourceType) -> Reply:
    if request.reads:
        return _list(request, caller, [type_])
    request.allow("GET", *(["POST"] if type_.name in WRITABLE else []))
    return _create(request, caller, type_)


def _one(request: Request, caller: Caller, type_: ResourceType, resource_id: str) -> Reply:
    if request.reads:
        return _get(request, caller, type_, resource_id)
    request.allow("GET", *(["PUT", "PATCH", "DELETE"] if type_.name in WRITABLE else []))
    if request.method == "DELETE":
        return _delete(request, caller, type_, resource_id)
    return _change(request, caller, type_, resource_id)


# --- reading ---------------------------------------------------------------------------------


def _list(request: Request, caller: Caller, types: Sequence[ResourceType]) -> Reply:
    try:
        return _answer(caller, types, from_parameters(request.args))
    except SecretFilter as error:
        raise Sensitive("A password does not belong in an address, which is logged.") from error


def _search(request: Request, caller: Caller, types: Sequence[ResourceType]) -> Reply:
    request.allow("POST")
    return _answer(caller, types, from_search(request.body(json_body.MEBIBYTE)))


def _answer(caller: Caller, types: Sequence[ResourceType], listing: Listing) -> Reply:
    caller.pass_over(types, (*listing.attributes, *listing.excluded))
    reply = Reply(body=answer(caller, types, listing))
    _count_unknown(caller)
    return reply


def _count_unknown(caller: Caller) -> None:
    """Count what a reader asks for and no schema knows; nearly nobody does."""
    if caller.dialect.unknown:
        with transaction():
            caller.note_unknown()


def _root(request: Request, caller: Caller) -> Reply:
    request.allow("GET")
    return _list(request, caller, ALL)


def _get(request: Request, caller: Caller, type_: ResourceType, resource_id: str) -> Reply:
    shape = _projection(request, caller, type_)
    resource = find(type_, resource_id, shape, caller.connection, caller.base)
    if resource is None:
        raise NothingThere(f"There is no {type_.name} {resource_id}.")
    _count_unknown(caller)
    seen = request.header("IF_NONE_MATCH")
    if seen is not None and _seen(seen, resource.version):
        return Reply(304, headers={"ETag": resource.version})
    return _resource(resource)


def _seen(header: str, version: str) -> bool:
    opaque = version.removeprefix("W/")
    return header.strip() == "*" or opaque in [
        tag.strip().removeprefix("W/") for tag in header.split(",")
    ]


# --- writing ---------------------------------------------------------------------------------


def _writing(request: Request, type_: ResourceType) -> AbstractContextManager[None]:
    """Return the transaction of a request, which shares its commit if it is brief.

    A group may come, or go, with all its members at once: nobody else is to wait for that.
    """
    brief = type_ is USER or (request.method == "PATCH" and request.is_within(_BRIEF))
    return transaction(share_commit=brief)


def _create(request: Request, caller: Caller, type_: ResourceType) -> Reply:
    verbs = WRITABLE[type_.name]
    caller.check_may_write(type_)
    shape, body = _projection(request, caller, type_), request.body(verbs.body_limit)
    with _writing(request, type_), revalidated(request):
        row = verbs.create(caller, body)
        caller.note_unknown()
        resource = render(type_, [row], shape, caller.connection, caller.base, new=True)[0]
    return _resource(resource, 201)


def _change(request: Request, caller: Caller, type_: ResourceType, resource_id: str) -> Reply:
    verbs = WRITABLE[type_.name]
    caller.check_may_write(type_)
    shape, body = _projection(request, caller, type_), request.body(verbs.body_limit)
    verb = verbs.replace if request.method == "PUT" else verbs.patch
    quiet = request.method == "PATCH" and shape.is_whole and _is_quiet(caller, type_)
    with _writing(request, type_), revalidated(request):
        row = verb(caller, resource_id, body, request.header("IF_MATCH"))
        caller.note_unknown()
        if quiet:
            resource = unseen(type_, row, caller.connection, caller.base)
        else:
            resource = render(type_, [row], shape, caller.connection, caller.base)[0]
    if quiet:
        return Reply(204, headers={"ETag": resource.version, "Content-Location": resource.location})
    return _resource(resource)


def _is_quiet(caller: Caller, type_: ResourceType) -> bool:
    """Say whether a PATCH is answered with 204.

    Entra wants that for groups, and nobody wants 10,000 members back for adding one.
    """
    reply = caller.connection.patch_reply
    return reply == PatchReply.EMPTY or (type_ is GROUP and reply != PatchReply.BODY)


def _delete(request: Request, caller: Caller, type_: ResourceType, resource_id: str) -> Reply:
    verbs = WRITABLE[type_.name]
    caller.check_may_write(type_)
    with _writing(request, type_), revalidated(request):
        verbs.delete(caller, resource_id, request.header("IF_MATCH"))
    return Reply(204)


def _bulk(request: Request, caller: Caller) -> Reply:
    request.allow("POST")
    body = request.body(bulk.MAX_PAYLOAD)
    # Where no stream would tell the outcome the preference is passed over, as it may be.
    if deferred.wanted(request.header("PREFER")) and events.is_heard(caller.connection.id):
        with transaction(), revalidated(request):
            txn = deferred.accept(caller, body, str(request.token))
        return Reply(
            202,
            headers={
                "Set-Txn": txn,
                "Preference-Applied": "respond-async",
                "Location": f"{caller.base}/Bulk/{txn}",
            },
        )
    with transaction(), revalidated(request):
        outcome = bulk.run(caller, body)
        caller.note_unknown()
    return Reply(body=orjson.dumps(outcome), scim_type=_failed(outcome))


def _failed(outcome: Mapping[str, object]) -> str | None:
    """Say how many operations failed: the answer is 200 all the same."""
    operations = outcome["Operations"]
    failed = sum("response" in each for each in operations) if isinstance(operations, list) else 0
    return f"failed={failed}" if failed else None


def _deferred(request: Request, caller: Caller, txn: str) -> Reply:
    request.allow("GET")
    found = deferred.outcome(caller, txn)
    if found is None:
        return Reply(202, headers={"Retry-After": "5"})
    return Reply(body=orjson.dumps(found), media_type=JSON)


def _poll(request: Request, caller: Caller, stream_id: str) -> Reply:
    request.allow("POST")
    body = request.body(json_body.MEBIBYTE)
    try:
        with guarded(partial(look_again, request)):
            found = polling.answer(caller, stream_id, body)
    finally:  # it may have waited, and the token been revoked: then no refusal is told either
        look_again(request)
    return Reply(body=orjson.dumps(found), media_type=JSON)


_TYPES = {type_.endpoint.removeprefix("/"): type_ for type_ in ALL}
_ALONE: dict[str, View] = {
    ".search": lambda request, caller: _search(request, caller, ALL),
    "Bulk": _bulk,
    "Me": about.me,
    "ServiceProviderConfig": about.config,
    "ResourceTypes": about.resource_types,
    "Schemas": about.schemas,
}


_OPEN = {PREFIX + path: tells for path, tells in about.OPEN.items()}
_WHOLE = {type_.name: Projection(type_) for type_ in ALL}  # nearly everybody asks for all of it


# --- replies ---------------------------------------------------------------------------------


def _hints(fault: Fault, request: Request) -> Mapping[str, str]:
    """Return what a refusal tells beside its body."""
    if fault.status == 401:  # an error is told to who gave something only (RFC 6750 §3.1)
        wrong = ' error="invalid_token"' if request.header("AUTHORIZATION") else ""
        return {"WWW-Authenticate": f"Bearer{wrong}"}
    if fault.status == 429:  # more than `pace.BURST`: the next try is let in
        return {"Retry-After": RETRY_AFTER}
    return {}


def _projection(request: Request, caller: Caller, type_: ResourceType) -> Projection:
    if not request.environ.get("QUERY_STRING"):
        return _WHOLE[type_.name]
    attributes = names(request.args.get("attributes"))
    excluded = names(request.args.get("excludedattributes"))
    caller.pass_over([type_], (*attributes, *excluded))
    return projection(type_, attributes, excluded)


def _resource(resource: Resource, status: int = 200) -> Reply:
    headers = {"ETag": resource.version, "Content-Location": resource.location}
    if status == 201:
        headers["Location"] = resource.location
    return Reply(status, resource.body, headers)


def _refusal(fault: Fault, headers: Mapping[str, str]) -> Reply:
    return Reply(fault.status, orjson.dumps(fault.body()), headers, fault.scim_type)


def _surprise(error: Exception, request: Request) -> Reply:
    path = tracing.shown(request.path)  # what else stands in it may be somebody's name
    if will_pass(error):
        log.warning("database away or busy", path=path, **kind_and_place(error))
        return _refusal(Fault(503, "The server is busy."), {"Retry-After": RETRY_AFTER})
    log.error("unexpected error", path=path, **kind_and_place(error))
    return _refusal(Fault(500, "The server failed."), {})
