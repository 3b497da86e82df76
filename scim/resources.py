# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Rows to JSON (RFC 7643 §3).

A whole resource is its stored document with what is derived joined on as text; the document is
parsed only when a projection or a filter asks for parts of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import orjson

from provisioning.models import Connection

from .memberships import (
    Elements,
    groups_and_keys_of,
    groups_of,
    keys_of,
    member_counts,
    members_of,
    user_with_both,
)
from .projection import Projection
from .resource_types import GROUP, KEYWRIGHT_USER, SECURITY_KEY, USER
from .rows import Row, by_id
from .schema import ResourceType
from .timestamps import iso

# A page of groups ends early once it holds this many members: fewer resources than asked for
# are allowed (RFC 7644 §3.4.2.4), a page that fills the memory is not.
MAX_MEMBERS_PER_PAGE = 100_000


class Resource(NamedTuple):
    """One resource as it is sent."""

    body: bytes
    location: str
    version: str


@dataclass(frozen=True)
class Derived:
    """What other rows say of the resources at hand, by row id."""

    groups: Elements
    keys: Elements
    members: Elements


_NOTHING = Derived({}, {}, {})


def location(type_: ResourceType, resource_id: str, base: str) -> str:
    """Return the address of a resource."""
    return f"{base}{type_.endpoint}/{resource_id}"


def render(
    type_: ResourceType,
    rows: Sequence[Row],
    projection: Projection,
    connection: Connection,
    base: str,
    *,
    new: bool = False,
) -> list[Resource]:
    """Return resources as they are sent, in order; fewer if their members are too many.

    A `new` user is in no group and has no key yet, so nobody looks for them.
    """
    if new and type_ is USER:
        derived = _NOTHING
    elif type_ is USER:  # the entity tag covers groups and keys, whatever is shown
        derived = derive(type_, rows, Projection(type_), connection, base)
    else:
        rows, derived = _loaded(type_, rows, projection, connection, base)
    return [_render(type_, row, derived, projection, base) for row in rows]


def find(
    type_: ResourceType, wanted: str, projection: Projection, connection: Connection, base: str
) -> Resource | None:
    """Return one resource by its id as it is sent, or None if this connection has none.

    A user is one statement, with groups and keys: the entity tag covers them in any case.
    """
    if type_ is USER:
        found = user_with_both(wanted, connection, base)
        if found is None:
            return None
        row, groups, keys = found
        return _render(type_, row, Derived(groups, keys, {}), projection, base)
    alone = by_id(type_, connection, wanted)
    return render(type_, [alone], projection, connection, base)[0] if alone else None


def unseen(type_: ResourceType, row: Row, connection: Connection, base: str) -> Resource:
    """Return a resource for an answer that does not show it: its address and version alone."""
    if type_ is not GROUP:
        return render(type_, [row], Projection(type_), connection, base)[0]
    return Resource(b"", location(type_, row.resource_id, base), f'W/"{row.version}"')


def texts(
    type_: ResourceType,
    rows: Sequence[Row],
    projection: Projection,
    connection: Connection,
    base: str,
) -> list[str]:
    """Return the bodies alone, for a page."""
    rows, derived = _loaded(type_, rows, projection, connection, base)
    write = _writer(type_, base).write
    bodies = [write(row, derived)[0] for row in rows]
    if projection.is_whole and not type_.hides:
        return bodies
    return [orjson.dumps(projection.apply(orjson.loads(body))).decode() for body in bodies]


def _loaded(
    type_: ResourceType,
    rows: Sequence[Row],
    projection: Projection,
    connection: Connection,
    base: str,
) -> tuple[Sequence[Row], Derived]:
    rows = _cut(rows) if type_ is GROUP and projection.wants("members") else rows
    return rows, derive(type_, rows, projection, connection, base)


def derive(
    type_: ResourceType,
    rows: Sequence[Row],
    projection: Projection,
    connection: Connection,
    base: str,
) -> Derived:
    """Load what a projection needs beside the documents, and nothing else."""
    pks = [row.pk for row in rows]
    groups: Elements = {}
    keys: Elements = {}
    members: Elements = {}
    if pks and type_ is USER:
        wants_groups, wants_keys = _wanted(projection)
        if wants_groups and wants_keys:
            groups, keys = groups_and_keys_of(pks, connection, base)
        elif wants_groups:
            groups = groups_of(pks, connection, base)
        elif wants_keys:
            keys = keys_of(pks, base)
    if pks and type_ is GROUP and projection.wants("members"):
        members = members_of(pks, base)
    return Derived(groups, keys, members)


def _wanted(projection: Projection) -> tuple[bool, bool]:
    """Say whether a user's groups and keys are needed; `meta.version` covers both."""
    if projection.wants("meta"):
        return True, True
    return projection.wants("groups"), projection.wants("securityKeys", KEYWRIGHT_USER)


def as_dict(type_: ResourceType, row: Row, derived: Derived, base: str) -> dict[str, object]:
    """Return a whole resource as a document, for filters, sorting and projections."""
    resource: dict[str, object] = orjson.loads(_writer(type_, base).write(row, derived)[0])
    return resource


def etag_matches(header: str, version: int) -> bool:
    """Say whether an If-Match header allows a write to this version (RFC 7644 §3.14).

    The part of a tag behind the dot covers what is derived and no write depends on.
    """
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return header.strip() == "*" or str(version) in [tag.partition(".")[0] for tag in tags]


def _render(
    type_: ResourceType, row: Row, derived: Derived, projection: Projection, base: str
) -> Resource:
    text, tag = _writer(type_, base).write(row, derived)
    body = text.encode()
    if type_.hides or not projection.is_whole:
        body = orjson.dumps(projection.apply(orjson.loads(body)))
    return Resource(body, location(type_, row.resource_id, base), f'W/"{tag}"')


class _Writer:
    """Writes whole resources of one type as JSON.

    One text is put together and nothing is parsed: 2 µs a resource, and a page has a hundred.
    """

    def __init__(self, type_: ResourceType, base: str) -> None:
        self._type = type_
        self._base = base
        self._urns = f'"{type_.schema.urn}"'
        self._extensions = [(f'"{each.urn}":', f',"{each.urn}"') for each in type_.extensions]
        self._meta = f',"meta":{{"resourceType":"{type_.name}","created":"'
        address = orjson.dumps(base)[1:-1].decode() + type_.endpoint
        self._location = f'","location":"{address}/'

    def write(self, row: Row, derived: Derived) -> tuple[str, str]:
        """Return a resource, and what its entity tag says."""
        pk, resource_id, version, created_at, updated_at, document = row
        if self._type is SECURITY_KEY:
            document = _with_reference(row, self._base)
        urns = self._urns
        for marker, urn in self._extensions:
            if marker in document:
                urns += urn
        tag, added = str(version), ""
        if pk in derived.groups or pk in derived.keys or pk in derived.members:
            more = _derived(pk, derived)
            if KEYWRIGHT_USER in more:
                urns += f',"{KEYWRIGHT_USER}"'
            if more:
                text = orjson.dumps(more)
                added = "," + text[1:-1].decode()
                if self._type is USER:
                    # Groups and keys change without the user's own version, and a client that
                    # asks "changed since?" must hear of a revoked key.
                    tag = f"{version}.{zlib.crc32(text):x}"
        created = iso(created_at)
        changed = created if updated_at == created_at else iso(updated_at)
        content = f",{document[1:-1]}" if len(document) > 2 else ""
        return (
            f'{{"schemas":[{urns}],"id":"{resource_id}"{content}{added}{self._meta}{created}",'
            f'"lastModified":"{changed}{self._location}{resource_id}",'
            f'"version":"W/\\"{tag}\\""}}}}'
        ), tag


def _writer(type_: ResourceType, base: str) -> _Writer:
    return _made(type_, base, type_.generation)


@lru_cache(maxsize=32)
def _made(type_: ResourceType, base: str, _generation: int) -> _Writer:
    return _Writer(type_, base)


def _derived(pk: int, derived: Derived) -> dict[str, object]:
    added: dict[str, object] = {}
    if derived.groups.get(pk):
        added["groups"] = derived.groups[pk]
    if derived.members.get(pk):
        added["members"] = derived.members[pk]
    if derived.keys.get(pk):
        added[KEYWRIGHT_USER] = {"securityKeys": derived.keys[pk]}
    return added


def _with_reference(row: Row, base: str) -> str:
    document = orjson.loads(row.document)
    document["user"]["$ref"] = location(USER, document["user"]["value"], base)
    return orjson.dumps(document).decode()


def _cut(rows: Sequence[Row]) -> Sequence[Row]:
    counts = member_counts(row.pk for row in rows)
    total = 0
    for place, row in enumerate(rows):
        total += counts.get(row.pk, 0)
        if total > MAX_MEMBERS_PER_PAGE and place > 0:
            return rows[:place]
    return rows
