# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the service tells of itself: discovery (RFC 7644 §4), its description, its public keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import orjson

from provisioning.errors import NotFound
from provisioning.event_streams import events

from . import discovery
from .caller import Caller
from .door import Door
from .errors import FilterForbidden, Unsupported
from .listing import list_response
from .security_events import jwks
from .wire import JSON, Reply, Request

OPENAPI = "/openapi.yaml"
JWKS = "/jwks.json"


def config(request: Request, caller: Caller) -> Reply:
    """Answer /ServiceProviderConfig."""
    _check(request)
    tells = events.is_heard(caller.connection.id)
    return Reply(body=orjson.dumps(discovery.service_provider_config(caller.base, tells=tells)))


def resource_types(request: Request, caller: Caller, wanted: str | None = None) -> Reply:
    """Answer /ResourceTypes, or one of them by its id. Raises NotFound."""
    return _told(request, discovery.resource_types(caller.base), wanted)


def schemas(request: Request, caller: Caller, wanted: str | None = None) -> Reply:
    """Answer /Schemas, or one of them by its URN. Raises NotFound."""
    return _told(request, discovery.schemas(caller.base), wanted)


def me(request: Request, caller: Caller) -> Reply:
    """No alias: who asks is a directory and no resource (RFC 7644 §3.11)."""
    raise Unsupported("A token here stands for a directory, not for a person: there is no /Me.")


def _told(request: Request, found: list[dict[str, object]], wanted: str | None) -> Reply:
    _check(request)
    if wanted is None:
        texts = [orjson.dumps(each).decode() for each in found]
        return Reply(body=list_response(texts, len(found)))
    one = discovery.find(found, wanted)
    if one is None:
        raise NotFound(f"There is no {wanted}.")
    return Reply(body=orjson.dumps(one))


def _check(request: Request) -> None:
    """GET only; paging and sorting are ignored, a filter is refused (RFC 7644 §4)."""
    request.allow("GET")
    if "filter" in request.args:
        raise FilterForbidden("Discovery takes no filter.")


@cache
def _description() -> bytes:
    return Path(__file__).with_name("openapi.yaml").read_bytes()


# What needs no token: public keys, as whoever verifies has none of ours, and what is known anyway.
OPEN: dict[str, Callable[[Door], Reply]] = {
    JWKS: lambda door: Reply(body=orjson.dumps(jwks(door.services.vault)), media_type=JSON),
    OPENAPI: lambda _door: Reply(body=_description(), media_type="application/yaml"),
}
