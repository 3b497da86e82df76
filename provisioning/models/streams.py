# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What directories are told: streams of events, the events that wait, and requests done later."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CharField, ForeignKeyField, IntegerField, TextField

from ..clock import now_ms
from .directories import Connection
from .rows import Row


class EventStream(Row):
    """Who hears of changes to a connection's resources, and how it goes."""

    resource_id = CharField(unique=True)
    connection = ForeignKeyField(Connection, backref="streams", on_delete="CASCADE")
    method = CharField()  # streams.Method: push | poll
    detail = CharField()  # streams.Detail: notice | full
    audience = TextField()
    endpoint = TextField(default="")  # of a push stream
    sealed_authorization = BlobField(null=True)  # what the receiver asks for, AEAD
    state = CharField(default="active")  # streams.StreamState: active | stopped
    created_at = BigIntegerField(default=now_ms)
    delivered = BigIntegerField(default=0)
    delivered_at = BigIntegerField(null=True)
    failures = IntegerField(default=0)  # in a row
    last_error = TextField(default="")
    due_at = BigIntegerField(default=0)
    leased_until = BigIntegerField(null=True)


class StreamEvent(Row):
    """One event for one stream, written with the change; gone when it is delivered."""

    stream = ForeignKeyField(EventStream, backref="events", on_delete="CASCADE", index=False)
    jti = CharField(unique=True)
    txn = CharField()
    kinds = CharField()  # events.Kind, one blank between
    type = CharField()  # User | Group, or empty where a request came to no resource
    subject = CharField(default="")  # the resource's id
    external_id = TextField(null=True)
    version = IntegerField(null=True)
    content = TextField()  # JSON: names of attributes, the document, or a request's outcome
    state = CharField(default="waiting")  # streams.EventState: waiting | dead
    attempts = IntegerField(default=0)
    last_error = TextField(default="")
    at = BigIntegerField(default=now_ms)

    class Meta:
        indexes = ((("stream", "state", "id"), False),)


class DeferredRequest(Row):
    """A request that a directory does not wait for, and what became of it."""

    txn = CharField(unique=True)
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    token = CharField()  # public id of the one that came with it
    sealed_body = BlobField(null=True)  # AEAD; erased when it is done
    outcomes = TextField(null=True)  # JSON, one for each operation
    created_at = BigIntegerField(default=now_ms)
    finished_at = BigIntegerField(null=True)
