# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What SCIM may do to groups: the document, and the members as rows. The caller holds the
transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from provisioning import groups
from provisioning.models import Group

from . import patch as patching
from . import rows
from .caller import Caller, check_version
from .matching import element_matches
from .members import Change, MemberChange, joined, member_ids
from .operations import parse_operations
from .resource_types import GROUP, USER
from .resources import location
from .rows import Row
from .users import check_id
from .values import Json, check_patched, clean_document, keep_immutable, tidy

Body = Mapping[str, object]


def create(caller: Caller, body: Body) -> Row:
    """Make a group with its members. Raises Taken or InvalidValue."""
    document, ids = _split(caller, body)
    group = groups.create_group(document, connection=caller.connection, actor=caller.actor)
    if ids:
        groups.add_members(group, ids, actor=caller.actor)
    return rows.of_group(group)


def replace(caller: Caller, resource_id: str, body: Body, if_match: str | None) -> Row:
    """Replace the document and the members; members left out are none (RFC 7644 §3.5.1)."""
    group = _open(caller, resource_id, if_match)
    check_id(body, resource_id)
    document, ids = _split(caller, body)
    if GROUP.immutable:
        keep_immutable(GROUP, groups.document_of(group), document)
    groups.replace_group(group, document, actor=caller.actor, whole=True)
    _change(caller, group, [MemberChange(Change.REPLACE, ids)])
    return rows.of_group(group)


def patch(caller: Caller, resource_id: str, body: Body, if_match: str | None) -> Row:
    """Apply a PatchOp message, all of it or nothing; members are never loaded for it."""
    group = _open(caller, resource_id, if_match)
    operations = parse_operations(GROUP, body, resource_id, caller.dialect)
    document: Json = orjson.loads(group.document)
    patched = patching.apply(document, operations, caller.dialect)
    if patched.document != document:  # nearly all change the members alone
        check_patched(GROUP, document, patched.document)
        groups.replace_group(group, tidy(patched.document, "displayName"), actor=caller.actor)
    _change(caller, group, joined(patched.members))
    return rows.of_group(group)


def delete(caller: Caller, resource_id: str, if_match: str | None) -> None:
    """Empty the group and leave a tombstone."""
    groups.delete_group(_open(caller, resource_id, if_match), caller.actor)


def _open(caller: Caller, resource_id: str, if_match: str | None) -> Group:
    group = groups.get_group(resource_id, caller.connection)
    check_version(if_match, group.version)
    return group


def _split(caller: Caller, body: Body) -> tuple[Json, tuple[str, ...]]:
    """Return the document and the members' ids of a body."""
    rest = caller.dialect.body(GROUP, body)  # first, as `members` may come by its whole name
    name = next((name for name in rest if name.lower() == "members"), None)
    given = rest.pop(name) if name is not None else None
    document = tidy(clean_document(GROUP, rest, caller.dialect), "displayName")
    return document, member_ids(given, caller.dialect)


def _change(caller: Caller, group: Group, changes: Sequence[MemberChange]) -> None:
    for change in changes:
        match change.change:
            case Change.ADD:
                groups.add_members(group, change.ids, actor=caller.actor)
            case Change.REMOVE:
                groups.remove_members(group, change.ids, actor=caller.actor)
            case Change.REMOVE_MATCHING:
                found = _matching(group, change, caller.base)
                groups.remove_members(group, found, actor=caller.actor)
            case Change.REPLACE if change.ids:
                groups.replace_members(group, change.ids, actor=caller.actor)
            case Change.REPLACE:
                groups.remove_all_members(group, actor=caller.actor)


def _matching(group: Group, change: MemberChange, base: str) -> list[str]:
    """Return who a filter other than `value eq` selects; no directory is known to send one."""
    where = change.where
    types = {type_.name: type_ for type_ in (USER, GROUP)}
    return [
        member.resource_id
        for member in groups.members(group)
        if where is not None
        and element_matches(
            where,
            {
                "value": member.resource_id,
                "$ref": location(types[member.type], member.resource_id, base),
                "type": member.type,
                "display": member.display,
            },
        )
    ]
