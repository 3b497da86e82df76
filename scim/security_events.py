# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Events as security event tokens: RFC 8417 as RFC 9967 profiles it, signed with EdDSA.

A notice names attributes and holds no value, so that nothing about a person leaves by it but the
resource's own identifier; the `externalId` and people's documents go with `full` streams only.
A group's event is a notice there, too: `full` is all that a response holds, the members included,
and who holds all of it names no attributes (RFC 9967 §2.4).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from provisioning.clock import now_ms
from provisioning.event_streams import deliveries
from provisioning.event_streams.deliveries import Token
from provisioning.event_streams.events import KEYS, Kind
from provisioning.models import EventStream, StreamEvent
from provisioning.services import Services
from provisioning.vault import Vault

from .projection import projection
from .resource_types import ALL, KEYWRIGHT_USER, KEYWRIGHT_USER_SCHEMA, USER
from .resources import location
from .timestamps import iso

EVENT = "urn:ietf:params:scim:event:"
ASYNC_RESPONSE = EVENT + "misc:asyncresp"
MEDIA_TYPE = "application/secevent+jwt"

_Payload = Callable[[StreamEvent, Mapping[str, Any], str], dict[str, object]]

# What a kind is called (RFC 9967 §2.3 to §2.5). Those that end in a colon say how much they hold.
_NAMES: Mapping[Kind, str] = {
    Kind.CREATED: "prov:create:",
    Kind.CHANGED: "prov:patch:",
    Kind.REPLACED: "prov:put:",
    Kind.DELETED: "prov:delete",
    Kind.ACTIVATED: "prov:activate",
    Kind.DEACTIVATED: "prov:deactivate",
    Kind.JOINED: "feed:add",
    Kind.LEFT: "feed:remove",
    Kind.ANSWERED: "misc:asyncresp",
}
_TYPES = {type_.name: type_ for type_ in ALL}


def event_uris() -> list[str]:
    """Return every event that the service can send."""
    found: list[str] = []
    for name in _NAMES.values():
        ends = ("notice", "full") if name.endswith(":") else ("",)
        found += [EVENT + name + end for end in ends]
    return found


def token_of(event: StreamEvent, stream: EventStream, services: Services) -> str:
    """Return an event as a signed token for its stream's receiver."""
    key = signing_key(services.vault)
    return jwt.encode(
        claims_of(event, stream, services.settings.base_url),
        key,
        algorithm="EdDSA",
        headers={"typ": "secevent+jwt", "kid": key_id(key)},
    )


def claims_of(event: StreamEvent, stream: EventStream, base_url: str) -> dict[str, object]:
    """Return the claims (RFC 8417 §2.2, RFC 9967 §2.1, §2.2)."""
    base, full = issuer(base_url), stream.detail == "full"
    content = json.loads(event.content)
    type_ = _TYPES.get(event.type)
    subject: dict[str, object] = {
        "format": "scim",
        "uri": location(type_, event.subject, "").removesuffix("/") if type_ else "/",
    }
    if full and event.external_id is not None:
        subject["externalId"] = event.external_id
    return {
        "iss": base,
        "iat": now_ms() // 1000,
        "jti": event.jti,
        "aud": [stream.audience],
        "txn": event.txn,
        "sub_id": subject,
        "events": {
            uri: payload
            for kind in event.kinds.split()
            for uri, payload in [_event(Kind(kind), event, content, base)]
        },
    }


def issuer(base_url: str) -> str:
    """Return who issues the tokens: the address that a `sub_id` is relative to."""
    return base_url.rstrip("/") + "/scim/v2"


def jwks(vault: Vault) -> dict[str, object]:
    """Return the public keys that tokens are verified with (RFC 7517)."""
    key = signing_key(vault)
    public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    return {"keys": [{**public, "kid": key_id(key), "use": "sig", "alg": "EdDSA"}]}


@lru_cache(maxsize=8)
def signing_key(vault: Vault) -> Ed25519PrivateKey:
    """Return the key for events: one of its own, derived, so that no ticket can pass for one."""
    return Ed25519PrivateKey.from_private_bytes(vault.keyed_hash("scim event signing", b""))


@lru_cache(maxsize=8)
def key_id(key: Ed25519PrivateKey) -> str:
    """Return the key's thumbprint (RFC 7638)."""
    public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    needed = {name: public[name] for name in ("crv", "kty", "x")}
    digest = hashlib.sha256(json.dumps(needed, sort_keys=True, separators=(",", ":")).encode())
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _event(
    kind: Kind, event: StreamEvent, content: Mapping[str, Any], base: str
) -> tuple[str, dict[str, object]]:
    name = EVENT + _NAMES[kind]
    if kind is Kind.ANSWERED:
        return name, dict(content["outcome"])
    if not name.endswith(":"):
        return name, {}
    payload: dict[str, object] = {}
    if event.type != USER.name:
        # A person's tag covers groups and keys, too, which nobody reads for an event.
        payload["version"] = f'W/"{event.version}"'
    if "document" in content:
        return name + "full", {**payload, "data": _resource(event, content, base)}
    return name + "notice", {**payload, "attributes": [_path(n) for n in content["attributes"]]}


def _resource(event: StreamEvent, content: Mapping[str, Any], base: str) -> dict[str, object]:
    """Return the resource as it was at that moment, without what other rows say of it.

    It shows what a response would (RFC 9967 §2.4): nothing that is returned on request or never.
    """
    type_, document = _TYPES[event.type], content["document"]
    created, changed = content["times"]
    resource = {
        "schemas": [type_.schema.urn, *(u.urn for u in type_.extensions if u.urn in document)],
        "id": event.subject,
        **document,
        "meta": {
            "resourceType": type_.name,
            "created": iso(created),
            "lastModified": iso(changed),
            "location": location(type_, event.subject, base),
        },
    }
    return projection(type_).apply(resource)


def _path(name: str) -> str:
    own = {attribute.name for attribute in KEYWRIGHT_USER_SCHEMA.attributes}
    return f"{KEYWRIGHT_USER}:{name}" if name == KEYS and name in own else name


def _written(event: StreamEvent, stream: EventStream, services: Services) -> Token:
    return Token(token_of(event, stream, services).encode(), MEDIA_TYPE)


deliveries.speak(_written)
