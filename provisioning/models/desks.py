# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Stations at desks, and the work they are given."""

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
from .keys import SecurityKey
from .panel import PanelAccount, Session
from .people import User
from .rows import Row


class Station(Row):
    """A desk with a reader, known by its own keys."""

    resource_id = CharField(unique=True)
    name = TextField()
    signing_key = BlobField()  # Ed25519, raw 32 bytes
    sealing_key = BlobField()  # X25519, raw 32 bytes
    version = CharField(default="")
    reader_name = TextField(default="")
    state = CharField(default="no_reader")  # no_reader | no_card | card | busy (as last told)
    readers = TextField(default="[]")  # JSON: [{name, state}], as last told
    clock_offset = BigIntegerField(default=0)  # seconds that its clock is behind ours, as told
    # The id of the request that waits for work: one that a dead station left behind gets none.
    waits = CharField(default="")
    created_at = BigIntegerField(default=now_ms)
    last_seen_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)
    # Paired by this person at home, for nobody else: a stranger's reader would see their PINs.
    user = ForeignKeyField(User, null=True, backref="stations")


class PairingCode(Row):
    """The 8-digit one-time code that pairs a station: 10 minutes, 5 tries."""

    code_hash = BlobField(unique=True)
    created_by = TextField()
    expires_at = BigIntegerField()
    tries = IntegerField(default=0)
    used_at = BigIntegerField(null=True)
    station = ForeignKeyField(Station, null=True)
    user = ForeignKeyField(User, null=True)  # whose own station this code makes


class RequestId(Row):
    """Ids of signed station requests already seen, so that none is taken twice."""

    station = ForeignKeyField(Station, on_delete="CASCADE")
    jti = CharField()
    expires_at = BigIntegerField(index=True)

    class Meta:
        indexes = ((("station", "jti"), True),)


class Job(Row):
    """Work for a station. `step` says how far the card is, `state` who has to act next."""

    resource_id = CharField(unique=True)
    op = CharField()  # jobs.Op: enrol | change_pin | assert | reset | …
    station = ForeignKeyField(Station, backref="jobs")
    user = ForeignKeyField(User, null=True)
    key = ForeignKeyField(SecurityKey, null=True, backref="jobs")
    state = CharField(default="queued")  # lifecycle.JobState
    step = CharField(default="prepared")  # lifecycle.JobStep
    ticket_id = CharField(null=True)  # jti of the ticket now out at the station
    ticket_expires_at = BigIntegerField(null=True)
    fault = CharField(null=True)  # jobs.Fault
    card = TextField(default="{}")  # what the station told of the card, JSON
    result = TextField(default="{}")
    sealed_pin = BlobField(null=True)  # AEAD, bound to resource_id (R19); NULL once released
    purpose = CharField(default="")  # of an assert: ceremony purposes; of a reset: jobs.Wipe
    binding = CharField(default="")  # the browser that waits for an `assert` job
    account = ForeignKeyField(PanelAccount, null=True)
    session = ForeignKeyField(Session, null=True)  # the activation session that asked
    pin_mode = CharField(default="")  # server | own, for `enrol`
    pin_length = IntegerField(default=0)  # the least that the policy asks for
    force_change = BooleanField(default=False)  # a card that cannot force a PIN change is refused
    code = CharField(default="")  # short code shown on both screens
    created_by = TextField(default="")
    created_at = BigIntegerField(default=now_ms)
    updated_at = BigIntegerField(default=now_ms)
    finished_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("station", "state"), False), (("key", "state"), False))


# What the watcher of waiting stations asks for many times a second.
Job.add_index(Job.state, where=Job.finished_at.is_null(), name="job_open_state")
