# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""People and groups: RFC 7643 documents with indexed look-up columns; memberships are rows."""

from __future__ import annotations

from typing import Any

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    SchemaManager,
    TextField,
)

from ..clock import now_ms
from ..storage.db import is_sqlite
from .directories import Connection, MassDeparture
from .rows import Row


class User(Row):
    """A person. `document` is the RFC 7643 resource without id, meta, groups and schemas.

    A deleted user stays as a tombstone: 404 outside, the name free again, the history kept.
    """

    resource_id = CharField(unique=True)
    connection = ForeignKeyField(Connection, null=True, backref="users", index=False)
    user_name = TextField()
    user_name_key = TextField()
    external_id = TextField(null=True)
    display_name = TextField(default="")
    display_name_key = TextField(default="")
    email = TextField(null=True)
    email_key = TextField(null=True)
    active = BooleanField(default=True)
    status = CharField(default="new")  # lifecycle.UserStatus, derived by keys.refresh_status
    document = TextField()
    version = IntegerField(default=1)
    created_at = BigIntegerField(default=now_ms)
    updated_at = BigIntegerField(default=now_ms)
    last_activity_at = BigIntegerField(null=True)
    departure = ForeignKeyField(MassDeparture, null=True, on_delete="SET NULL", index=False)
    left_at = BigIntegerField(null=True)  # when the cascade ran; the grace time counts from here
    deleted_at = BigIntegerField(null=True)
    # The row ids (JSON) of the groups that a deleted one was in, until the departure is final.
    groups_left = TextField(null=True)


User.add_index(
    User.user_name_key,
    unique=True,
    where=User.deleted_at.is_null(),
    name="user_living_user_name_key",
)
User.add_index(
    User.connection,
    User.external_id,
    unique=True,
    where=(User.deleted_at.is_null() & User.external_id.is_null(False)),
    name="user_living_external_id",
)
# `deleted_at` goes along, so that an index covers a walk through the living: a partial index
# covers no query that names its condition, and in front it looks selective to the planner.
User.add_index(User.connection, User.deleted_at, User.id, name="user_connection_living_id")
# The status goes along as well, for the list of those with one status and for their number: both
# read this index alone, and an index of its own would be one more to write with each new user.
User.add_index(User.display_name_key, User.id, User.deleted_at, User.status, name="user_name_id")
User.add_index(User.email_key, name="user_email_key_index")
User.add_index(User.last_activity_at, User.id, User.deleted_at, name="user_last_activity_id")
User.add_index(User.updated_at, where=User.deleted_at.is_null(), name="user_updated_at_index")
# Every page of an index that a write touches is written and synced with it: no index holds rows
# of which nothing is asked.
User.add_index(User.departure, where=User.departure.is_null(False), name="user_departure_held")
# The guard counts and holds by this index alone, so that a mass departure of many costs little;
# who finishes the leavers asks for each connection.
User.add_index(
    User.connection,
    User.left_at,
    User.deleted_at,
    User.departure,
    where=User.left_at.is_null(False),
    name="user_connection_left_at",
)


class _Clustered(SchemaManager):
    """On SQLite the table is the index of its key, and nothing beside it has to be written."""

    def _create_table(self, safe: bool = True, **options: Any) -> Any:
        self.model._meta.without_rowid = is_sqlite()
        return super()._create_table(safe, **options)  # type: ignore[misc]


class UserValue(Row):
    """Searchable values of multi-valued attributes (emails, phoneNumbers …), for `IN`.

    Which ones somebody has is known from the document: there is no look-up by user.
    """

    id = None  # type: ignore[assignment]
    user = ForeignKeyField(User, backref="values", index=False, on_delete="CASCADE")
    attribute = CharField()
    value_key = TextField()
    place = IntegerField()  # tells those apart that fold to one key
    value = TextField()

    class Meta:
        primary_key = CompositeKey("attribute", "value_key", "user", "place")
        schema_manager_class = _Clustered


class Group(Row):
    """A group; its members are rows of `Member`, never part of `document`."""

    resource_id = CharField(unique=True)
    connection = ForeignKeyField(Connection, null=True, backref="groups", index=False)
    display_name = TextField()
    display_name_key = TextField()
    # Its own id where the connection may use a name twice, so that the index lets it pass.
    twin = CharField(default="")
    external_id = TextField(null=True)
    document = TextField()
    version = IntegerField(default=1)
    created_at = BigIntegerField(default=now_ms)
    updated_at = BigIntegerField(default=now_ms)
    deleted_at = BigIntegerField(null=True)

    class Meta:
        table_name = "user_group"


# NULL connections (groups made by hand) are distinct in a unique index, so their names are
# held by the domain check in `groups` instead.
Group.add_index(
    Group.connection,
    Group.display_name_key,
    Group.twin,
    unique=True,
    where=Group.deleted_at.is_null(),
    name="group_living_display_name",
)
Group.add_index(
    Group.connection,
    Group.external_id,
    unique=True,
    where=(Group.deleted_at.is_null() & Group.external_id.is_null(False)),
    name="group_living_external_id",
)
Group.add_index(Group.connection, Group.deleted_at, Group.id, name="group_connection_living_id")
Group.add_index(Group.display_name_key, name="group_display_name_key_index")


class Member(Row):
    """A membership: a user or a nested group in a group; exactly one of the two is set."""

    group = ForeignKeyField(Group, backref="members", index=False, on_delete="CASCADE")
    user = ForeignKeyField(User, null=True, backref="memberships", on_delete="CASCADE")
    subgroup = ForeignKeyField(
        Group, null=True, backref="parents", index=False, on_delete="CASCADE"
    )
    created_at = BigIntegerField(default=now_ms)

    class Meta:
        indexes = ((("group", "user"), True),)


# Most members are users: a group in a group is not worth a page of each commit.
Member.add_index(
    Member.group,
    Member.subgroup,
    unique=True,
    where=Member.subgroup.is_null(False),
    name="member_group_subgroup",
)
Member.add_index(Member.subgroup, where=Member.subgroup.is_null(False), name="member_subgroup")


class Tally(Row):
    """How many living rows of a kind a connection has; see `tally`."""

    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    kind = CharField()  # User | Group
    living = IntegerField()

    class Meta:
        indexes = ((("connection", "kind"), True),)
