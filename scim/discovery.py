# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""ServiceProviderConfig, ResourceTypes and Schemas (RFC 7643 §5–7): what works, and no more."""

from __future__ import annotations

from .bulk import MAX_OPERATIONS, MAX_PAYLOAD
from .cursors import TIMEOUT
from .extensions import schemas as every_schema
from .listing import DEFAULT_COUNT, MAX_COUNT
from .resource_types import ALL
from .schema import Attribute, ResourceType, Schema, Type
from .security_events import event_uris

_CORE = "urn:ietf:params:scim:schemas:core:2.0:"

Json = dict[str, object]


def service_provider_config(base: str, *, tells: bool = False) -> Json:
    """Return what the service supports.

    `tells`: the directory that asks has a stream of events. Without one the part is left out,
    which means "not configured" (RFC 9967 §4); older clients refuse what they do not know.
    """
    config: Json = {
        "schemas": [_CORE + "ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": True, "maxOperations": MAX_OPERATIONS, "maxPayloadSize": MAX_PAYLOAD},
        "filter": {"supported": True, "maxResults": MAX_COUNT},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_COUNT,
            "maxPageSize": MAX_COUNT,
            "cursorTimeout": TIMEOUT // 1000,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token issued for this connection in the panel (RFC 6750).",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{base}/ServiceProviderConfig",
        },
    }
    if tells:
        config["securityEvents"] = {"asyncRequest": "request", "eventUris": event_uris()}
    return config


def resource_types(base: str) -> list[Json]:
    """Return every resource type."""
    return [_resource_type(type_, base) for type_ in ALL]


def schemas(base: str) -> list[Json]:
    """Return every schema, with all characteristics of its attributes and no nulls (Entra)."""
    return [_schema(schema, base) for schema in every_schema()]


def find(listed: list[Json], wanted: str) -> Json | None:
    """Return the one whose id this is, in any case, or None."""
    return next((each for each in listed if str(each["id"]).lower() == wanted.lower()), None)


def _resource_type(type_: ResourceType, base: str) -> Json:
    body: Json = {
        "schemas": [_CORE + "ResourceType"],
        "id": type_.name,
        "name": type_.name,
        "endpoint": type_.endpoint,
        "description": type_.description,
        "schema": type_.schema.urn,
    }
    if type_.extensions:
        body["schemaExtensions"] = [
            {"schema": schema.urn, "required": schema.urn in type_.required}
            for schema in type_.extensions
        ]
    body["meta"] = {
        "resourceType": "ResourceType",
        "location": f"{base}/ResourceTypes/{type_.name}",
    }
    return body


def _schema(schema: Schema, base: str) -> Json:
    return {
        "schemas": [_CORE + "Schema"],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.description,
        "attributes": [_attribute(attribute) for attribute in schema.attributes],
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{schema.urn}"},
    }


def _attribute(attribute: Attribute) -> Json:
    body: Json = {
        "name": attribute.name,
        "type": str(attribute.type),
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": str(attribute.mutability),
        "returned": str(attribute.returned),
        "uniqueness": str(attribute.uniqueness),
    }
    if attribute.type in (Type.STRING, Type.REFERENCE, Type.BINARY):
        body["caseExact"] = attribute.case_exact
    if attribute.canonical_values:
        body["canonicalValues"] = list(attribute.canonical_values)
    if attribute.reference_types:
        body["referenceTypes"] = list(attribute.reference_types)
    if attribute.sub_attributes:
        body["subAttributes"] = [_attribute(sub) for sub in attribute.sub_attributes]
    return body
