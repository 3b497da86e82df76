# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Rows as SCIM reads them: what a connection may see of users, groups and security keys.

Read as tuples, not as models: a page of 200 must cost little.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from peewee import ModelSelect

from provisioning.lifecycle import KeyState
from provisioning.models import Connection, Group, SecurityKey, User
from provisioning.storage.indexes import unindexed

from .resource_types import ALL, GROUP, SECURITY_KEY, USER
from .schema import ResourceType
from .statements import ListStatements, Statements, parameter
from .timestamps import iso


class Row(NamedTuple):
    """One resource: its document is JSON text without id, meta and what is derived."""

    pk: int
    resource_id: str
    version: int
    created_at: int
    updated_at: int
    document: str


_TABLES: dict[str, Any] = {
    USER.name: User,
    GROUP.name: Group,
    SECURITY_KEY.name: SecurityKey,
}


def select(
    type_: ResourceType, connection: Any, *conditions: Any, walked: bool = False
) -> ModelSelect[Any]:
    """Return the query for the living resources that a connection provisioned.

    `connection` is the connection's row id, or a parameter for it. `walked`: an index is gone
    through in its own order, and not the connection's, of which SQLite thinks too well.
    """
    query: ModelSelect[Any]
    if type_ is USER:
        query = User.select(
            User.id, User.resource_id, User.version, User.created_at, User.updated_at, User.document
        ).where(*_own(User, connection, walked))
    elif type_ is GROUP:
        query = Group.select(
            Group.id,
            Group.resource_id,
            Group.version,
            Group.created_at,
            Group.updated_at,
            Group.document,
        ).where(*_own(Group, connection))
    else:
        key = SecurityKey
        query = (
            key.select(
                key.id,
                key.resource_id,
                key.created_at,
                User.resource_id,
                User.display_name,
                key.name,
                key.kind,
                key.state,
                key.reason,
                key.model,
                key.aaguid,
                key.activated_at,
                key.confirmed_at,
                key.suspended_at,
                key.revoked_at,
                key.last_used_at,
            )
            .join(User)
            .where(*_own(User, connection, walked), key.state != KeyState.DRAFT)
        )
    return query.where(*conditions) if conditions else query


def primary_key(type_: ResourceType) -> Any:
    """Return the column that pages go by."""
    return _TABLES[type_.name].id


def resource_id(type_: ResourceType) -> Any:
    """Return the column of the resource's id."""
    return _TABLES[type_.name].resource_id


def read(type_: ResourceType, rows: Iterable[tuple[Any, ...]]) -> list[Row]:
    """Return what a query made by `select` has found."""
    return [_key_row(*row) for row in rows] if type_ is SECURITY_KEY else list(map(Row._make, rows))


def by_id(type_: ResourceType, connection: Connection, wanted: str) -> Row | None:
    """Return one resource by its id, or None if this connection has none."""
    found = _BY_ID.rows((type_.name,), (connection.id, wanted))
    return next(iter(read(type_, found)), None)


def fetch(type_: ResourceType, connection: Connection, pks: list[int]) -> list[Row]:
    """Return rows by their row ids, in the order given."""
    found = read(type_, _BY_PK.rows(pks, type_.name, scope=connection.id))
    rows = {row.pk: row for row in found}
    return [rows[pk] for pk in pks if pk in rows]


def holder(connection: Connection, external_id: str) -> str | None:
    """Return the id of the living user of a connection with this externalId."""
    found = _BY_EXTERNAL_ID.rows((), (connection.id, external_id))
    return str(found[0][0]) if found else None


def of_user(user: User) -> Row:
    """Return the row of a user at hand."""
    return Row(
        user.id, user.resource_id, user.version, user.created_at, user.updated_at, user.document
    )


def of_group(group: Group) -> Row:
    """Return the row of a group at hand."""
    return Row(
        group.id,
        group.resource_id,
        group.version,
        group.created_at,
        group.updated_at,
        group.document,
    )


def _own(table: type[User] | type[Group], connection: Any, walked: bool = False) -> tuple[Any, Any]:
    owner = unindexed(table.connection) if walked else table.connection
    return owner == connection, table.deleted_at.is_null()


def _by_id(name: str) -> ModelSelect[Any]:
    type_ = next(each for each in ALL if each.name == name)
    return select(type_, parameter(0), resource_id(type_) == parameter(1))


def _by_pk(ids: list[Any], connection: Any, name: str) -> ModelSelect[Any]:
    type_ = next(each for each in ALL if each.name == name)
    return select(type_, connection, primary_key(type_).in_(ids))


_BY_ID = Statements(_by_id)
_BY_EXTERNAL_ID = Statements(
    lambda: User.select(User.resource_id).where(
        User.connection == parameter(0),
        User.external_id == parameter(1),
        User.deleted_at.is_null(),
    )
)
_BY_PK = ListStatements(_by_pk)


def _key_row(
    pk: int,
    key_id: str,
    created_at: int,
    user_id: str,
    user_name: str,
    name: str,
    kind: str,
    state: str,
    reason: str | None,
    model: str | None,
    aaguid: str | None,
    activated_at: int | None,
    confirmed_at: int | None,
    suspended_at: int | None,
    revoked_at: int | None,
    last_used_at: int | None,
) -> Row:
    dates = {
        "activatedAt": activated_at,
        "confirmedAt": confirmed_at,
        "suspendedAt": suspended_at,
        "revokedAt": revoked_at,
        "lastUsedAt": last_used_at,
    }
    document: dict[str, object] = {
        "displayName": name,
        "user": {"value": user_id, "display": user_name},
        "kind": kind,
        "state": state,
        "reason": reason,
        "model": model,
        "aaguid": aaguid,
        **{label: iso(at) if at is not None else None for label, at in dates.items()},
    }
    text = orjson.dumps({label: part for label, part in document.items() if part is not None})
    # A use is no change of the key; a table of keys has no column for its last change.
    changes = [at for label, at in dates.items() if at is not None and label != "lastUsedAt"]
    return Row(pk, key_id, zlib.crc32(text), created_at, max([created_at, *changes]), text.decode())
