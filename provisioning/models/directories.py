# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Upstream directories: connections, their tokens, and what they send."""

from __future__ import annotations

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from ..clock import now_ms
from .rows import Row

FILES = "csv"  # the profile of a source of imported files: a connection without a door


class Connection(Row):
    """One upstream directory: what it may write, and the provenance of all that it made."""

    name = TextField(unique=True)
    profile = CharField(default="tolerant")  # connections.Profile
    scope = CharField(default="write")  # connections.Scope: write | users | read
    patch_reply = CharField(default="usual")  # connections.PatchReply
    unique_group_names = BooleanField(default=True)
    merges_bulk = BooleanField(default=False)  # a Bulk POST of who is there changes them
    created_at = BigIntegerField(default=now_ms)
    last_seen_at = BigIntegerField(null=True)
    retired_at = BigIntegerField(null=True)


class Token(Row):
    """A bearer token: found by its public id, compared by SHA-256, never stored."""

    connection = ForeignKeyField(Connection, backref="tokens", on_delete="CASCADE")
    public_id = CharField(unique=True)
    secret_hash = BlobField()
    created_at = BigIntegerField(default=now_ms)
    expires_at = BigIntegerField()
    revoked_at = BigIntegerField(null=True)
    last_used_at = BigIntegerField(null=True)


class UnknownAttribute(Row):
    """An attribute that a directory sends and no schema knows: accepted, counted, shown."""

    connection = ForeignKeyField(Connection, backref="unknown_attributes", on_delete="CASCADE")
    name = TextField()
    seen = BigIntegerField(default=0)

    class Meta:
        indexes = ((("connection", "name"), True),)


class QuirkUse(Row):
    """A leniency that a directory relies on; see `scim.quirks`."""

    connection = ForeignKeyField(Connection, backref="quirks", on_delete="CASCADE")
    name = CharField()
    seen = BigIntegerField(default=0)
    last_seen_at = BigIntegerField()

    class Meta:
        indexes = ((("connection", "name"), True),)


class RequestTrace(Row):
    """One of a directory's latest requests, without personal data; see `traces`."""

    connection = ForeignKeyField(Connection, on_delete="CASCADE", index=False)
    at = BigIntegerField()
    token = CharField(null=True)  # its public id
    method = CharField()
    path = TextField()
    status = IntegerField()
    scim_type = CharField(null=True)
    quirks = TextField(default="")  # names, one blank between
    micros = IntegerField()


RequestTrace.add_index(RequestTrace.connection, RequestTrace.id, name="request_trace_newest")


class RequestHour(Row):
    """How many requests a directory made in an hour, and how many were refused."""

    connection = ForeignKeyField(Connection, on_delete="CASCADE", index=False)
    hour = BigIntegerField()  # its beginning, ms
    requests = IntegerField(default=0)
    errors = IntegerField(default=0)

    class Meta:
        indexes = ((("connection", "hour"), True),)


class Conflict(Row):
    """A directory wants a name that something else holds; see `conflicts`."""

    connection = ForeignKeyField(Connection, on_delete="CASCADE", index=False)
    kind = CharField()  # User | Group
    attribute = CharField()  # userName | externalId | displayName
    value = TextField()
    value_key = TextField()
    seen = IntegerField(default=1)
    first_seen_at = BigIntegerField()
    last_seen_at = BigIntegerField()
    dismissed_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("connection", "kind", "attribute", "value_key"), True),)


class MassDeparture(Row):
    """So many people left at once that a person must say whether that is meant (R17)."""

    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    started_at = BigIntegerField()
    decided_at = BigIntegerField(null=True)
    decision = CharField(null=True)  # approved | rejected
