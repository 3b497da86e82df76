# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What leaves a trace: mails in the outbox and the audit log."""

from __future__ import annotations

from peewee import (
    SQL,
    BigIntegerField,
    BlobField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from ..clock import now_ms
from .keys import SecurityKey
from .people import User
from .rows import Row


class OutboxMail(Row):
    """A mail that commits with the change that causes it; a worker sends it."""

    message_id = CharField(unique=True)
    template = CharField()  # mail.Template
    recipient = TextField()
    locale = CharField(default="en")
    context = TextField(default="{}")  # JSON, no secrets
    sealed_secret = BlobField(null=True)  # a link or a PIN, AEAD; erased at 250 or 72 h
    user = ForeignKeyField(User, null=True)
    key = ForeignKeyField(SecurityKey, null=True)
    state = CharField(default="queued")  # outbox.MailState: queued | sent | dead | cancelled
    attempts = IntegerField(default=0)
    last_error = TextField(default="")
    created_at = BigIntegerField(default=now_ms)
    due_at = BigIntegerField(default=now_ms)
    leased_until = BigIntegerField(null=True)
    sent_at = BigIntegerField(null=True)


# Of those that are sent or cancelled nothing is asked by time: each would be in the index for ever,
# and be moved in it with the change that ends it. As with `keys.LIVE`, it is written out.
UNSENT = SQL("state NOT IN ('sent', 'cancelled')")
OutboxMail.add_index(
    OutboxMail.state, OutboxMail.due_at, where=UNSENT, name="outbox_mail_unsent_due_at"
)


class Alert(Row):
    """Something that an officer has to hear of, once: found by the worker, or noted at the spot."""

    kind = CharField()  # alerts.Kind
    about = CharField()  # what tells it from others of its kind: an id, a day
    subject = TextField()  # what people call it
    path = TextField()  # the page that helps
    created_at = BigIntegerField(default=now_ms, index=True)
    told_at = BigIntegerField(null=True)  # when mails were queued; none while that is to be done

    class Meta:
        indexes = ((("kind", "about"), True),)


class AuditEvent(Row):
    """One line of the audit log, chained by a keyed hash (R26)."""

    at = BigIntegerField()
    actor_kind = CharField()
    actor_id = CharField(null=True)
    actor_name = TextField()
    event = CharField()
    user = ForeignKeyField(User, null=True, backref="audit_events", index=False)
    key = ForeignKeyField(SecurityKey, null=True, index=False)
    detail = TextField()
    mac = BlobField(constraints=[SQL("CHECK (length(mac) = 32)")])


AuditEvent.add_index(
    AuditEvent.user, where=AuditEvent.user.is_null(False), name="audit_event_of_user"
)
# What a wizard does to a card before its person is there is told by the key alone, and found by it.
AuditEvent.add_index(
    AuditEvent.key,
    where=AuditEvent.user.is_null() & AuditEvent.key.is_null(False),
    name="audit_event_of_key_alone",
)
# Every change of anything adds a line, and each index would have it written once more. Lines of
# users, groups and keys are met soon by whoever walks the log; an index finds the other kinds.
RARE = SQL("substr(event, 1, 4) NOT IN ('user', 'grou', 'key.')")
AuditEvent.add_index(AuditEvent.event, where=RARE, name="audit_event_of_rare_kind")


class AuditHead(Row):
    """The chain's end: how many rows there are and the last one's MAC."""

    rows = BigIntegerField(default=0)
    mac = BlobField()
