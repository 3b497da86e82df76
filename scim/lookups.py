# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which attribute has a look-up column, type by type, for filters and for sorting.

What has none is left to `matching`, which reads documents; see `columns`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from peewee import ModelSelect

from provisioning.directory import UNSEARCHED
from provisioning.lifecycle import KeyState
from provisioning.models import Connection, Group, Member, SecurityKey, User, UserValue

from .columns import (
    ALWAYS,
    NEVER,
    UNKNOWN,
    Condition,
    Leaf,
    Sql,
    compile_filter,
    constant,
    date,
    text,
)
from .errors import InvalidFilter
from .expressions import Comparison, Element, Operator, Present
from .matching import compare_text, matches, sought
from .ranges import narrowed
from .resource_types import CORE_GROUP, GROUP, KEYWRIGHT_USER, MEMBERS, SECURITY_KEY, USER
from .schema import AttributePath, ResourceType, Type
from .statements import Parameter

MAX_GROUPS = 2_000  # groups that one filter term may select before it is left to `matching`

_VERSION = re.compile(r'W/"([1-9][0-9]{0,8})"')  # as it is sent

_IN_VALUES = frozenset(
    attribute.name
    for attribute in USER.schema.attributes
    if attribute.multi_valued
    and attribute.sub("value")
    and not attribute.read_only
    and attribute.name not in UNSEARCHED
)

# The columns that hold what an attribute compares and sorts by.
_OF_USERS: dict[str, Any] = {
    "id": User.resource_id,
    "externalId": User.external_id,
    "userName": User.user_name_key,
    "active": User.active,
    "meta.created": User.created_at,
    "meta.lastModified": User.updated_at,
}
_RANGED = frozenset({"userName", "meta.lastModified"})  # of users: each has an index
_OF_GROUPS: dict[str, Any] = {
    "id": Group.resource_id,
    "externalId": Group.external_id,
    "displayName": Group.display_name_key,
    "meta.created": Group.created_at,
    "meta.lastModified": Group.updated_at,
}
_SORTED: dict[str, dict[str, Any]] = {
    USER.name: _OF_USERS,
    GROUP.name: _OF_GROUPS,
    SECURITY_KEY.name: {
        "id": SecurityKey.resource_id,
        "kind": SecurityKey.kind,
        "state": SecurityKey.state,
        "meta.created": SecurityKey.created_at,
    },
}


def leaf_for(type_: ResourceType, connection: Connection, base: str) -> Callable[[Leaf], Condition]:
    """Return what answers for the terms of a filter on this type.

    `base` is the address that locations start with.
    """
    if type_ is USER:
        return lambda leaf: _user(leaf, connection)
    if type_ is GROUP:
        return lambda leaf: _group(leaf, base)
    return _key


# No column answers these, so a kept statement is the same whatever text they are compared with.
UNASKED = frozenset(f"{name}.type" for name in _IN_VALUES)


def slots(type_: ResourceType) -> frozenset[str]:
    """Return the attributes that one column alone answers for: see `plans`."""
    return _SLOTS.get(type_.name, frozenset())


_SLOTS = {
    USER.name: frozenset(
        {
            "id",
            "externalId",
            "userName",
            "displayName",
            "active",
            *(f"{name}.value" for name in _IN_VALUES),
        }
    ),
    GROUP.name: frozenset({"id", "externalId", "displayName", "members.value"}),
}


def sort_column(type_: ResourceType, path: AttributePath | None) -> Any | None:
    """Return the column whose order is this attribute's, or None if there is none."""
    return None if path is None else _SORTED[type_.name].get(str(path))


def _term(leaf: Leaf, columns: dict[str, Any], always: frozenset[str]) -> Condition:
    """Answer a term over plain columns; those in `always` are never empty."""
    name = str(leaf.path)
    column = columns.get(name)
    match leaf:
        case Present() if name in always:
            return ALWAYS
        case Present() if column is not None:
            return Condition(column.is_null(False), exact=True)
        case Comparison(path, op, value) if column is not None:
            return Condition(_compared(column, path, op, value), exact=True)
    return UNKNOWN


def _compared(column: Any, path: AttributePath, op: Operator, value: Any) -> Sql:
    if path.leaf.type is Type.DATE_TIME:
        return date(column, op, value)
    if path.leaf.type is Type.BOOLEAN:
        return column == value
    return text(column, path.leaf, op, value)


def _user(leaf: Leaf, connection: Connection) -> Condition:
    if leaf.path.extension is not None:
        return _in_keys(leaf) if leaf.path.extension == KEYWRIGHT_USER else UNKNOWN
    name = leaf.path.attribute.name
    if name == "displayName" and isinstance(leaf, Comparison):
        # The column holds what is shown, made from other names where there is no displayName or
        # an empty one, of which the document alone knows.
        wanted = sought(leaf.path.leaf, leaf.op, str(leaf.value))
        if not isinstance(leaf.value, Parameter) and compare_text(leaf.op, "", wanted):
            return UNKNOWN
        shown = text(User.display_name_key, leaf.path.leaf, leaf.op, leaf.value)
        return narrowed(leaf, Condition(shown, exact=False))
    if name in _IN_VALUES:
        return _in_values(leaf)
    if name == "groups":
        return _in_groups(leaf, connection)
    condition = _term(
        leaf,
        _OF_USERS,
        frozenset(
            {
                "schemas",
                "id",
                "userName",
                "active",
                "meta",
                "meta.created",
                "meta.lastModified",
                "meta.resourceType",
                "meta.location",
                "meta.version",
            }
        ),
    )
    return narrowed(leaf, condition) if str(leaf.path) in _RANGED else condition


def _in_values(leaf: Leaf) -> Condition:
    """Look for elements that have a value; others have no row, so negations go unanswered."""
    where = leaf.where if isinstance(leaf, Element) else leaf
    inner = compile_filter(where, _value, negates=False)
    if inner.sql is None:
        return UNKNOWN
    rows = UserValue.select(UserValue.user).where(
        UserValue.attribute == leaf.path.attribute.name, inner.sql
    )
    return Condition(User.id.in_(rows), inner.exact)


def _value(leaf: Leaf) -> Condition:
    if not isinstance(leaf, Comparison) or leaf.path.leaf.name != "value":
        return UNKNOWN
    column = UserValue.value_key if leaf.path.leaf.folds else UserValue.value
    return Condition(text(column, leaf.path.leaf, leaf.op, leaf.value), exact=True)


def _in_groups(leaf: Leaf, connection: Connection) -> Condition:
    """Find the groups meant, then all that lie in them, then who is in any of those."""
    where = leaf.where if isinstance(leaf, Element) else leaf
    inner = compile_filter(where, _group_of_user)
    if inner.sql is None:
        return UNKNOWN
    found = Group.select(Group.id).where(
        Group.connection == connection.id, Group.deleted_at.is_null(), inner.sql
    )
    level = [pk for (pk,) in _tuples(found.limit(MAX_GROUPS + 1))]
    reached = set(level)
    while level:
        below = Member.select(Member.subgroup).where(
            Member.group.in_(level), Member.subgroup.is_null(False)
        )
        level = list({pk for (pk,) in _tuples(below)} - reached)
        reached.update(level)
        if len(reached) > MAX_GROUPS:
            return UNKNOWN
    if not reached:
        return Condition(NEVER.sql, inner.exact)
    members = Member.select(Member.user).where(
        Member.group.in_(sorted(reached)), Member.user.is_null(False)
    )
    return Condition(User.id.in_(members), inner.exact)


def _group_of_user(leaf: Leaf) -> Condition:
    part = leaf.path.leaf.name
    if isinstance(leaf, Comparison) and part in ("value", "display"):
        column = Group.resource_id if part == "value" else Group.display_name_key
        return Condition(text(column, leaf.path.leaf, leaf.op, leaf.value), exact=True)
    return UNKNOWN


def _in_keys(leaf: Leaf) -> Condition:
    key = SecurityKey
    columns: dict[str, Any] = {
        "value": key.resource_id,
        "kind": key.kind,
        "state": key.state,
        "reason": key.reason,
        "model": key.model,
        "activatedAt": key.activated_at,
        "lastUsedAt": key.last_used_at,
    }

    def of_key(inner: Leaf) -> Condition:
        part = inner.path.leaf.name
        if isinstance(inner, Present):
            column = columns.get(part)
            return ALWAYS if column is None else Condition(column.is_null(False), exact=True)
        if isinstance(inner, Comparison) and part in columns:
            return Condition(
                _compared(columns[part], inner.path, inner.op, inner.value), exact=True
            )
        return UNKNOWN

    where = leaf.where if isinstance(leaf, Element) else leaf
    inner = compile_filter(where, of_key)
    if inner.sql is None and not inner.exact:
        return UNKNOWN
    rows = key.select(key.user).where(key.state != KeyState.DRAFT, key.user.is_null(False))
    if inner.sql is not None:
        rows = rows.where(inner.sql)
    return Condition(User.id.in_(rows), inner.exact)


def _group(leaf: Leaf, base: str) -> Condition:
    """Everything about groups is columns and rows: no filter ever loads members.

    But for what an installation adds: that is in documents.
    """
    name = str(leaf.path)
    if leaf.path.extension is not None:
        return UNKNOWN
    if leaf.path.attribute is MEMBERS:
        return _in_members(leaf)
    if name == "schemas":
        return _in_schemas(leaf)
    if name == "meta.resourceType":
        return constant(matches(leaf, {"meta": {"resourceType": GROUP.name}}))
    if isinstance(leaf, Comparison) and name in ("meta.location", "meta.version"):
        if leaf.op is not Operator.EQ:
            raise InvalidFilter(f"{name} of groups takes eq, ne and pr only.")
        wanted = str(leaf.value)
        if name == "meta.location":
            place, _, resource_id = wanted.rpartition("/")
            if place != f"{base}{GROUP.endpoint}":
                return NEVER
            return Condition(Group.resource_id == resource_id, exact=True)
        version = _VERSION.fullmatch(wanted)
        return Condition(Group.version == int(version[1]), exact=True) if version else NEVER
    condition = _term(
        leaf,
        _OF_GROUPS,
        frozenset(
            {
                "id",
                "displayName",
                "meta",
                "meta.created",
                "meta.lastModified",
                "meta.location",
                "meta.version",
            }
        ),
    )
    if condition is UNKNOWN:
        raise InvalidFilter(f"Groups cannot be filtered by {name}.")
    return condition


def _in_schemas(leaf: Leaf) -> Condition:
    """Each group lists the core's URN, and an extension's where its document has values of it."""
    least, most = (matches(leaf, {"schemas": urns}) for urns in ([CORE_GROUP], [*GROUP.urns]))
    return constant(least) if least == most else UNKNOWN


def _in_members(leaf: Leaf) -> Condition:
    where = leaf.where if isinstance(leaf, Element) else leaf
    inner = compile_filter(where, _member)
    rows = Member.select(Member.group)
    if inner.sql is not None:
        rows = rows.where(inner.sql)
    return Condition(Group.id.in_(rows), exact=True)


def _member(leaf: Leaf) -> Condition:
    """Answer for one membership: the member is a user or a group, and both have columns."""
    part = leaf.path.leaf.name
    if isinstance(leaf, Present):
        return ALWAYS
    if not isinstance(leaf, Comparison) or part == "$ref":
        raise InvalidFilter("Groups cannot be filtered by members.$ref.")
    if part == "type":
        user, group = (matches(leaf, {"members": [{"type": name}]}) for name in ("User", "Group"))
        if user == group:
            return constant(user)
        return Condition(Member.user.is_null(not user), exact=True)
    users, groups = (
        (User.resource_id, Group.resource_id)
        if part == "value"
        else (User.display_name_key, Group.display_name_key)
    )
    return Condition(
        Member.user.in_(
            User.select(User.id).where(text(users, leaf.path.leaf, leaf.op, leaf.value))
        )
        | Member.subgroup.in_(
            Group.select(Group.id).where(text(groups, leaf.path.leaf, leaf.op, leaf.value))
        ),
        exact=True,
    )


def _key(leaf: Leaf) -> Condition:
    key = SecurityKey
    if str(leaf.path) == "externalId":  # the common attribute; a key is provisioned by nobody
        return NEVER
    return _term(
        leaf,
        {
            "id": key.resource_id,
            "kind": key.kind,
            "state": key.state,
            "reason": key.reason,
            "model": key.model,
            "aaguid": key.aaguid,
            "user.value": User.resource_id,
            "user.display": User.display_name_key,
            "meta.created": key.created_at,
            "activatedAt": key.activated_at,
            "confirmedAt": key.confirmed_at,
            "suspendedAt": key.suspended_at,
            "revokedAt": key.revoked_at,
            "lastUsedAt": key.last_used_at,
        },
        frozenset(
            {
                "schemas",
                "id",
                "displayName",
                "kind",
                "state",
                "user",
                "user.value",
                "meta",
                "meta.created",
                "meta.lastModified",
                "meta.resourceType",
                "meta.location",
                "meta.version",
            }
        ),
    )


def _tuples(query: ModelSelect[Any]) -> Any:
    return query.tuples()
