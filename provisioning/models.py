# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The tables. Times are integer milliseconds since the epoch, UTC; see `clock`.

A CharField holds a word of ours: PostgreSQL refuses what is longer than 255 characters.

Look-up keys (`*_key`) hold `naming.fold` of the value beside them: NFKC + casefold is computed
here and indexed, because no database folds case the same way (security requirement R7).
A migration never imports this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

from .clock import now_ms
from .db import database


class Row(Model):
    """Base of every table: an integer key for joins and keyset pages."""

    if TYPE_CHECKING:  # peewee adds `<name>_id` beside each foreign key

        def __getattr__(self, name: str) -> int: ...

    id = AutoField()

    class Meta:
        database = database
        legacy_table_names = False


class Setting(Row):
    """A value that must survive restarts and is not configuration: the frozen RP ID, say."""

    name = TextField(unique=True)
    value = TextField()


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
User.add_index(User.display_name_key, User.id, User.deleted_at, name="user_name_id")
User.add_index(User.email_key, name="user_email_key_index")
User.add_index(
    User.status, User.display_name_key, User.id, User.deleted_at, name="user_status_name_id"
)
User.add_index(User.last_activity_at, User.id, User.deleted_at, name="user_last_activity_id")
User.add_index(User.updated_at, name="user_updated_at_index")
User.add_index(User.left_at, where=User.left_at.is_null(False), name="user_left_at_index")
# Every page of an index that a write touches is written and synced with it: no index holds rows
# of which nothing is asked.
User.add_index(User.departure, where=User.departure.is_null(False), name="user_departure_held")
User.add_index(
    User.connection,
    User.left_at,
    User.deleted_at,
    where=User.left_at.is_null(False),
    name="user_connection_left_at",
)


class Tally(Row):
    """How many living rows of a kind a connection has; see `tally`."""

    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    kind = CharField()  # User | Group
    living = IntegerField()

    class Meta:
        indexes = ((("connection", "kind"), True),)


class UserValue(Row):
    """Searchable elements of multi-valued attributes (emails, phoneNumbers …), for EXISTS."""

    user = ForeignKeyField(User, backref="values", on_delete="CASCADE")
    attribute = CharField()
    type = TextField(null=True)
    value = TextField()
    value_key = TextField()
    primary = BooleanField(default=False)

    class Meta:
        indexes = ((("attribute", "value_key"), False),)


class Group(Row):
    """A group; its members are rows of `Member`, never part of `document`."""

    resource_id = CharField(unique=True)
    connection = ForeignKeyField(Connection, null=True, backref="groups", index=False)
    display_name = TextField()
    display_name_key = TextField()
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
    unique=True,
    where=Group.deleted_at.is_null(),
    name="group_living_display_name",
)
Group.add_index(
    Group.connection,
    Group.external_id,
    where=Group.external_id.is_null(False),
    name="group_external_id_index",
)
Group.add_index(Group.connection, Group.deleted_at, Group.id, name="group_connection_living_id")
Group.add_index(Group.display_name_key, name="group_display_name_key_index")


class Member(Row):
    """A membership: a user or a nested group in a group; exactly one of the two is set."""

    group = ForeignKeyField(Group, backref="members", on_delete="CASCADE")
    user = ForeignKeyField(User, null=True, backref="memberships", on_delete="CASCADE")
    subgroup = ForeignKeyField(Group, null=True, backref="parents", on_delete="CASCADE")
    created_at = BigIntegerField(default=now_ms)

    class Meta:
        indexes = ((("group", "user"), True), (("group", "subgroup"), True))


class PanelAccount(Row):
    """Somebody who works in the panel. SCIM can neither read nor write this table (T11)."""

    name = TextField()
    email = TextField(null=True)
    role = CharField()  # access.Role
    state = CharField(default="active")  # active | suspended
    user = ForeignKeyField(User, null=True, backref="accounts")
    user_handle = BlobField(unique=True)
    created_at = BigIntegerField(default=now_ms)


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
    uid_hash = CharField(null=True)  # keyed hash of the card's UID: an attribute, never identity
    created_at = BigIntegerField(default=now_ms)
    activated_at = BigIntegerField(null=True)
    confirmed_at = BigIntegerField(null=True)  # first use with the changed PIN (R25)
    suspended_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)
    last_used_at = BigIntegerField(null=True)

    class Meta:
        indexes = (
            (("user", "state"), False),
            (("state", "id"), False),
            (("model", "id"), False),
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


class PanelCredential(WebAuthnCredential):
    """A panel account's credential."""

    account = ForeignKeyField(PanelAccount, backref="credentials", on_delete="CASCADE")
    label = CharField(default="")
    locked_at = BigIntegerField(null=True)  # its counter went backwards (R15)


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

    class Meta:
        indexes = ((("user", "state"), False), (("key", "state"), False))


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

    class Meta:
        indexes = ((("user", "ended_at"), False),)


class Challenge(Row):
    """A WebAuthn challenge: bound to purpose and browser or job, dead at the first try (R13)."""

    binding = CharField(index=True)  # who may answer: a session's or a job's id, prefixed
    purpose = CharField()
    user = ForeignKeyField(User, null=True, on_delete="CASCADE")
    key = ForeignKeyField(SecurityKey, null=True, on_delete="CASCADE")
    challenge = BlobField()
    expires_at = BigIntegerField()


class Station(Row):
    """A desk with a reader, known by its own keys."""

    resource_id = CharField(unique=True)
    name = TextField()
    signing_key = BlobField()  # Ed25519, raw 32 bytes
    sealing_key = BlobField()  # X25519, raw 32 bytes
    version = CharField(default="")
    reader_name = TextField(default="")
    state = CharField(default="no_reader")  # no_reader | no_card | card | busy (as last told)
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
    op = CharField()  # jobs.Op: enrol | change_pin | assert | reset
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
    purpose = CharField(default="")  # what the answer is for: ceremony purposes
    binding = CharField(default="")  # the browser that waits for an `assert` job
    account = ForeignKeyField(PanelAccount, null=True)
    session = ForeignKeyField(Session, null=True)  # the activation session that asked
    pin_mode = CharField(default="")  # server | own, for `enrol`
    code = CharField(default="")  # short code shown on both screens
    created_by = TextField(default="")
    created_at = BigIntegerField(default=now_ms)
    updated_at = BigIntegerField(default=now_ms)
    finished_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("station", "state"), False), (("key", "state"), False))


# What the watcher of waiting stations asks for many times a second.
Job.add_index(Job.state, where=Job.finished_at.is_null(), name="job_open_state")


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

    class Meta:
        indexes = ((("state", "due_at"), False),)


class AuditEvent(Row):
    """One line of the audit log, chained by a keyed hash (R26)."""

    at = BigIntegerField()
    actor_kind = CharField()
    actor_id = CharField(null=True)
    actor_name = TextField()
    event = CharField(index=True)
    user = ForeignKeyField(User, null=True, backref="audit_events")
    key = ForeignKeyField(SecurityKey, null=True, index=False)
    detail = TextField()
    mac = BlobField(constraints=[SQL("CHECK (length(mac) = 32)")])


AuditEvent.add_index(AuditEvent.key, where=AuditEvent.key.is_null(False), name="audit_event_of_key")


class AuditHead(Row):
    """The chain's end: how many rows there are and the last one's MAC."""

    rows = BigIntegerField(default=0)
    mac = BlobField()


ALL: list[type[Row]] = [
    Setting,
    Connection,
    Token,
    UnknownAttribute,
    MassDeparture,
    User,
    Tally,
    UserValue,
    Group,
    Member,
    PanelAccount,
    SecurityKey,
    Credential,
    PanelCredential,
    Activation,
    OwnerLink,
    Session,
    Challenge,
    Station,
    PairingCode,
    RequestId,
    Job,
    WizardDraft,
    OutboxMail,
    AuditEvent,
    AuditHead,
]
