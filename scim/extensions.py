# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Extensions as data: from a Schema resource (RFC 7643 §7) to a table like the built-in ones.

An admin gives the document; from then on it drives the JSON shape, /Schemas, filters, sorting,
PATCH and projections in every process. A process looks once a second whether there is news.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import structlog

from provisioning.errors import InvalidValue, KeywrightError
from provisioning.models import CustomSchema
from provisioning.storage.db import database
from provisioning.upstream import custom_schemas

from . import json_body
from .resource_types import GROUP, SCHEMAS, USER
from .schema import Attribute, Mutability, ResourceType, Returned, Schema, Type, Uniqueness
from .service_schemas import SERVICE_SCHEMAS

MAX_BYTES = 256 * 1024
MAX_ATTRIBUTES = 200
EXTENSIBLE: Mapping[str, ResourceType] = {USER.name: USER, GROUP.name: GROUP}
SCHEMA_URN = "urn:ietf:params:scim:schemas:core:2.0:Schema"

_LOOK_EVERY = 1.0  # seconds
# What RFC 8141 allows, less what a filter, a list of attributes or an address could not name.
_URN = re.compile(r"urn:[a-z0-9][a-z0-9-]{1,31}:[a-z0-9.:_$-]{1,200}", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_KNOWN = frozenset(
    {
        "name",
        "type",
        "subattributes",
        "multivalued",
        "description",
        "required",
        "canonicalvalues",
        "caseexact",
        "mutability",
        "returned",
        "uniqueness",
        "referencetypes",
    }
)

log = structlog.get_logger()

Given = Mapping[str, object]
Word = TypeVar("Word", bound=StrEnum)


class _Seen:
    """What this process has adopted, when it looks again, and in which database it looked."""

    version: custom_schemas.Version = ()
    next_look = 0.0
    place: object = None


def look(*, now: bool = False) -> None:
    """Adopt what admins have added or removed by now: at most one small query a second."""
    if not now and time.monotonic() < _Seen.next_look and _Seen.place is database.obj:
        return
    _Seen.next_look, _Seen.place = time.monotonic() + _LOOK_EVERY, database.obj
    latest = custom_schemas.version()
    if latest == _Seen.version:
        return
    rows = custom_schemas.every()
    for type_ in EXTENSIBLE.values():
        mine = [(row, _stored(row)) for row in rows if row.resource_type == type_.name]
        type_.adopt(
            [schema for _, schema in mine if schema is not None],
            frozenset(schema.urn for row, schema in mine if schema is not None and row.required),
        )
    _Seen.version = latest


def schemas() -> tuple[Schema, ...]:
    """Return every schema there is, the built-in ones first."""
    added = [each for type_ in EXTENSIBLE.values() for each in type_.custom]
    return (*SCHEMAS, *SERVICE_SCHEMAS, *added)


def _stored(row: CustomSchema) -> Schema | None:
    """Return a schema that was added; one that an older version took must stop no directory."""
    try:
        return read(row.document.encode())
    except InvalidValue as error:
        log.error("schema passed over", urn=row.urn, error=str(error))
        return None


def read(text: bytes) -> Schema:
    """Return the schema of a document. Raises InvalidValue that names what is wrong and where."""
    if len(text) > MAX_BYTES:
        raise InvalidValue(f"The document has more than {MAX_BYTES // 1024} KiB.")
    try:
        given = _lower(json_body.parse(text))
    except KeywrightError as error:
        raise InvalidValue(str(error).replace("The body", "The document")) from None
    urns = given.get("schemas")
    if urns is not None and urns != [SCHEMA_URN]:
        raise InvalidValue(f"schemas is not [{SCHEMA_URN}].", "schemas")
    urn = _text(given, "id", "The schema")
    if _URN.fullmatch(urn) is None:
        raise InvalidValue(
            f"id {urn!r} is not a URN of letters, digits and . : _ $ - alone, "
            "such as urn:example:hospital:2.0:User.",
            "id",
        )
    built_in = {each.urn.lower() for each in SCHEMAS}
    if urn.lower() in built_in or urn.lower().startswith("urn:ietf:params:scim:schemas:core:"):
        raise InvalidValue(f"{urn} is one of the standard's or of this service.", "id")
    attributes = given.get("attributes")
    if not isinstance(attributes, list) or not 0 < len(attributes) <= MAX_ATTRIBUTES:
        raise InvalidValue(f"attributes is a list of 1 to {MAX_ATTRIBUTES}.", "attributes")
    return Schema(
        urn,
        _text(given, "name", "The schema"),
        _optional_text(given, "description", "The schema"),
        _attributes(attributes, ""),
    )


def _attributes(listed: list[object], above: str) -> tuple[Attribute, ...]:
    found = tuple(_attribute(each, above) for each in listed)
    names = [each.name.lower() for each in found]
    twin = next((name for name in names if names.count(name) > 1), None)
    if twin is not None:
        raise InvalidValue(f"{above}{twin} stands there twice.", "attributes")
    return found


def _attribute(listed: object, above: str) -> Attribute:
    if not isinstance(listed, Mapping):
        raise InvalidValue(f"attributes{' of ' + above[:-1] if above else ''} holds objects.")
    given = _lower(listed)
    name = _text(given, "name", "An attribute")
    if _NAME.fullmatch(name) is None and not (above and name == "$ref"):
        raise InvalidValue(f"{name!r} is no attribute name (RFC 7643 §2.1).", "name")
    whole = above + name
    strange = sorted(given.keys() - _KNOWN)
    if strange:
        raise InvalidValue(f"{whole} has {strange[0]}, which RFC 7643 §7 does not know.", "name")
    type_ = _word(given, "type", Type, Type.STRING, whole)
    sub = given.get("subattributes")
    if type_ is Type.COMPLEX and above:
        raise InvalidValue(f"{whole} is complex within a complex attribute (RFC 7643 §2.3.8).")
    if (type_ is Type.COMPLEX) is not (isinstance(sub, list) and bool(sub)):
        raise InvalidValue(f"{whole}: complex attributes have subAttributes, and only they.")
    uniqueness = _word(given, "uniqueness", Uniqueness, Uniqueness.NONE, whole)
    if uniqueness is not Uniqueness.NONE:
        raise InvalidValue(
            f"{whole} has uniqueness {uniqueness}: nothing here could keep it unique.", "uniqueness"
        )
    mutability = _word(given, "mutability", Mutability, Mutability.READ_WRITE, whole)
    if mutability is Mutability.WRITE_ONLY:
        raise InvalidValue(f"{whole} is writeOnly: no secrets are kept here.", "mutability")
    many = _flag(given, "multivalued", whole)
    parts = _attributes(sub, f"{whole}.") if isinstance(sub, list) else ()
    if many and any(part.mutability is Mutability.IMMUTABLE for part in parts):
        raise InvalidValue(f"{whole} has an immutable part, but its elements have no identity.")
    return Attribute(
        name,
        _optional_text(given, "description", whole),
        type_,
        multi_valued=many,
        required=_flag(given, "required", whole),
        case_exact=_flag(given, "caseexact", whole) or type_ is Type.BINARY,
        mutability=mutability,
        returned=_word(given, "returned", Returned, Returned.DEFAULT, whole),
        canonical_values=_texts(given, "canonicalvalues", "canonicalValues", whole),
        reference_types=_texts(given, "referencetypes", "referenceTypes", whole),
        sub_attributes=parts,
    )


def _lower(given: Given) -> dict[str, object]:
    return {str(name).lower(): value for name, value in given.items()}


def _text(given: Given, name: str, whose: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidValue(f"{whose} needs {'an' if name[0] in 'aeiou' else 'a'} {name}.", name)
    return value.strip()


def _optional_text(given: Given, name: str, whose: str) -> str:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidValue(f"{name} of {whose} is a text.", name)
    return value or ""


def _texts(given: Given, name: str, spelled: str, whose: str) -> tuple[str, ...]:
    value = given.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidValue(f"{spelled} of {whose} is a list of texts.", spelled)
    return tuple(value)


def _flag(given: Given, name: str, whose: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise InvalidValue(f"{name} of {whose} is true or false.", name)
    return value


def _word(given: Given, name: str, words: type[Word], default: Word, whose: str) -> Word:
    value = given.get(name, default)
    for word in words:
        if isinstance(value, str) and value.lower() == word.lower():
            return word
    raise InvalidValue(f"{name} of {whose} is one of {', '.join(words)}.", name)
