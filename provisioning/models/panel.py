# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who works in the panel, signed-in browsers, and wizards under way."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CharField, ForeignKeyField, IntegerField, TextField

from ..clock import now_ms
from .keys import Activation, SecurityKey, WebAuthnCredential
from .people import User
from .rows import Row


class PanelAccount(Row):
    """Somebody who works in the panel. SCIM can neither read nor write this table (T11)."""

    name = TextField()
    email = TextField(null=True)
    role = CharField()  # access.Role
    state = CharField(default="active")  # active | invited (no key yet) | suspended
    user = ForeignKeyField(User, null=True, backref="accounts")
    user_handle = BlobField(unique=True)
    language = CharField(null=True)  # one of settings.LANGUAGES; none: as the browser asks
    gone_at = BigIntegerField(null=True)  # when a directory's word suspended it (R18)
    created_at = BigIntegerField(default=now_ms)


class PanelCredential(WebAuthnCredential):
    """A panel account's credential."""

    account = ForeignKeyField(PanelAccount, backref="credentials", on_delete="CASCADE")
    label = CharField(default="")
    locked_at = BigIntegerField(null=True)  # its counter went backwards (R15)


class OwnerLink(Row):
    """The one-time CLI link that makes a panel account and registers its first key (T25)."""

    token_hash = BlobField(unique=True)
    role = CharField()
    account = ForeignKeyField(PanelAccount, null=True)  # set for recovery
    expires_at = BigIntegerField()
    used_at = BigIntegerField(null=True)


class Session(Row):
    """A signed-in browser. The cookie's secret is stored hashed; rows can be killed."""

    secret_hash = BlobField(unique=True)
    kind = CharField()  # access.SessionKind: panel | user | activation
    account = ForeignKeyField(PanelAccount, null=True, backref="sessions", on_delete="CASCADE")
    user = ForeignKeyField(User, null=True, backref="sessions", on_delete="CASCADE")
    key = ForeignKeyField(SecurityKey, null=True)
    activation = ForeignKeyField(Activation, null=True)
    created_at = BigIntegerField(default=now_ms)
    last_seen_at = BigIntegerField(default=now_ms)
    expires_at = BigIntegerField()
    stepped_up_at = BigIntegerField(null=True)
    ended_at = BigIntegerField(null=True)


class Challenge(Row):
    """A WebAuthn challenge: bound to purpose and browser or job, dead at the first try (R13)."""

    binding = CharField(index=True)  # who may answer: a session's or a job's id, prefixed
    purpose = CharField()
    user = ForeignKeyField(User, null=True, on_delete="CASCADE")
    key = ForeignKeyField(SecurityKey, null=True, on_delete="CASCADE")
    challenge = BlobField()
    expires_at = BigIntegerField()


class WizardDraft(Row):
    """A New User wizard under way: nothing typed is lost to a reload or a lost session."""

    resource_id = CharField(unique=True)
    account = ForeignKeyField(PanelAccount, on_delete="CASCADE")
    user = ForeignKeyField(User, null=True)  # set when the wizard serves an existing user
    key = ForeignKeyField(SecurityKey, null=True)
    state = CharField(default="open")  # open | confirmed | cancelled
    data = TextField(default="{}")
    version = IntegerField(default=1)
    created_at = BigIntegerField(default=now_ms)
    updated_at = BigIntegerField(default=now_ms)

    class Meta:
        indexes = ((("state", "updated_at"), False),)


class KeptForm(Row):
    """What somebody sent when their session was over: it waits for them, sealed, for a day."""

    account = ForeignKeyField(PanelAccount, index=False, on_delete="CASCADE")
    path = CharField()  # of the page that it is for
    sealed = BlobField()
    created_at = BigIntegerField(default=now_ms, index=True)

    class Meta:
        indexes = ((("account", "path"), True),)
