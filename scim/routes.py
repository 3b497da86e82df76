# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The addresses under /scim/v2: load, check, call, answer. Transactions open here.

Every address takes every method and refuses the wrong ones itself, so that each refusal has the
form of RFC 7644 §3.12; what no address takes is answered by `_unrouted`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
import structlog
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from provisioning import tokens
from provisioning.clock import MINUTE, now_ms
from provisioning.db import RETRY_AFTER, transaction, will_pass
from provisioning.errors import KeywrightError
from provisioning.errors import NotFound as NothingThere
from provisioning.logs import kind_and_place
from provisioning.services import Services

from . import bulk, discovery, json_body, rows
from .caller import Caller, make_caller
from .errors import Fault, FilterForbidden, Unsupported, describe, describe_http
from .listing import Listing, answer, from_parameters, from_search, list_response, names
from .projection import Projection, projection
from .resource_types import ALL, GROUP
from .resources import Resource, render
from .schema import ResourceType
from .verbs import WRITABLE, Verbs

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PREFIX = "/scim/v2"
SCIM_JSON = "application/scim+json"

log = structlog.get_logger()

def blueprint(services: Services) -> Blueprint:
    """Make the door that directories push through; it is hung at /scim/v2."""
    door = Blueprint("scim", __name__)
    base = services.settings.base_url.rstrip("/") + PREFIX

    @door.before_request
    def authenticate() -> None:
        token = tokens.verify(request.headers.get("Authorization"))
        last = token.last_used_at
        if last is None or now_ms() - last >= MINUTE:
            with transaction():
                tokens.touch(token)
        g.caller = make_caller(token.connection, base)

    @door.before_app_request
    def unrouted() -> Response | None:
        error = request.routing_exception
        ours = request.path.startswith(f"{PREFIX}/") and not isinstance(error, RequestRedirect)
        if error is None or not ours:
            return None
        return _refusal(describe_http(error), _kept(error))

    door.register_error_handler(KeywrightError, _on_core)
    door.register_error_handler(HTTPException, _on_http)
    door.register_error_handler(Exception, _on_surprise)
    for type_ in ALL:
        _hang(door, type_)
    _route(door, "/", "root", _root)
    _route(door, "/.search", "search", lambda: _search(ALL))
    _route(door, "/ServiceProviderConfig", "config", _config)
    _route(door, "/ResourceTypes", "resource_types", _resource_types)
    _route(door, "/ResourceTypes/<wanted>", "resource_type", _resource_type)
    _route(door, "/Schemas", "schemas", _schemas)
    _route(door, "/Schemas/<wanted>", "schema", _schema)
    _route(door, "/Me", "me", _unsupported)
    _route(door, "/Bulk", "bulk", _bulk)
    return door


def _hang(door: Blueprint, type_: ResourceType) -> None:
    """Give a resource type its three addresses."""
    name = type_.endpoint.removeprefix("/")

    def collection() -> Response:
        if request.method in ("GET", "HEAD"):
            return _list([type_])
        return _create(type_) if request.method == "POST" else _wrong_method("GET, POST")

    def one(resource_id: str) -> Response:
        match request.method:
            case "GET" | "HEAD":
                return _get(type_, resource_id)
            case "PUT" | "PATCH":
                return _change(type_, resource_id)
            case "DELETE":
                return _delete(type_, resource_id)
        return _wrong_method("GET, PUT, PATCH, DELETE")

    _route(door, type_.endpoint, name, collection)
    _route(door, f"{type_.endpoint}/.search", f"{name}_search", lambda: _search([type_]))
    _route(door, f"{type_.endpoint}/<resource_id>", f"{name}_one", one)


def _route(door: Blueprint, rule: str, name: str, view: Callable[..., Response]) -> None:
    door.add_url_rule(rule, name, view, methods=METHODS, strict_slashes=False,
                      provide_automatic_options=False)


# --- reading ---------------------------------------------------------------------------------


def _list(types: list[ResourceType]) -> Response:
    listing = from_parameters(request.args)
    return _answer(answer(_caller(), types, listing))


def _search(types: list[ResourceType] | tuple[ResourceType, ...]) -> Response:
    if request.method != "POST":
        return _wrong_method("POST")
    listing: Listing = from_search(_body(json_body.MEBIBYTE))
    return _answer(answer(_caller(), types, listing))


def _root() -> Response:
    if request.method not in ("GET", "HEAD"):
        return _wrong_method("GET")
    return _list(list(ALL))


def _get(type_: ResourceType, resource_id: str) -> Response:
    caller = _caller()
    shape = _projection(type_)
    row = rows.find(type_, caller.connection, resource_id)
    if row is None:
        raise NothingThere(f"There is no {type_.name} {resource_id}.")
    resource = render(type_, [row], shape, caller.connection, caller.base)[0]
    seen = request.headers.get("If-None-Match")
    if seen is not None and _seen(seen, resource.version):
        return Response(status=304, headers={"ETag": resource.version})
    return _resource(resource)


def _seen(header: str, version: str) -> bool:
    opaque = version.removeprefix("W/")
    return header.strip() == "*" or opaque in [
        tag.strip().removeprefix("W/") for tag in header.split(",")
    ]


# --- writing ---------------------------------------------------------------------------------


def _create(type_: ResourceType) -> Response:
    caller, verbs = _caller(), _writable(type_)
    caller.check_may_write(type_)
    shape, body = _projection(type_), _body(verbs.body_limit)
    with transaction():
        row = verbs.create(caller, body)
        caller.note_unknown()
        resource = render(type_, [row], shape, caller.connection, caller.base)[0]
    _note_quirks(caller)
    return _resource(resource, 201)


def _change(type_: ResourceType, resource_id: str) -> Response:
    caller, verbs = _caller(), _writable(type_)
    caller.check_may_write(type_)
    shape, body = _projection(type_), _body(verbs.body_limit)
    verb = verbs.replace if request.method == "PUT" else verbs.patch
    quiet = request.method == "PATCH" and type_ is GROUP and shape.is_whole and not (
        caller.dialect.profile.group_patch_body
    )
    with transaction():
        row = verb(caller, resource_id, body, request.headers.get("If-Match"))
        caller.note_unknown()
        # Entra wants 204 for groups, and nobody wants 10,000 members back for adding one.
        shown = projection(type_, excluded=["members"]) if quiet else shape
        resource = render(type_, [row], shown, caller.connection, caller.base)[0]
    _note_quirks(caller)
    if quiet:
        return Response(status=204, headers={"ETag": resource.version,
                                             "Content-Location": resource.location})
    return _resource(resource)


def _delete(type_: ResourceType, resource_id: str) -> Response:
    caller, verbs = _caller(), _writable(type_)
    caller.check_may_write(type_)
    with transaction():
        verbs.delete(caller, resource_id, request.headers.get("If-Match"))
    return Response(status=204)


def _bulk() -> Response:
    if request.method != "POST":
        return _wrong_method("POST")
    caller, body = _caller(), _body(bulk.MAX_PAYLOAD)
    with transaction():
        outcome = bulk.run(caller, body)
        caller.note_unknown()
    _note_quirks(caller)
    return _answer(orjson.dumps(outcome))


def _writable(type_: ResourceType) -> Verbs:
    verbs = WRITABLE.get(type_.name)
    if verbs is None:
        raise MethodNotAllowed(valid_methods=["GET"])
    return verbs


def _note_quirks(caller: Caller) -> None:
    if caller.dialect.used:
        log.info("scim dialect", connection=caller.connection.name,
                 quirks={str(quirk): count for quirk, count in caller.dialect.used.items()})


# --- discovery -------------------------------------------------------------------------------


def _config() -> Response:
    _check_discovery()
    return _answer(orjson.dumps(discovery.service_provider_config(_caller().base)))


def _resource_types() -> Response:
    return _listed(discovery.resource_types(_caller().base))


def _resource_type(wanted: str) -> Response:
    return _one_of(discovery.resource_types(_caller().base), wanted)


def _schemas() -> Response:
    return _listed(discovery.schemas(_caller().base))


def _schema(wanted: str) -> Response:
    return _one_of(discovery.schemas(_caller().base), wanted)


def _listed(found: list[dict[str, object]]) -> Response:
    _check_discovery()
    return _answer(list_response([orjson.dumps(each) for each in found], len(found)))


def _one_of(found: list[dict[str, object]], wanted: str) -> Response:
    _check_discovery()
    one = discovery.find(found, wanted)
    if one is None:
        raise NothingThere(f"There is no {wanted}.")
    return _answer(orjson.dumps(one))


def _check_discovery() -> None:
    """GET only; paging and sorting are ignored, a filter is refused (RFC 7644 §4)."""
    if request.method not in ("GET", "HEAD"):
        _wrong_method("GET")
    if "filter" in request.args:
        raise FilterForbidden("Discovery takes no filter.")


def _unsupported() -> Response:
    raise Unsupported("The service does not do this; see ServiceProviderConfig.")


# --- the wire --------------------------------------------------------------------------------


def _caller() -> Caller:
    caller = g.caller
    if not isinstance(caller, Caller):
        raise TypeError("the request was not authenticated")
    return caller


def _projection(type_: ResourceType) -> Projection:
    return projection(type_, names(request.args.get("attributes")),
                      names(request.args.get("excludedAttributes")))


def _body(limit: int) -> dict[str, object]:
    request.max_content_length = limit
    return json_body.parse(request.get_data(cache=False))


def _resource(resource: Resource, status: int = 200) -> Response:
    headers = {"ETag": resource.version, "Content-Location": resource.location}
    if status == 201:
        headers["Location"] = resource.location
    return _answer(resource.body, status, headers)


def _answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer in the media type asked for; OneLogin asks for application/json."""
    best = request.accept_mimetypes.best_match([SCIM_JSON, "application/json"], SCIM_JSON)
    return Response(body, status, dict(headers or {}), content_type=best)


def _wrong_method(allowed: str) -> Response:
    raise MethodNotAllowed(valid_methods=allowed.split(", "))


def _on_core(error: KeywrightError) -> Response:
    fault = describe(error)
    return _refusal(fault, {"WWW-Authenticate": "Bearer"} if fault.status == 401 else {})


def _on_http(error: HTTPException) -> Response:
    return _refusal(describe_http(error), _kept(error))


def _on_surprise(error: Exception) -> Response:
    if will_pass(error):
        log.warning("database away or busy", path=request.path, **kind_and_place(error))
        return _refusal(Fault(503, "The server is busy."), {"Retry-After": RETRY_AFTER})
    log.error("unexpected error", path=request.path, **kind_and_place(error))
    return _refusal(Fault(500, "The server failed."), {})


def _refusal(fault: Fault, headers: Mapping[str, str]) -> Response:
    return _answer(orjson.dumps(fault.body()), fault.status, headers)


def _kept(error: HTTPException) -> dict[str, str]:
    return {name: value for name, value in error.get_headers()
            if name in ("Allow", "Retry-After")}
