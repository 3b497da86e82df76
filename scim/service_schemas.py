# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The attribute tables of what describes the service itself (RFC 7643 §5–7, §8.7.2; RFC 9865).

Data only. They are served at /Schemas and drive nothing else: these resources are read-only.
"""

from __future__ import annotations

from .schema import Attribute, Mutability, Schema, Type, Uniqueness

_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_READ_ONLY = Mutability.READ_ONLY


def _one(
    name: str,
    description: str,
    type_: Type = Type.STRING,
    *canonical: str,
    required: bool = False,
    exact: bool = True,
    unique: bool = False,
    many: bool = False,
    to: tuple[str, ...] = (),
) -> Attribute:
    return Attribute(
        name,
        description,
        type_,
        multi_valued=many,
        required=required,
        case_exact=exact,
        mutability=_READ_ONLY,
        uniqueness=Uniqueness.SERVER if unique else Uniqueness.NONE,
        canonical_values=canonical,
        reference_types=to,
    )


def _parts(
    name: str, description: str, *parts: Attribute, many: bool = False, required: bool = True
) -> Attribute:
    return Attribute(
        name,
        description,
        Type.COMPLEX,
        multi_valued=many,
        required=required,
        mutability=_READ_ONLY,
        sub_attributes=parts,
    )


def _address(name: str, description: str, *, kind: str = "external") -> Attribute:
    return _one(name, description, Type.REFERENCE, to=(kind,))


_SUPPORTED = _one("supported", "Whether the service does this.", Type.BOOLEAN, required=True)

SERVICE_PROVIDER_CONFIG_SCHEMA = Schema(
    _CORE + "ServiceProviderConfig",
    "ServiceProviderConfig",
    "What the service supports.",
    (
        _address("documentationUri", "Address of the documentation."),
        _parts("patch", "PATCH.", _SUPPORTED),
        _parts(
            "bulk",
            "Bulk requests.",
            _SUPPORTED,
            _one("maxOperations", "Most operations of a request.", Type.INTEGER, required=True),
            _one("maxPayloadSize", "Most bytes of a request.", Type.INTEGER, required=True),
        ),
        _parts(
            "filter",
            "Filters.",
            _SUPPORTED,
            _one("maxResults", "Most resources of a response.", Type.INTEGER, required=True),
        ),
        _parts("changePassword", "Changing a password.", _SUPPORTED),
        _parts("sort", "Sorting.", _SUPPORTED),
        _parts("etag", "Entity tags.", _SUPPORTED),
        _parts(
            "pagination",
            "Paging (RFC 9865).",
            _one("cursor", "Whether pages go by cursor.", Type.BOOLEAN, required=True),
            _one("index", "Whether pages go by index.", Type.BOOLEAN, required=True),
            _one(
                "defaultPaginationMethod",
                "What is used unless one is asked for.",
                Type.STRING,
                "cursor",
                "index",
            ),
            _one(
                "defaultPageSize", "Resources of a page unless a count is asked for.", Type.INTEGER
            ),
            _one("maxPageSize", "Most resources of a page.", Type.INTEGER),
            _one("cursorTimeout", "Seconds that a cursor is good for.", Type.INTEGER),
            required=False,
        ),
        _parts(
            "securityEvents",
            "Events about resources (RFC 9967).",
            _one(
                "asyncRequest",
                "Whether a client need not wait for a request.",
                Type.STRING,
                "none",
                "long",
                "request",
                exact=False,
                required=True,
            ),
            _one(
                "eventUris",
                "Events that the service can send.",
                Type.REFERENCE,
                many=True,
                to=("uri",),
                required=True,
            ),
            required=False,
        ),
        _parts(
            "authenticationSchemes",
            "How a client proves who it is.",
            _one(
                "type",
                "The kind of scheme.",
                Type.STRING,
                "oauth",
                "oauth2",
                "oauthbearertoken",
                "httpbasic",
                "httpdigest",
                required=True,
            ),
            _one("name", "Its common name.", required=True),
            _one("description", "What it is.", required=True),
            _address("specUri", "Address of its specification."),
            _address("documentationUri", "Address of its documentation."),
            _one("primary", "Whether it is the preferred scheme.", Type.BOOLEAN),
            many=True,
        ),
    ),
)

RESOURCE_TYPE_SCHEMA = Schema(
    _CORE + "ResourceType",
    "ResourceType",
    "An endpoint, its schema and its extensions.",
    (
        _one("id", "Its identifier, the same as its name."),
        _one("name", "Name of the resource type.", required=True, unique=True),
        _one("description", "What the resources are."),
        _one("endpoint", "Address below the base.", Type.REFERENCE, required=True, to=("uri",)),
        _one("schema", "URN of its schema.", Type.REFERENCE, required=True, to=("uri",)),
        _parts(
            "schemaExtensions",
            "Extensions that its resources may carry.",
            _one("schema", "URN of the extension.", Type.REFERENCE, required=True, to=("uri",)),
            _one("required", "Whether it must be there.", Type.BOOLEAN, required=True),
            many=True,
            required=False,
        ),
    ),
)

_CHARACTERISTICS = (
    _one("name", "Name of the attribute.", required=True),
    _one("type", "Its data type.", Type.STRING, *(str(type_) for type_ in Type), required=True),
    _one("multiValued", "Whether it is a list.", Type.BOOLEAN, required=True),
    _one("description", "What it is for."),
    _one("required", "Whether a resource must have it.", Type.BOOLEAN),
    _one("canonicalValues", "Values that are expected.", many=True),
    _one("caseExact", "Whether case counts when it is compared.", Type.BOOLEAN),
    _one(
        "mutability",
        "Who may write it, and when.",
        Type.STRING,
        "readOnly",
        "readWrite",
        "immutable",
        "writeOnly",
    ),
    _one(
        "returned",
        "When it is part of a response.",
        Type.STRING,
        "always",
        "never",
        "default",
        "request",
    ),
    _one("uniqueness", "Among what it is unique.", Type.STRING, "none", "server", "global"),
    _one("referenceTypes", "What it may refer to.", many=True),
)

SCHEMA_SCHEMA = Schema(
    _CORE + "Schema",
    "Schema",
    "A schema: a URN and a table of attributes.",
    (
        _one("id", "URN of the schema.", required=True, unique=True),
        _one("name", "Its name.", required=True),
        _one("description", "What it describes."),
        _parts(
            "attributes",
            "Its attributes.",
            *_CHARACTERISTICS,
            # The one place where the standard itself puts a complex attribute into another one.
            _parts(
                "subAttributes",
                "Parts of a complex attribute.",
                *_CHARACTERISTICS,
                many=True,
                required=False,
            ),
            many=True,
        ),
    ),
)

SERVICE_SCHEMAS: tuple[Schema, ...] = (
    SERVICE_PROVIDER_CONFIG_SCHEMA,
    RESOURCE_TYPE_SCHEMA,
    SCHEMA_SCHEMA,
)
