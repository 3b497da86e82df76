# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Security keys, their credentials, and the links by which users activate them."""

from __future__ import annotations

from peewee import (
    SQL,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from ..clock import now_ms
from .people import User
from .rows import Row

# Of a link, lifecycle.LinkState. Written out wherever it is asked for: its index holds the live
# ones alone, and SQLite would compile a statement with a value beside it anew each time, to see.
LIVE = SQL("'live'")


class SecurityKey(Row):
    """A key in somebody's hand, from draft to revoked. Its history survives it."""

    resource_id = CharField(unique=True)
    user = ForeignKeyField(User, null=True, backref="keys")  # null while a wizard drafts it
    kind = CharField()  # lifecycle.KeyKind
    name = TextField()
    state = CharField()  # lifecycle.KeyState
    reason = CharField(null=True)  # lifecycle.Reason
    method = CharField()  # admin | user
    user_handle = BlobField()  # 64 random bytes, fixed when the key is drafted
    model = CharField(null=True)
    aaguid = CharField(null=True)
    pin_change_forced = BooleanField(null=True)  # None until the card has said
    # The key that this one takes over from: revoked when this one works, not before.
    replaces = ForeignKeyField("self", null=True, index=False)
    ends_at = BigIntegerField(null=True)  # a temporary key's last moment
    uid_hash = CharField(null=True)  # keyed hash of the card's UID: an attribute, never identity
    created_at = BigIntegerField(default=now_ms)
    activated_at = BigIntegerField(null=True)
    confirmed_at = BigIntegerField(null=True)  # first use with the changed PIN (R25)
    suspended_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)
    last_used_at = BigIntegerField(null=True)

    class Meta:
        indexes = (
            # To walk them by, with no look at the rows. The state at its end: a key that changes
            # it, and a leaver's all do, is written in one place of the index instead of two.
            (("id", "state"), False),
            (("model", "id"), False),
            (("kind", "id"), False),
        )


# Few keys are temporary; the worker asks for those that are due.
SecurityKey.add_index(
    SecurityKey.ends_at, where=SecurityKey.ends_at.is_null(False), name="security_key_ends_at"
)
SecurityKey.add_index(
    SecurityKey.activated_at,
    where=SecurityKey.activated_at.is_null(False),
    name="security_key_activated_at",
)


class WebAuthnCredential(Row):
    """What both kinds of credential row hold (WebAuthn L3 §4, credential record)."""

    rp_id = CharField()
    credential_id = BlobField(unique=True)
    public_key = BlobField()  # COSE_Key
    sign_count = BigIntegerField(default=0)
    aaguid = CharField()
    transports = CharField(default="")  # space-separated
    attestation_format = CharField()
    attestation_object = BlobField()  # kept raw, so that a later policy can look again
    backup_eligible = BooleanField(default=False)
    backed_up = BooleanField(default=False)
    created_at = BigIntegerField(default=now_ms)
    last_used_at = BigIntegerField(null=True)


class Credential(WebAuthnCredential):
    """A user's credential, a row apart from its key."""

    key = ForeignKeyField(SecurityKey, backref="credentials", on_delete="CASCADE")


class Badge(Row):
    """A card without FIDO2, kept as an identifier: it is no key and proves nothing."""

    resource_id = CharField(unique=True)
    user = ForeignKeyField(User, backref="badges", on_delete="CASCADE")
    technology = CharField()
    uid_hash = CharField(unique=True)  # keyed; the UID itself is stored nowhere
    created_by = TextField(default="")
    created_at = BigIntegerField(default=now_ms)


class Activation(Row):
    """A mailed link by which a user activates a key. Only its hash is stored (R11)."""

    resource_id = CharField(unique=True)
    key = ForeignKeyField(SecurityKey, backref="activations", on_delete="CASCADE")
    user = ForeignKeyField(User, backref="activations")
    token_hash = BlobField(unique=True)
    state = CharField(default="live")  # lifecycle.LinkState
    address = TextField()
    created_at = BigIntegerField(default=now_ms)
    expires_at = BigIntegerField()
    opened_at = BigIntegerField(null=True)  # the first start POST, which a scanner may cause
    ended_at = BigIntegerField(null=True)
    requested_again_at = BigIntegerField(null=True)
    # What is typed besides, and never mailed: AEAD, bound to resource_id; none where none is asked.
    sealed_code = BlobField(null=True)
    code_tries = IntegerField(default=0)


# Only for those that may still expire: a link that ends leaves one index, and moves in none. Of
# one person or key there are so few that their states need no index.
Activation.add_index(
    Activation.expires_at, where=Activation.state == LIVE, name="activation_live_expires_at"
)
