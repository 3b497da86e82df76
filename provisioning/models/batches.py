# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Batches: many cards in a row. Where each stands is in these rows and in nobody's memory."""

from __future__ import annotations

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from ..clock import now_ms
from .desks import Job, Station
from .keys import SecurityKey
from .panel import PanelAccount
from .people import User
from .rows import Row


class Batch(Row):
    """A row of people who get a card each, at one or several stations."""

    resource_id = CharField(unique=True)
    name = TextField()
    account = ForeignKeyField(PanelAccount)  # whose step-up opens it, and who acts
    state = CharField(default="draft")  # lifecycle.BatchState
    open_until = BigIntegerField(default=0)  # one step-up opens one batch for an hour
    created_at = BigIntegerField(default=now_ms)
    updated_at = BigIntegerField(default=now_ms, index=True)
    finished_at = BigIntegerField(null=True)


class BatchItem(Row):
    """One person's turn."""

    batch = ForeignKeyField(Batch, backref="items", on_delete="CASCADE")
    position = IntegerField()
    user = ForeignKeyField(User)
    state = CharField(default="waiting")  # lifecycle.TurnState
    station = ForeignKeyField(Station, null=True)
    key = ForeignKeyField(SecurityKey, null=True)
    made_key = BooleanField(default=False)  # for this turn; or else it waited already
    job = ForeignKeyField(Job, null=True)
    note = TextField(default="")  # why it was left out, or what went wrong last
    updated_at = BigIntegerField(default=now_ms)

    class Meta:
        indexes = (
            (("batch", "position"), False),
            (("batch", "state", "position"), False),
            (("batch", "user"), True),
        )


class BatchStation(Row):
    """A station that works for a batch; it works for one at a time."""

    batch = ForeignKeyField(Batch, backref="stations", on_delete="CASCADE")
    station = ForeignKeyField(Station, unique=True, on_delete="CASCADE")
