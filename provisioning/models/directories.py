# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Upstream directories: connections, their tokens, and what they send."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CharField, ForeignKeyField, IntegerField, TextField

from ..clock import now_ms
from .rows import Row


class Connection(Row):
    """One upstream directory: what it may write, and the provenance of all that it made."""

    name = TextField(unique=True)
    profile = CharField(default="tolerant")
    scope = CharField(default="write")  # write | users | read
    created_at = BigIntegerField(default=now_ms)
    last_seen_at = BigIntegerField(null=True)


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
    seen = IntegerField(default=0)

    class Meta:
        indexes = ((("connection", "name"), True),)


class MassDeparture(Row):
    """So many people left at once that a person must say whether that is meant (R17)."""

    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    started_at = BigIntegerField()
    decided_at = BigIntegerField(null=True)
    decision = CharField(null=True)  # approved | rejected
